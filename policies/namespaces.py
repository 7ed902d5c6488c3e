"""Namespaces, above all those of agents: complete, closed, bounded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .networks import EVERYWHERE, Network, internet_in, is_public, network_of, within, without
from .pods import AGENTS, is_agent_namespace, namespace_of
from .reading import get, has, items, labels, mapping, matches
from .rule import HIGH, MEDIUM, Config, rule, stack_rule, texts
from .subject import Subject

_NAMESPACE = "kubernetes:core/v1:Namespace"
_QUOTA = "kubernetes:core/v1:ResourceQuota"
_LIMITS = "kubernetes:core/v1:LimitRange"
_NETWORK = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
_ACCOUNT = "kubernetes:core/v1:ServiceAccount"
_ENFORCE = "pod-security.kubernetes.io/enforce"
_POOLS = "moltghost.dev/pools"
_HARD = ("pods", "requests.cpu", "requests.memory", "limits.memory", "requests.nvidia.com/gpu")
_DIRECTIONS = ("Ingress", "Egress")
_CLUSTER_SCOPED = {
    *("Namespace", "Node", "PersistentVolume", "StorageClass", "PriorityClass", "RuntimeClass"),
    *("ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "IngressClass"),
    *("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding", "CSIDriver", "APIService"),
    *("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration", "FlowSchema"),
    *("NodePool", "NodeClaim", "EC2NodeClass", "KWOKNodeClass", "NodeOverlay", "DeviceClass"),
    *("MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding", "VolumeAttributesClass"),
    *("CertificateSigningRequest", "ClusterTrustBundle", "PriorityLevelConfiguration"),
    *("VolumeAttachment", "CSINode", "ServiceCIDR", "IPAddress", "ResourceSlice", "GatewayClass"),
    *("PodSecurityPolicy", "InitializerConfiguration", "VolumeSnapshotClass"),
    *("ClusterPolicyEndpoint", "ApplicationNetworkPolicy", "ClusterNetworkPolicy"),
}


def _spaces(subjects: Sequence[Subject], config: Config) -> Iterator[tuple[Subject, list[Subject]]]:
    """Each agent's namespace with what is in it."""
    for space in subjects:
        if space.type == _NAMESPACE and is_agent_namespace(space, config["namespaces"]):
            name = namespace_of(space)
            inside = [
                each
                for each in subjects
                if each.is_kubernetes and each is not space and namespace_of(each) == name
            ]
            yield space, inside


@rule(
    why="It is the API server's own wall, also against pods that no program of ours made.",
    fix=f"set the labels {_ENFORCE}=restricted and {_ENFORCE}-version",
    severity=HIGH,
    types=(_NAMESPACE,),
    sources=("kyverno psa/add-psa-labels", "kyverno psa/deny-privileged-profile"),
    schema={
        **AGENTS,
        "oldestVersion": {
            "type": "string",
            "default": "v1.32",
            "description": "The oldest version of the Pod Security Standards that may be enforced.",
        },
    },
)
def ns_pod_security_labels(space: Subject, config: Config) -> Iterator[str]:
    """Agents' namespaces enforce Pod Security restricted, pinned to a version."""
    if not is_agent_namespace(space, config["namespaces"]):
        return
    found = labels(space.props)
    if _ENFORCE not in found:
        yield f"it lacks the label {_ENFORCE}"
    elif found[_ENFORCE] != "restricted":
        yield f"it enforces Pod Security {found[_ENFORCE]}"
    version = str(found.get(f"{_ENFORCE}-version", ""))
    if not version:
        yield "its Pod Security level is not pinned to a version"
    elif _minor(version) < _minor(config["oldestVersion"]):
        yield f"its Pod Security is that of {version}, which lacks what came later"


@stack_rule(
    why="One agent's mistake would otherwise take the nodes of all.",
    fix="add a ResourceQuota with " + ", ".join(_HARD) + " and a LimitRange with max",
    severity=HIGH,
    types=(_NAMESPACE,),
    sources=("kyverno add-ns-quota", "KSV-0040", "EKS BPG multitenancy"),
    schema=AGENTS,
)
def ns_quota_and_limits(
    subjects: Sequence[Subject], config: Config
) -> Iterator[tuple[Subject, str]]:
    """Agents' namespaces bound what they use, GPUs included."""
    for space, inside in _spaces(subjects, config):
        quotas = [mapping(each.props, "spec.hard") for each in inside if each.type == _QUOTA]
        if missing := [key for key in _HARD if not any(key in hard for hard in quotas)]:
            yield space, f"its ResourceQuota doesn't bound {', '.join(missing)}"
        ranges = [
            each
            for limit in inside
            if limit.type == _LIMITS
            for each in items(limit.props, "spec.limits")
        ]
        if not any(get(each, "type") == "Container" and has(each, "max") for each in ranges):
            yield space, "it has no LimitRange with a maximum for containers"


