"""Mutants: the resources of the real programs with one thing made wrong.

``AGENT`` and ``PLATFORM`` are the repository's own stacks, ``PRODUCTION_AGENT`` is an agent in its
`prod`, ``AWS`` the good examples of the AWS types together. A mutant's base may be any stack of the
repository; every rule has a mutant of a real program.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

from moltghost.engines.interface import AnalyzedResource
from moltghost.policy.wire import title_of
from tests.policies.declare import PRODUCTION_AGENT

AGENT, PLATFORM, AWS = "my-agent.local", "platform.local", "aws"
Path = tuple[str | int, ...]
REMOVE: Any = object()
"""As the new value: the value, or with an empty path the resource, is taken away."""


@dataclass(frozen=True)
class Mutant:
    """One thing made wrong.

    Args:
        rule: the rule that must notice.
        base: the stack.
        target: title of the resource, or the start of it.
        path: where in its inputs; ``protect`` alone is the resource option.
        value: the new value, or a function of the old one.
    """

    rule: str
    base: str
    target: str
    path: Path
    value: Any

    def __str__(self) -> str:
        return f"{self.rule}-{'.'.join(map(str, self.path)) or 'removed'}"

    def applied(self, resources: Sequence[AnalyzedResource]) -> list[AnalyzedResource]:
        """The resources with the change, which must be one."""
        found = [each for each in resources if title_of(each) == self.target]
        found += [each for each in resources if title_of(each).startswith(self.target)]
        assert found, f"{self.base} has no {self.target}"
        victim = found[0]
        if not self.path:
            return [each for each in resources if each is not victim]
        if self.path == ("protect",):
            changed = replace(victim, protect=self.value)
        else:
            inputs = deepcopy(dict(victim.inputs))
            _set(inputs, self.path, self.value)
            assert inputs != victim.inputs, "the mutant is the original"
            changed = replace(victim, inputs=inputs)
        return [changed if each is victim else each for each in resources]


def _set(inside: Any, path: Path, value: Any) -> None:
    *way, last = path
    for part in way:
        inside = inside[part] if isinstance(part, int) else inside.setdefault(part, {})
    if value is REMOVE:
        del inside[last]
    elif callable(value):
        inside[last] = value(inside[last])
    else:
        inside[last] = value


def _more(*items: Any) -> Callable[[Any], list[Any]]:
    return lambda old: [*old, *items]


SERVER, RUNTIME = "Deployment agent-my-agent/model-server", "Deployment agent-my-agent/runtime"
SPACE, QUOTA = "Namespace agent-my-agent", "ResourceQuota agent-my-agent/agent"
_POD: Path = ("spec", "template", "spec")
_WEIGHTS, _OLLAMA, _LOADER = ((*_POD, "initContainers", index) for index in range(3))
_GATE: Path = (*_POD, "containers", 0)
_PSS = "pod-security.kubernetes.io/enforce"
_CLUSTER, _GROUP, _TEMPLATE = "Cluster main", "NodeGroup gpus", "LaunchTemplate nodes"
_NODE: Path = ("spec", "template", "spec")
_POOL = "NodePool l40s"


def _env(name: str, value: str) -> Callable[[list[dict[str, Any]]], list[dict[str, Any]]]:
    return lambda old: [{**each, "value": value} if each["name"] == name else each for each in old]


def agent(rule: str, target: str, path: Path, value: Any) -> Mutant:
    return Mutant(rule, AGENT, target, path, value)


def platform(rule: str, path: Path, value: Any) -> Mutant:
    return Mutant(rule, PLATFORM, _POOL, path, value)


def aws(rule: str, target: str, path: Path, value: Any) -> Mutant:
    return Mutant(rule, AWS, target, path, value)


_PRIVILEGED = {"privileged": True}
_LITERAL = {"name": "HF_TOKEN", "value": "hf_" + "x" * 34}
_EVERYBODY = {"from": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}
_OTHER = {
    "from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "agent-y"}}}]
}

MUTANTS = (
    # The agent's own program.
    agent("pod-restricted", SERVER, (*_OLLAMA, "securityContext", "capabilities"), REMOVE),
    agent("pod-restricted", SERVER, (*_POD, "securityContext", "runAsNonRoot"), False),
    agent("pod-restricted", RUNTIME, (*_POD, "securityContext", "seccompProfile"), REMOVE),
    agent(
        "pod-restricted", SERVER, (*_WEIGHTS, "securityContext", "allowPrivilegeEscalation"), True
    ),
    agent("pod-no-privileged-host", SERVER, (*_LOADER, "securityContext"), _PRIVILEGED),
    agent("pod-no-privileged-host", RUNTIME, (*_POD, "hostNetwork"), True),
    agent("pod-no-privileged-host", SERVER, (*_POD, "volumes", 0), {"name": "h", "hostPath": {}}),
    agent(
        "pod-readonly-rootfs", SERVER, (*_GATE, "securityContext", "readOnlyRootFilesystem"), False
    ),
    agent("pod-readonly-rootfs", SERVER, (*_POD, "volumes", 0, "emptyDir"), {}),
    agent("pod-resources", SERVER, (*_GATE, "resources", "limits", "memory"), REMOVE),
    agent("pod-resources", SERVER, (*_OLLAMA, "resources", "requests", "nvidia.com/gpu"), "3"),
    agent("gpu-pod-toleration-match", SERVER, (*_POD, "tolerations"), REMOVE),
    agent("gpu-pod-toleration-match", SERVER, (*_POD, "nodeSelector"), REMOVE),
    agent(
        "gpu-pod-toleration-match",
        RUNTIME,
        (*_POD, "tolerations"),
        [{"key": "nvidia.com/gpu", "operator": "Exists"}],
    ),
    agent("image-pinned", SERVER, (*_LOADER, "image"), "ghcr.io/moltghost/agent-tools"),
    agent("image-pinned", RUNTIME, (*_POD, "containers", 0, "image"), "quay.io/x/y:1"),
    agent("image-digest", SERVER, (*_GATE, "image"), "ghcr.io/moltghost/gate:3"),
    agent("pod-probes", SERVER, (*_GATE, "readinessProbe"), REMOVE),
    agent("sa-token-off", SERVER, (*_POD, "automountServiceAccountToken"), True),
    agent(
        "sa-token-off",
        "ServiceAccount agent-my-agent/runtime",
        ("automountServiceAccountToken",),
        REMOVE,
    ),
    agent("ns-pod-security-labels", SPACE, ("metadata", "labels", _PSS), "baseline"),
    agent("ns-pod-security-labels", SPACE, ("metadata", "labels", f"{_PSS}-version"), REMOVE),
    agent("ns-quota-and-limits", QUOTA, ("spec", "hard", "requests.nvidia.com/gpu"), REMOVE),
    agent("ns-quota-and-limits", "LimitRange", (), REMOVE),
    agent("ns-default-deny", "NetworkPolicy agent-my-agent/default-deny", (), REMOVE),
    agent(
        "ns-default-deny",
        "NetworkPolicy agent-my-agent/default-deny",
        ("spec", "policyTypes"),
        ["Ingress"],
    ),
    agent(
        "ns-default-deny",
        "NetworkPolicy agent-my-agent/model-server-from-runtime",
        ("spec", "ingress"),
        _more(_EVERYBODY),
    ),
    agent("agent-complete", QUOTA, (), REMOVE),
    agent("agent-complete", SPACE, ("metadata", "labels", "moltghost.dev/owner"), REMOVE),
    agent(
        "agent-complete",
        "NetworkPolicy agent-my-agent/model-server-from-runtime",
        ("spec", "ingress"),
        _more(_OTHER),
    ),
    agent("quota-no-exposure", QUOTA, ("spec", "hard", "services.nodeports"), "1"),
    agent("ns-no-default", "Service agent-my-agent/runtime", ("metadata", "namespace"), "default"),
    agent("ns-no-default", "Service agent-my-agent/runtime", ("metadata", "namespace"), REMOVE),
    agent("service-not-exposed", "Service agent-my-agent/runtime", ("spec", "type"), "NodePort"),
    agent("stateful-protected", "PersistentVolumeClaim", ("protect",), False),
    agent("secrets-not-literal", RUNTIME, (*_POD, "containers", 0, "env"), _more(_LITERAL)),
    agent(
        "secret-not-elsewhere", RUNTIME, ("metadata", "annotations"), {"note": "known-token-" * 2}
    ),
    agent("ollama-gated", SERVER, (*_OLLAMA, "env"), _env("OLLAMA_HOST", "0.0.0.0:11434")),
    agent("ollama-gated", SERVER, (*_OLLAMA, "ports"), [{"containerPort": 11434}]),
    agent("ollama-gated", SERVER, (*_GATE, "ports"), REMOVE),
    agent(
        "ollama-gated",
        "Service agent-my-agent/model-server",
        ("spec", "ports", 0, "targetPort"),
        11434,
    ),
    agent("context-one-number", SERVER, (*_OLLAMA, "env"), _env("OLLAMA_CONTEXT_LENGTH", "4096")),
    agent("context-one-number", SERVER, (*_LOADER, "env"), _env("LOADER_CONTEXT", "4096")),
    agent(
        "context-one-number",
        "ConfigMap agent-my-agent/openclaw",
        ("data", "openclaw.json"),
        lambda text: text.replace('"num_ctx": 32768', '"num_ctx": 32767'),
    ),
    agent(
        "context-one-number",
        SERVER,
        ("spec", "template", "metadata", "annotations", "moltghost.dev/context"),
        "65536",
    ),
    agent(
        "weights-from-store",
        SERVER,
        (*_WEIGHTS, "args"),
        ["weights", "--from", "s3://somebody-elses/model", "--to", "/models"],
    ),
    agent("weights-from-store", SERVER, (*_OLLAMA, "env"), _env("OLLAMA_NO_CLOUD", "0")),
    agent("weights-from-store", SERVER, (*_OLLAMA, "args"), ["pull", "llama3.1:70b"]),
    agent("node-dedicated", SERVER, (*_POD, "affinity", "podAntiAffinity"), REMOVE),
    agent(
        "node-dedicated",
        SERVER,
        (
            *(*_POD, "affinity", "podAntiAffinity"),
            *("requiredDuringSchedulingIgnoredDuringExecution", 0, "namespaceSelector"),
        ),
        REMOVE,
    ),
    agent(
        "node-price-ceiling",
        SERVER,
        (*_POD, "nodeSelector", "node.kubernetes.io/instance-type"),
        "p5en.48xlarge",
    ),
    agent(
        "node-price-ceiling",
        SERVER,
        ("spec", "template", "metadata", "annotations", "moltghost.dev/node-usd-per-hour"),
        "0.01",
    ),
    agent("monthly-ceiling", SERVER, ("spec", "replicas"), 50),
    # The platform's own program.
    platform("gpu-node-tainted", (*_NODE, "taints"), []),
    platform("gpu-node-labelled", ("spec", "template", "metadata", "labels"), {}),
    platform("gpu-scale-bounds", ("spec", "limits"), REMOVE),
    platform("gpu-scale-bounds", ("spec", "limits", "nodes"), "80"),
    platform("gpu-instance-allowlist", (*_NODE, "requirements", 0, "operator"), "Exists"),
    platform("gpu-instance-allowlist", (*_NODE, "requirements", 0, "values"), ["p3.2xlarge"]),
    platform("gpu-capacity-type", (*_NODE, "requirements", 3, "values"), ["spot"]),
    platform("node-price-ceiling", (*_NODE, "requirements", 0, "values"), ["p5e.48xlarge"]),
    platform("gpu-nvme-instance-store", (*_NODE, "requirements", 0, "values"), _more("m7i.large")),
    # AWS.
    aws("eks-endpoint-not-public", _CLUSTER, ("vpcConfig", "endpointPublicAccess"), True),
    aws("eks-private-endpoint", _CLUSTER, ("vpcConfig", "endpointPrivateAccess"), False),
    aws("eks-secrets-kms", _CLUSTER, ("encryptionConfig",), REMOVE),
    aws("eks-control-plane-logs", _CLUSTER, ("enabledClusterLogTypes",), ["api"]),
    aws("eks-supported-version", _CLUSTER, ("version",), REMOVE),
    aws("eks-auth-mode-api", _CLUSTER, ("accessConfig", "authenticationMode"), "CONFIG_MAP"),
    aws("eks-deletion-protection", _CLUSTER, ("protect",), False),
    aws(
        "eks-admin-access-limited",
        "AccessPolicyAssociation",
        ("policyArn",),
        "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy",
    ),
    aws("vpc-cni-network-policy", "Addon cni", ("configurationValues",), "{}"),
    aws("node-imdsv2-hop-limit", _TEMPLATE, ("metadataOptions", "httpTokens"), "optional"),
    aws(
        "node-imdsv2-hop-limit",
        "EC2NodeClass",
        ("spec", "metadataOptions", "httpPutResponseHopLimit"),
        2,
    ),
    aws("node-ebs-encrypted", _TEMPLATE, ("blockDeviceMappings", 0, "ebs", "encrypted"), "false"),
    aws(
        "node-ebs-encrypted",
        "EC2NodeClass",
        ("spec", "blockDeviceMappings", 0, "ebs", "encrypted"),
        False,
    ),
    aws("node-no-remote-access", _GROUP, ("remoteAccess",), {"ec2SshKey": "key"}),
    aws("node-no-public-ip", "Subnet", ("mapPublicIpOnLaunch",), True),
    aws("sg-no-open-ingress", "SecurityGroup nodes", ("ingress", 0, "cidrBlocks"), ["0.0.0.0/0"]),
    aws("gpu-node-tainted", _GROUP, ("taints",), []),
    aws("gpu-node-labelled", _GROUP, ("labels",), {}),
    aws("gpu-scale-bounds", _GROUP, ("scalingConfig", "maxSize"), 100),
    aws("gpu-instance-allowlist", _TEMPLATE, ("instanceType",), "g4dn.xlarge"),
    aws("gpu-ami-accelerated", _GROUP, ("amiType",), "AL2023_x86_64_STANDARD"),
    aws("gpu-nvme-instance-store", "EC2NodeClass", ("spec", "instanceStorePolicy"), REMOVE),
    aws(
        "iam-no-star",
        "Policy agent",
        ("policy",),
        '{"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}',
    ),
    aws(
        "iam-no-admin-attachments",
        "RolePolicyAttachment",
        ("policyArn",),
        "arn:aws:iam::aws:policy/AdministratorAccess",
    ),
    aws("pod-identity-scoped", "Role agent", ("assumeRolePolicy",), "{}"),
    aws("rbac-no-wildcards", "Role agent-x/reader", ("rules", 0, "verbs"), ["*"]),
    aws("required-tags", _CLUSTER, ("tags",), {}),
    aws("kms-rotation", "Key secrets", ("enableKeyRotation",), False),
    aws("s3-private-encrypted", "BucketPublicAccessBlock", (), REMOVE),
    aws("s3-private-encrypted", "BucketServerSideEncryption", (), REMOVE),
    aws("ecr-immutable-scanned", "Repository", ("imageTagMutability",), "MUTABLE"),
    aws("log-retention", "LogGroup", ("retentionInDays",), REMOVE),
    aws("stateful-protected", "Bucket weights", ("protect",), False),
    aws("monthly-ceiling", _GROUP, ("scalingConfig", "maxSize"), 8),
    aws("node-price-ceiling", _GROUP, ("instanceTypes",), ["p5en.48xlarge"]),
)

_DEV, _DEV_PLATFORM = "dev", "platform.dev"
_CLASS = "EC2NodeClass l40s"
_STAR = '{"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}'

# The AWS environment's own programs.
MUTANTS += (
    Mutant("eks-endpoint-not-public", _DEV, "Cluster", ("vpcConfig", "endpointPublicAccess"), True),
    Mutant("eks-private-endpoint", _DEV, "Cluster", ("vpcConfig", "endpointPrivateAccess"), False),
    Mutant("eks-secrets-kms", _DEV, "Cluster", ("encryptionConfig",), REMOVE),
    Mutant("eks-control-plane-logs", _DEV, "Cluster", ("enabledClusterLogTypes",), ["api"]),
    Mutant("eks-supported-version", _DEV, "Cluster", ("version",), "1.29"),
    Mutant("eks-auth-mode-api", _DEV, "Cluster", ("accessConfig",), REMOVE),
    Mutant("eks-deletion-protection", _DEV, "Cluster", ("deletionProtection",), False),
    Mutant("vpc-cni-network-policy", _DEV, "Addon vpc-cni", ("configurationValues",), REMOVE),
    Mutant(
        "node-imdsv2-hop-limit",
        _DEV,
        "LaunchTemplate",
        ("metadataOptions", "httpTokens"),
        "optional",
    ),
    Mutant(
        "node-ebs-encrypted",
        _DEV,
        "LaunchTemplate",
        ("blockDeviceMappings", 0, "ebs", "encrypted"),
        "false",
    ),
    Mutant("node-no-remote-access", _DEV, "LaunchTemplate", ("keyName",), "key"),
    Mutant("node-no-public-ip", _DEV, "Subnet subnet-isolated", ("mapPublicIpOnLaunch",), True),
    Mutant("sg-no-open-ingress", _DEV, "SecurityGroupIngressRule", ("cidrIpv4",), "0.0.0.0/0"),
    Mutant("iam-no-star", _DEV, "RolePolicy karpenter-role", ("policy",), _STAR),
    Mutant(
        "iam-no-admin-attachments",
        _DEV,
        "RolePolicyAttachment",
        ("policyArn",),
        "arn:aws:iam::aws:policy/AdministratorAccess",
    ),
    Mutant("required-tags", _DEV, "NatGateway", ("tags",), {}),
    Mutant("kms-rotation", _DEV, "Key cluster-key", ("enableKeyRotation",), False),
    Mutant("stateful-protected", _DEV, "Bucket weights", ("protect",), False),
    Mutant("s3-private-encrypted", _DEV, "BucketPublicAccessBlock", (), REMOVE),
    Mutant("ecr-immutable-scanned", _DEV, "Repository", ("imageTagMutability",), "MUTABLE"),
    Mutant("log-retention", _DEV, "LogGroup", ("retentionInDays",), REMOVE),
    Mutant(
        "gpu-node-tainted", _DEV_PLATFORM, _POOL, ("spec", "template", "spec", "taints"), REMOVE
    ),
    Mutant("gpu-node-labelled", _DEV_PLATFORM, _POOL, ("spec", "template", "metadata"), {}),
    Mutant("gpu-scale-bounds", _DEV_PLATFORM, _POOL, ("spec", "limits"), REMOVE),
    Mutant(
        "gpu-ami-accelerated",
        _DEV_PLATFORM,
        _CLASS,
        ("spec", "amiSelectorTerms"),
        [{"alias": "al2023@latest"}],
    ),
    Mutant(
        "gpu-nvme-instance-store", _DEV_PLATFORM, _CLASS, ("spec", "instanceStorePolicy"), REMOVE
    ),
    Mutant(
        "node-imdsv2-hop-limit",
        _DEV_PLATFORM,
        _CLASS,
        ("spec", "metadataOptions"),
        {"httpPutResponseHopLimit": 2},
    ),
    Mutant("node-no-public-ip", _DEV_PLATFORM, _CLASS, ("spec", "associatePublicIPAddress"), True),
    Mutant(
        "eks-admin-access-limited",
        _DEV,
        "AccessPolicyAssociation",
        ("principalArn",),
        "arn:aws:iam::111122223333:role/somebody",
    ),
    Mutant(
        "rbac-no-wildcards",
        _DEV_PLATFORM,
        "ClusterRole moltghost-deployers",
        ("rules", 0, "verbs"),
        ["*"],
    ),
    Mutant(
        "rbac-no-escalation",
        _DEV_PLATFORM,
        "ClusterRole moltghost-deployers-in-agents",
        ("rules", 1, "resources"),
        ["pods/exec"],
    ),
    Mutant(
        "iam-no-escalation",
        _DEV,
        "Policy deployers-policy",
        ("policy",),
        lambda text: text.replace("role/moltghost-dev-agent-*", "role/*"),
    ),
    Mutant(
        "iam-trust-named",
        _DEV,
        "Key disks-key",
        ("policy",),
        lambda text: text.replace("kms:CallerAccount", "kms:EncryptionContextKeys"),
    ),
    Mutant(
        "admission-denies",
        _DEV_PLATFORM,
        "ValidatingAdmissionPolicyBinding moltghost-agent-pods",
        ("spec", "validationActions"),
        ["Warn"],
    ),
    Mutant(
        "admission-complete",
        _DEV_PLATFORM,
        "ValidatingAdmissionPolicy moltghost-gpu-nodes",
        (),
        REMOVE,
    ),
    Mutant("growth-bounded", _DEV_PLATFORM, "NodePool cpu", ("spec", "limits"), REMOVE),
    Mutant(
        "storage-class-encrypted",
        _DEV_PLATFORM,
        "StorageClass moltghost",
        ("parameters", "encrypted"),
        "false",
    ),
    Mutant("endpoint-policies", _DEV, "VpcEndpoint endpoint-s3", ("policy",), REMOVE),
    Mutant("network-walled", _DEV, "ResolverFirewallConfig", ("firewallFailOpen",), "ENABLED"),
    Mutant("nodes-isolated", _DEV_PLATFORM, _CLASS, ("spec", "subnetSelectorTerms"), []),
    Mutant("vpc-cni-declared", _DEV, "Addon vpc-cni", (), REMOVE),
    # An agent in production.
    Mutant("pod-identity-scoped", PRODUCTION_AGENT, "Role agent-role", ("assumeRolePolicy",), "{}"),
    Mutant("iam-no-star", PRODUCTION_AGENT, "RolePolicy agent-role-policy", ("policy",), _STAR),
    Mutant(
        "gate-closed",
        PRODUCTION_AGENT,
        "ConfigMap agent-an-agent/gate",
        ("data", "Caddyfile"),
        lambda text: text.replace("/api/show", "/api/show /api/delete"),
    ),
    Mutant(
        "agent-pools",
        PRODUCTION_AGENT,
        "Namespace agent-an-agent",
        ("metadata", "annotations", "moltghost.dev/pools"),
        "h100,weights",
    ),
    Mutant(
        "image-account",
        PRODUCTION_AGENT,
        "Deployment agent-an-agent/model-server",
        (*_GATE, "image"),
        lambda image: image.replace("111122223333", "999988887777"),
    ),
    Mutant(
        "image-digest",
        PRODUCTION_AGENT,
        "Deployment agent-an-agent/runtime",
        (*_POD, "containers", 0, "image"),
        lambda image: image.partition("@")[0],
    ),
    Mutant(
        "weights-from-store",
        PRODUCTION_AGENT,
        "Deployment agent-an-agent/model-server",
        (*_WEIGHTS, "args"),
        lambda args: [each.replace("moltghost-weights", "somebody-elses") for each in args],
    ),
)
