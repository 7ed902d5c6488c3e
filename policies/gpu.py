"""GPU nodes: kept apart, bounded, of the types that were planned, with their NVMe used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import wraps

from .instances import (
    NODE_POOL,
    family,
    has_gpu,
    holds_gpus,
    instance_types,
    node_sources,
    requirement,
    types_of,
)
from .nodes import LAUNCH_TEMPLATE, NODE_CLASS, NODE_GROUP
from .pods import GPU
from .reading import get, has, items, mapping, quantity
from .rule import (
    ADVISORY,
    HIGH,
    LOW,
    MEDIUM,
    Check,
    Config,
    StackCheck,
    rule,
    stack_rule,
    texts,
)
from .subject import Subject

_LABEL = "nvidia.com/gpu.present"
_CAPACITY = "karpenter.sh/capacity-type"


def _over_nodes(check: Check) -> StackCheck:
    """A check of node groups and pools: it takes the stack to know a group's launch template."""

    @wraps(check)
    def over(subjects: Sequence[Subject], config: Config) -> Iterator[tuple[Subject, str]]:
        for nodes in node_sources(subjects):
            for problem in check(nodes, config):
                yield nodes, problem

    return over


_NODES = (NODE_GROUP, NODE_POOL)


@stack_rule(
    why="A small pod on a GPU node keeps it alive, at up to 63 USD an hour.",
    fix=f"add the taint {GPU}=present:NoSchedule",
    severity=HIGH,
    types=_NODES,
    sources=("EKS BPG aiml_compute",),
)
@_over_nodes
def gpu_node_tainted(nodes: Subject, _config: Config) -> Iterator[str]:
    """GPU nodes have a taint that keeps other pods off."""
    if not holds_gpus(nodes):
        return
    karpenter = nodes.type == NODE_POOL
    taints = items(nodes.props, "spec.template.spec.taints" if karpenter else "taints")
    effect = "NoSchedule" if karpenter else "NO_SCHEDULE"
    if not any(get(each, "key") == GPU and get(each, "effect") == effect for each in taints):
        yield f"its GPU nodes lack the taint {GPU}:NoSchedule"


@stack_rule(
    why="The device plugin's DaemonSet runs where the label is.",
    fix=f"add the label {_LABEL}=true",
    severity=MEDIUM,
    types=_NODES,
    sources=("EKS BPG aiml_compute",),
)
@_over_nodes
def gpu_node_labelled(nodes: Subject, _config: Config) -> Iterator[str]:
    """GPU nodes carry the label by which device plugins and people select them."""
    if not holds_gpus(nodes):
        return
    inside = "spec.template.metadata.labels" if nodes.type == NODE_POOL else "labels"
    if mapping(nodes.props, inside).get(_LABEL) != "true":
        yield f"its GPU nodes lack the label {_LABEL}=true"


@stack_rule(
    why="One loop that creates pods would otherwise buy nodes until the quota ends.",
    fix="set limits.nodes (NodePool) or scalingConfig (node group) within the rule's bounds",
    severity=HIGH,
    types=_NODES,
    schema={
        "maxNodes": {
            "type": "number",
            "default": 8,
            "description": "GPU nodes that one pool may have.",
        },
        "maxIdleNodes": {
            "type": "number",
            "default": 0,
            "description": "GPU nodes that a node group may keep without work.",
        },
    },
)
@_over_nodes
def gpu_scale_bounds(nodes: Subject, config: Config) -> Iterator[str]:
    """The number of GPU nodes is bounded, and none is kept idle."""
    if not holds_gpus(nodes):
        return
    limit, most = config["maxNodes"], None
    if nodes.type == NODE_POOL:
        most = quantity(get(nodes.props, "spec.limits.nodes", ""))
    elif has(nodes.props, "scalingConfig.maxSize"):
        most = quantity(get(nodes.props, "scalingConfig.maxSize"))
    if most is None:
        yield "nothing bounds how many GPU nodes it makes"
    elif most > limit:
        yield f"it may make {most:.0f} GPU nodes, and {limit:g} are allowed"
    fewest = quantity(get(nodes.props, "scalingConfig.minSize", 0)) or 0
    if fewest > config["maxIdleNodes"]:
        yield f"it keeps {fewest:.0f} GPU nodes even when no agent needs them"


