"""What only Karpenter knows of a pool: how it makes the nodes, and the words that it uses.

Everything else meets a pool as `moltghost.planning.pools` has it.
"""

from __future__ import annotations

from moltghost.labels import INSTANCE_TYPE_LABEL
from moltghost.planning.base import Plan
from moltghost.planning.pools import NodesPlan, Taint

GROUP = "karpenter.sh"
API_VERSION = f"{GROUP}/v1"
NODE_POOL_LABEL = f"{GROUP}/nodepool"
CAPACITY_TYPE_LABEL = f"{GROUP}/capacity-type"
DISRUPTED_TAINT_KEY = f"{GROUP}/disrupted"
"""On a node that Karpenter is about to remove."""
_DO_NOT_DISRUPT = {f"{GROUP}/do-not-disrupt": "true"}

# A node that is drained must outlast the longest thing on it: a stream of 10 minutes with the
# gate's margin, or OpenClaw's own shutdown budget of 345 s.
NODE_TERMINATION_GRACE_SECONDS = 1800
# An emptied GPU node is given back soon after, but not between two steps of one update.
CONSOLIDATE_AFTER_SECONDS = 60


class NodeClass(Plan):
    """The cloud's side of a Karpenter pool."""

    group: str
    kind: str
    version: str
    name: str


class KarpenterPool(Plan):
    """How Karpenter makes a pool's nodes."""

    zones: tuple[str, ...]
    zone_label: str
    architecture: str = "amd64"
    capacity_types: tuple[str, ...] = ("reserved", "on-demand")
    """In order of preference; Karpenter takes reserved capacity first."""
    labels: dict[str, str]
    """That its nodes get besides those of Karpenter."""
    consolidate_after_seconds: int = CONSOLIDATE_AFTER_SECONDS
    termination_grace_seconds: int = NODE_TERMINATION_GRACE_SECONDS
    node_class: NodeClass


def nodes_of(pool: str, taints: tuple[Taint, ...]) -> NodesPlan:
    """The nodes of a NodePool, or nodes that are labelled as Karpenter's."""
    return NodesPlan(
        name=pool,
        selector={NODE_POOL_LABEL: pool},
        type_label=INSTANCE_TYPE_LABEL,
        taints=taints,
        pod_annotations=_DO_NOT_DISRUPT,
    )
