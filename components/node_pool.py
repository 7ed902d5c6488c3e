"""A pool as a Karpenter NodePool: the same object in every environment but for its node class."""

from __future__ import annotations

import pulumi
import pulumi_kubernetes as k8s

from moltghost.components.naming import seconds
from moltghost.labels import INSTANCE_TYPE_LABEL
from moltghost.planning.karpenter import API_VERSION, CAPACITY_TYPE_LABEL
from moltghost.planning.platform import PoolPlan


class NodePool(pulumi.ComponentResource):
    """One NodePool.

    Nodes are only removed when they are empty: a model server is never moved to save money, a
    changed AMI never drains it (drift budget 0), and no node expires.
    """

    def __init__(
        self,
        name: str,
        plan: PoolPlan,
        labels: dict[str, str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("moltghost:platform:NodePool", name, None, opts)
        self.node_pool = k8s.apiextensions.CustomResource(
            f"{name}-node-pool",
            api_version=API_VERSION,
            kind="NodePool",
            metadata=k8s.meta.v1.ObjectMetaArgs(name=plan.name, labels=labels),
            spec={
                "template": {
                    "metadata": {"labels": {**labels, **plan.karpenter.labels}},
                    "spec": _node_spec(plan),
                },
                "disruption": {
                    "consolidationPolicy": "WhenEmpty",
                    "consolidateAfter": seconds(plan.karpenter.consolidate_after_seconds),
                    "budgets": [
                        {"nodes": "100%", "reasons": ["Empty"]},
                        {"nodes": "0", "reasons": ["Drifted", "Underutilized"]},
                    ],
                },
                "limits": {"nodes": str(plan.max_nodes)},
            },
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})


def _node_spec(plan: PoolPlan) -> dict[str, object]:
    made = plan.karpenter
    return {
        "nodeClassRef": {
            "group": made.node_class.group,
            "kind": made.node_class.kind,
            "name": made.node_class.name,
        },
        "requirements": [
            _requirement(INSTANCE_TYPE_LABEL, plan.instance_types),
            _requirement(made.zone_label, made.zones),
            _requirement("kubernetes.io/arch", (made.architecture,)),
            _requirement(CAPACITY_TYPE_LABEL, made.capacity_types),
        ],
        "taints": [taint.model_dump() for taint in plan.taints],
        "expireAfter": "Never",
        "terminationGracePeriod": seconds(made.termination_grace_seconds),
    }


def _requirement(key: str, values: tuple[str, ...]) -> dict[str, object]:
    return {"key": key, "operator": "In", "values": list(values)}