@stack_rule(
    why="Private means that prompts reach the model and nothing else.",
    fix="add a NetworkPolicy with an empty podSelector, both policyTypes and no rules, and "
    "name peers in every other one",
    severity=HIGH,
    types=(_NAMESPACE,),
    sources=("kyverno add-network-policy", "C-0030", "C-0206", "C-0260", "CKV2_K8S_6"),
    schema={
        **AGENTS,
        "networks": texts(
            ["169.254.170.23/32", "fd00:ec2::23/128", "198.18.0.0/15"],
            "Networks that policies of agents may name: by default the Pod Identity agent's "
            "addresses, and those of the embedded cluster's weights store.",
        ),
        "outward": texts(
            ["model-server:443"],
            "Who may reach public addresses, as NAME:PORT with the pods' label "
            "app.kubernetes.io/name. On AWS an agent's network has no route there but S3's.",
        ),
    },
)
def ns_default_deny(subjects: Sequence[Subject], config: Config) -> Iterator[tuple[Subject, str]]:
    """Nothing goes in or out of an agent's namespace but what is named."""
    for space, inside in _spaces(subjects, config):
        policies = [each for each in inside if each.type == _NETWORK]
        closed = {way for each in policies if _selects_all(each) for way in _denied(each)}
        for way in _DIRECTIONS:
            if way not in closed:
                yield space, f"no NetworkPolicy denies {way.lower()} by default"
        for policy in policies:
            for way, peers in (("ingress", "from"), ("egress", "to")):
                for allowed in items(policy.props, f"spec.{way}"):
                    for where in _too_wide(policy, way, allowed, peers, config):
                        yield space, f"NetworkPolicy {policy.name} allows {way} {where}"


def _number(port: Any) -> str:
    """A port, which is a float on the wire, as it is written; a name as it is."""
    return f"{port:.0f}" if isinstance(port, float) else str(port)


def _minor(version: str) -> int:
    """36 of v1.36; 0 of what is no version, such as latest."""
    number = version.removeprefix("v1.")
    return int(number) if number.isdigit() else 0


def _selects_all(policy: Subject) -> bool:
    chosen = mapping(policy.props, "spec.podSelector")
    return not mapping(chosen, "matchLabels") and not items(chosen, "matchExpressions")


def _denied(policy: Subject) -> Iterator[str]:
    """Directions that it closes: named, and nothing is allowed in them."""
    for way in _DIRECTIONS:
        named = way in items(policy.props, "spec.policyTypes")
        if named and not items(policy.props, f"spec.{way.lower()}"):
            yield way


def _too_wide(policy: Subject, way: str, allowed: Any, peers: str, config: Config) -> Iterator[str]:
    """Where a rule of a NetworkPolicy leads that no agent needs to go."""
    named = items(allowed, peers)
    outward = way == "egress" and _may_go_out(policy, allowed, config)
    pieces = [piece for each in named if "ipBlock" in each for piece in _pieces(each["ipBlock"])]
    if not named or (not outward and internet_in(pieces)):
        yield "to or from anywhere"
        return
    for piece in pieces:
        if not (outward and is_public(piece)) and not within(piece, config["networks"]):
            yield f"to or from {piece}, which is none of the rule's networks"


def _pieces(block: Mapping[str, Any]) -> list[Network]:
    """What an ipBlock covers; everything if it can't be read."""
    network = network_of(get(block, "cidr")) or EVERYWHERE
    return without(network, items(block, "except"))


def _may_go_out(policy: Subject, allowed: Any, config: Config) -> bool:
    """Whether a policy is about pods that may reach public addresses on all of a rule's ports."""
    name = mapping(policy.props, "spec.podSelector.matchLabels").get("app.kubernetes.io/name")
    ports = items(allowed, "ports")
    return bool(ports) and all(
        get(each, "protocol", "TCP") == "TCP"
        and "endPort" not in each
        and f"{name}:{_number(get(each, 'port'))}" in config["outward"]
        for each in ports
    )


