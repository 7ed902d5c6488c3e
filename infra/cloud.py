"""The cloud layer: what the cloud provides. On the embedded cluster that is already there."""

from __future__ import annotations

import pulumi

from moltghost.planning.cloud_base import CloudPlan


def declare_cloud(plan: CloudPlan) -> None:
    """Export the facts that the layers above read."""
    pulumi.export("provider", plan.provider)
    pulumi.export("simulated_nodes", plan.simulated_nodes)
    pulumi.export("cluster_name", plan.cluster_name)
    pulumi.export("kubeconfig", plan.kubeconfig)
    pulumi.export("zones", list(plan.zones))
    pulumi.export("weights_store_url", plan.weights_store.url)