@rule(
    why="What isn't sized and priced beforehand surprises in memory, driver or price.",
    fix="name instance types of allowed families, or allow the family in the rule's config",
    severity=HIGH,
    types=(*_NODES, LAUNCH_TEMPLATE),
    schema={
        "families": texts(
            ["g6e", "p4d", "p4de", "p5"], "Families of GPU instances that may be used."
        )
    },
)
def gpu_instance_allowlist(nodes: Subject, config: Config) -> Iterator[str]:
    """GPU machines are of the families that are planned for, by name."""
    named = types_of(nodes)
    if nodes.type == NODE_POOL and not named:
        yield "it names no instance types, so Karpenter may buy any"
    for kind in named:
        if has_gpu(kind) and family(kind) not in config["families"]:
            yield f"it may make {kind}, whose family is none of {', '.join(config['families'])}"


@stack_rule(
    why="A reclaimed node takes the model out of service within two minutes.",
    fix="name capacity types without spot, or allow it in the rule's config",
    severity=LOW,
    level=ADVISORY,
    types=_NODES,
    sources=("EKS BPG aiml_compute",),
    schema={
        "spot": {
            "type": "boolean",
            "default": False,
            "description": "Whether spot nodes are allowed.",
        }
    },
)
@_over_nodes
def gpu_capacity_type(nodes: Subject, config: Config) -> Iterator[str]:
    """How GPU nodes are bought is said, and is not spot."""
    if not holds_gpus(nodes):
        return
    if nodes.type == NODE_POOL:
        kinds = [each.upper().replace("-", "_") for each in requirement(nodes, _CAPACITY)]
    else:
        kinds = [str(get(nodes.props, "capacityType"))] if has(nodes.props, "capacityType") else []
    if not kinds:
        yield "it doesn't say how its GPU nodes are bought"
    if "SPOT" in kinds and not config["spot"]:
        yield "AWS may take its GPU nodes back at any time: it allows spot"


def _ami(nodes: Subject, _config: Config) -> Iterator[str]:
    if nodes.type == NODE_CLASS:
        for term in items(nodes.props, "spec.amiSelectorTerms"):
            if str(get(term, "alias", "")).endswith("@latest"):
                yield "its AMI changes by itself: the alias ends in @latest"
    elif holds_gpus(nodes):
        kind = str(get(nodes.props, "amiType", ""))
        if "NVIDIA" not in kind and kind != "CUSTOM":
            yield f"its AMI type {kind or '(default)'} has no NVIDIA driver"


@stack_rule(
    why="Without the driver pods wait for ever; a changing image changes the driver unseen.",
    fix="use an AL2023 or Bottlerocket NVIDIA image, and pin its version",
    severity=MEDIUM,
    level=ADVISORY,
    types=(NODE_GROUP, NODE_CLASS),
)
def gpu_ami_accelerated(
    subjects: Sequence[Subject], config: Config
) -> Iterator[tuple[Subject, str]]:
    """GPU nodes start from a pinned image with the NVIDIA driver."""
    classes = [each for each in subjects if each.type == NODE_CLASS]
    groups = [each for each in node_sources(subjects) if each.type == NODE_GROUP]
    for nodes in (*classes, *groups):
        for problem in _ami(nodes, config):
            yield nodes, problem


@stack_rule(
    why="Loading 40 GB from a network disk takes minutes more, at the node's price.",
    fix="choose a type with NVMe, and set instanceStorePolicy: RAID0 in its EC2NodeClass",
    severity=MEDIUM,
    level=ADVISORY,
    types=_NODES,
    sources=("EKS BPG aiml_performance",),
)
def gpu_nvme_instance_store(
    subjects: Sequence[Subject], _config: Config
) -> Iterator[tuple[Subject, str]]:
    """Weights lie on the NVMe of GPU nodes."""
    classes = {get(s.props, "metadata.name"): s for s in subjects if s.type == NODE_CLASS}
    for nodes in filter(holds_gpus, node_sources(subjects)):
        for kind in types_of(nodes):
            if kind in instance_types() and not instance_types()[kind].nvme:
                yield nodes, f"{kind} has no NVMe, so weights load from the network disk"
        node_class = classes.get(get(nodes.props, "spec.template.spec.nodeClassRef.name"))
        if node_class and get(node_class.props, "spec.instanceStorePolicy") != "RAID0":
            yield (
                nodes,
                f"{node_class.title} leaves its NVMe unused: instanceStorePolicy is not RAID0",
            )
