"""What admission asks of pods: those in agents' namespaces, and all others for the sake of GPUs."""

from __future__ import annotations

from moltghost.components.admission_nodes import (
    POOLS_OF_SPACE,
    selector_keys,
    selects_a_pool,
    selects_a_type,
    tolerates_other_taints,
)
from moltghost.components.admission_rule import Rule
from moltghost.labels import (
    AGENT_LABEL,
    GPU_RESOURCE,
    HOSTNAME_LABEL,
    MODEL_SERVER,
    NAME_LABEL,
    OWNER_LABEL,
    POOL_TAINT_KEY,
    SHARING_LABEL,
    SYSTEM_NAMESPACE,
)
from moltghost.planning.platform import PlatformPlan

# Tolerations that Kubernetes itself adds to every pod.
_BUILT_IN_TOLERATIONS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
# What EKS puts into pods whose account has a role of AWS.
_POD_IDENTITY_AUDIENCE = "pods.eks.amazonaws.com"
_NVIDIA = GPU_RESOURCE.partition("/")[0]

_CONTAINERS = (
    "((has(object.spec.initContainers) ? object.spec.initContainers : []) + object.spec.containers)"
)
# Slices of a GPU (nvidia.com/mig-...) and shared ones are GPUs too.
_GPU = (
    f"{_CONTAINERS}.exists(c, has(c.resources) && (has(c.resources.limits) && "
    f"c.resources.limits.exists(r, r.startsWith('{_NVIDIA}/')) || has(c.resources.requests) && "
    f"c.resources.requests.exists(r, r.startsWith('{_NVIDIA}/'))))"
)
_NO_DEVICE_CLAIMS = (
    "(!has(object.spec.resourceClaims) || object.spec.resourceClaims.size() == 0) && "
    f"{_CONTAINERS}.all(c, !has(c.resources) || !has(c.resources.claims))"
)

POD_VARIABLES = {
    "gpu": _GPU,
    "space": "namespaceObject.metadata",
    "selector": "has(object.spec.nodeSelector) ? object.spec.nodeSelector : {}",
    "tolerations": "has(object.spec.tolerations) ? object.spec.tolerations : []",
    "apart": (
        f"has(namespaceObject.metadata.labels) && '{SHARING_LABEL}' in "
        f"namespaceObject.metadata.labels && namespaceObject.metadata.labels['{SHARING_LABEL}'] "
        f"== 'owner' ? '{OWNER_LABEL}' : '{AGENT_LABEL}'"
    ),
    "keep_away": (
        "has(object.spec.affinity) && has(object.spec.affinity.podAntiAffinity) && "
        "has(object.spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution)"
        " ? object.spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution"
        " : []"
    ),
}


def _no_identity(audience: str | None) -> str:
    """No volume projects an identity of the pod, except a token for this audience."""
    bare = "!has(s.serviceAccountToken)"
    if audience:
        bare = (
            f"({bare} || has(s.serviceAccountToken.audience) && "
            f"s.serviceAccountToken.audience == '{audience}')"
        )
    return (
        "!has(object.spec.volumes) || object.spec.volumes.all(v, !has(v.projected) || "
        f"!has(v.projected.sources) || v.projected.sources.all(s, {bare} && "
        "!has(s.podCertificate)))"
    )


