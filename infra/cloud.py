"""The cloud layer: what the cloud provides. On the embedded cluster that is already there."""

from __future__ import annotations

import pulumi

from moltghost.kube.kubeconfig import kubeconfig_path
from moltghost.planning.aws.cloud import AwsCloudPlan
from moltghost.planning.environment import CloudPlan


def declare_cloud(plan: CloudPlan) -> None:
    """Declare what the provider has to make, and export the facts that the layers above read."""
    if isinstance(plan, AwsCloudPlan):
        # Loading AWS's SDK takes a second that no other environment has to wait for.
        from moltghost.infra.aws_cloud import declare_aws_cloud

        declare_aws_cloud(plan)
        return
    pulumi.export("provider", plan.provider)
    pulumi.export("simulated_nodes", plan.simulated_nodes)
    pulumi.export("cluster_name", plan.cluster_name)
    pulumi.export("kubeconfig", str(kubeconfig_path(plan)))
    pulumi.export("zones", list(plan.zones))
    pulumi.export("weights_store_url", plan.weights_store.url)