@stack_rule(
    why="A namespace with a part missing looks isolated and is not.",
    fix="add what is missing; name no other agent's namespace in NetworkPolicies",
    severity=HIGH,
    types=(_NAMESPACE,),
    schema={
        **AGENTS,
        "labels": texts(
            ["moltghost.dev/agent", "moltghost.dev/owner"],
            "Labels that say whose namespace it is.",
        ),
    },
)
def agent_complete(subjects: Sequence[Subject], config: Config) -> Iterator[tuple[Subject, str]]:
    """An agent's namespace has all its walls, and no door to another agent's."""
    for space, inside in _spaces(subjects, config):
        name, have = namespace_of(space), {each.type for each in inside}
        for type_ in (_QUOTA, _LIMITS, _NETWORK, _ACCOUNT):
            if type_ not in have:
                yield space, f"it has no {type_.rpartition(':')[2]}"
        for key in config["labels"]:
            if key not in labels(space.props):
                yield space, f"it lacks the label {key}"
        for policy in (each for each in inside if each.type == _NETWORK):
            for other in _other_agents(policy, name, config["namespaces"]):
                yield space, f"NetworkPolicy {policy.name} opens it to namespace {other}"


def _other_agents(policy: Subject, own: str, patterns: Sequence[str]) -> Iterator[str]:
    for allowed in (*items(policy.props, "spec.ingress"), *items(policy.props, "spec.egress")):
        for peer in (*items(allowed, "from"), *items(allowed, "to")):
            chosen = mapping(peer, "namespaceSelector")
            if "namespaceSelector" in peer and not chosen:
                yield "* (any)"
            wanted = _names(chosen)
            yield from (each for each in wanted if each != own and matches(each, patterns))


def _names(chosen: Mapping[str, Any]) -> list[str]:
    key = "kubernetes.io/metadata.name"
    named = [str(value) for name, value in mapping(chosen, "matchLabels").items() if name == key]
    for each in items(chosen, "matchExpressions"):
        if get(each, "key") == key and get(each, "operator") == "In":
            named += [str(value) for value in items(each, "values")]
    return named


@rule(
    why="Admission lets an agent's pods into every pool that its namespace names.",
    fix="name the agent's own pools in the annotation moltghost.dev/pools",
    severity=HIGH,
    types=(_NAMESPACE,),
    schema={
        **AGENTS,
        "maxPools": {
            "type": "integer",
            "default": 3,
            "description": "Pools that an agent needs: the model server's and the runtime's, and "
            "that from which it is moved.",
        },
        "closed": texts(["weights"], "Pools that no agent may use: those with a way out."),
    },
)
def agent_pools(space: Subject, config: Config) -> Iterator[str]:
    """An agent may use the pools that it needs, and none that goes out."""
    given = mapping(space.props, "metadata.annotations").get(_POOLS)
    if given is None or not is_agent_namespace(space, config["namespaces"]):
        return
    pools = [each.strip() for each in str(given).split(",")]
    for pool in pools:
        if pool in config["closed"] or "*" in pool:
            yield f"it may use the pool {pool}"
    if len(pools) > config["maxPools"]:
        yield f"it may use {len(pools)} pools, and {config['maxPools']:g} are needed"


@rule(
    why="What lies there has no quota, no walls and no owner.",
    fix="set metadata.namespace, or list a system component in the rule's config",
    severity=MEDIUM,
    types=("kubernetes:*",),
    sources=("CKV_K8S_21", "KSV-0037", "KSV-0110"),
    schema={
        "system": texts([], "Names of objects that may lie in kube-system, * matches."),
        "clusterScoped": texts([], "Kinds of your own that have no namespace."),
    },
)
def ns_no_default(subject: Subject, config: Config) -> Iterator[str]:
    """Nothing lies in the namespace default, nor unlisted in those of the system."""
    if subject.kind in _CLUSTER_SCOPED or subject.kind in config["clusterScoped"]:
        return
    if subject.kind.endswith("List") or (not subject.is_builtin and not subject.namespace):
        return  # of a custom resource nobody can tell whether it needs a namespace
    namespace = namespace_of(subject) or "default"
    if namespace == "default":
        yield "it lies in the namespace default"
    if namespace in ("kube-system", "kube-public", "kube-node-lease"):
        name = str(get(subject.props, "metadata.name", subject.name))
        if not matches(name, config["system"]):
            yield f"it lies in {namespace} and is not a listed part of the system"