def pod_rules(plan: PlatformPlan) -> list[Rule]:
    """What a new pod in an agent's namespace must be like; `POD_VARIABLES` are defined."""
    built_in = ", ".join(f"'{key}'" for key in _BUILT_IN_TOLERATIONS)
    return [
        Rule(
            "has(object.metadata.labels) && "
            + " && ".join(
                f"'{key}' in object.metadata.labels && "
                f"object.metadata.labels['{key}'] == variables.space.labels['{key}']"
                for key in (AGENT_LABEL, OWNER_LABEL)
            ),
            "a pod in an agent's namespace carries the namespace's agent and owner labels",
        ),
        Rule(
            selects_a_pool(plan.every_pool),
            "a pod in an agent's namespace selects a pool of the agent's plan "
            f"(nodeSelector {', '.join(selector_keys(plan.every_pool))})",
        ),
        Rule(
            f"!variables.gpu || {selects_a_type(plan.pools)}",
            "a GPU pod in an agent's namespace selects the instance type of the agent's plan",
        ),
        Rule(
            # Exactly our term: each field that narrows what it keeps away from is named here.
            "!variables.gpu || variables.keep_away.exists(term, "
            f"term.topologyKey == '{HOSTNAME_LABEL}' && has(term.namespaceSelector) && "
            "!has(term.namespaceSelector.matchLabels) && "
            "!has(term.namespaceSelector.matchExpressions) && !has(term.namespaces) && "
            "!has(term.matchLabelKeys) && !has(term.mismatchLabelKeys) && "
            "has(term.labelSelector) && has(term.labelSelector.matchLabels) && "
            f"term.labelSelector.matchLabels == {{'{NAME_LABEL}': '{MODEL_SERVER}'}} && "
            "has(term.labelSelector.matchExpressions) && "
            "term.labelSelector.matchExpressions.size() == 1 && "
            "term.labelSelector.matchExpressions.all(e, e.key == variables.apart && "
            "e.operator == 'NotIn' && has(e.values) && "
            "e.values == [variables.space.labels[variables.apart]]))",
            "a GPU pod of an agent keeps off nodes with another agent's model server "
            "(required pod anti-affinity over all namespaces)",
        ),
        Rule(
            f"!variables.gpu || '{NAME_LABEL}' in object.metadata.labels && "
            f"object.metadata.labels['{NAME_LABEL}'] == '{MODEL_SERVER}'",
            "a GPU pod of an agent is seen by the others' anti-affinity "
            f"(label {NAME_LABEL}={MODEL_SERVER})",
        ),
        Rule(
            f"{_CONTAINERS}.all(c, !has(c.env) || "
            "c.env.all(e, !e.name.upperAscii().startsWith('NVIDIA_')))",
            "a pod in an agent's namespace gets devices by its resources alone "
            "(no variable NVIDIA_...)",
        ),
        Rule(
            f"{_CONTAINERS}.all(c, !has(c.envFrom) || c.envFrom.size() == 0)",
            "a pod in an agent's namespace names each variable (no envFrom)",
        ),
        Rule(
            _NO_DEVICE_CLAIMS,
            "a pod in an agent's namespace gets devices by its resources alone (no resourceClaims)",
        ),
        Rule(
            "variables.tolerations.all(t, has(t.key) && (t.key in "
            f"[{built_in}] || t.key == '{GPU_RESOURCE}' && variables.gpu || "
            f"t.key == '{POOL_TAINT_KEY}' && has(t.value) && t.value in "
            f"{POOLS_OF_SPACE}{tolerates_other_taints(plan.every_pool)}))",
            "a pod in an agent's namespace tolerates the GPU taint only when it asks for a GPU, "
            "the taint of a pool only of the agent's plan, and no other taint",
        ),
        Rule(
            "!has(object.spec.nodeName) || object.spec.nodeName == ''",
            "a pod in an agent's namespace is placed by the scheduler (no nodeName)",
        ),
        Rule(
            "!has(object.spec.affinity) || !has(object.spec.affinity.nodeAffinity)",
            "a pod in an agent's namespace names its nodes by nodeSelector (no nodeAffinity)",
        ),
        Rule(
            "!has(object.spec.priorityClassName) || object.spec.priorityClassName in "
            f"['', '{plan.priority_class}']",
            f"a pod in an agent's namespace has the priority class {plan.priority_class} or none",
        ),
        Rule(
            "has(object.spec.automountServiceAccountToken) && "
            "!object.spec.automountServiceAccountToken",
            "a pod in an agent's namespace has no service account token "
            "(automountServiceAccountToken: false)",
        ),
        Rule(
            _no_identity(_POD_IDENTITY_AUDIENCE if plan.aws else None),
            "a pod in an agent's namespace has no projected token or certificate"
            + (f" but that of Pod Identity ({_POD_IDENTITY_AUDIENCE})" if plan.aws else ""),
        ),
    ]


STAY_RULES = [
    Rule(
        "(has(object.spec.tolerations) ? object.spec.tolerations : []) == "
        "(has(oldObject.spec.tolerations) ? oldObject.spec.tolerations : [])",
        "the tolerations of an agent's pod don't change",
    ),
    Rule(
        f"object.metadata.labels['{AGENT_LABEL}'] == oldObject.metadata.labels['{AGENT_LABEL}'] && "
        f"object.metadata.labels['{OWNER_LABEL}'] == oldObject.metadata.labels['{OWNER_LABEL}']",
        "the agent and owner labels of an agent's pod don't change",
    ),
    Rule(
        f"has(oldObject.metadata.labels) && '{NAME_LABEL}' in oldObject.metadata.labels ? "
        f"has(object.metadata.labels) && '{NAME_LABEL}' in object.metadata.labels && "
        f"object.metadata.labels['{NAME_LABEL}'] == oldObject.metadata.labels['{NAME_LABEL}'] : "
        "true",
        f"the label {NAME_LABEL} of an agent's pod doesn't change",
    ),
]


# The taint has the effect NoSchedule. A daemon set of the cluster may outlive NoExecute.
_NO_GPU_TAINT = (
    "!has({spec}.tolerations) || {spec}.tolerations.all(t, has(t.key) && t.key != '' && "
    "t.key != '" + GPU_RESOURCE + "' || has(t.effect) && t.effect != '' && "
    "t.effect != 'NoSchedule')"
)

OUTSIDER_CREATION_RULES = [
    Rule(
        f"!({_GPU})",
        "GPUs are for agents: only pods in an agent's namespace may ask for nvidia.com/gpu",
    ),
    Rule(
        _NO_DEVICE_CLAIMS,
        "GPUs are for agents: no pod outside their namespaces claims a device (resourceClaims)",
    ),
    Rule(
        "!has(object.spec.nodeName) || object.spec.nodeName == ''",
        "a pod is placed by the scheduler, which keeps it off GPU nodes (no nodeName)",
    ),
]

OUTSIDER_RULES = [
    Rule(
        f"object.metadata.namespace == '{SYSTEM_NAMESPACE}' || "
        + _NO_GPU_TAINT.format(spec="object.spec")
        + " || oldObject != null && has(oldObject.spec.tolerations) && "
        "oldObject.spec.tolerations == object.spec.tolerations",
        "GPU nodes are for agents: a pod outside their namespaces tolerates neither every taint "
        f"nor {GPU_RESOURCE}",
    ),
]
