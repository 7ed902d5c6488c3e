"""The plan of an environment's cloud layer."""

from __future__ import annotations

from moltghost import paths
from moltghost.config import AwsCloudSpec, EmbeddedCloudSpec, Environment
from moltghost.labels import SYSTEM_NAMESPACE
from moltghost.planning.cloud_base import CloudPlan, MachineNode, NodeClass, Storage, WeightsStore
from moltghost.planning.images import local_images, pinned_images
from moltghost.store_layout import bucket_url

EMBEDDED_ZONES = ("local-a", "local-b")
EMBEDDED_STORE_ENDPOINT = f"http://weights.{SYSTEM_NAMESPACE}.svc.cluster.local:7070"
"""The embedded cluster's own weights store, as its pods reach it."""
MACHINE_NETWORK = "198.18.0.0/15"
"""Where that store is: this machine and its node talk over a part of it that is free (RFC 2544)."""


def plan_cloud(environment: Environment) -> CloudPlan:
    """Decide the cloud layer of an environment.

    Raises:
        Refused: on AWS, a version or type isn't one that this can do.
    """
    if isinstance(environment.cloud, AwsCloudSpec):
        # Every command asks for the plan of its environment; AWS's facts take long to read.
        from moltghost.planning.aws.cloud import plan_aws_cloud

        return plan_aws_cloud(environment.name, environment.cloud)
    return _plan_embedded(environment.name, environment.cloud)


def _plan_embedded(environment: str, spec: EmbeddedCloudSpec) -> CloudPlan:
    return CloudPlan(
        environment=environment,
        provider=spec.provider,
        simulated_nodes=True,
        machine=MachineNode() if spec.machine else None,
        cluster_name=f"moltghost-{environment}",
        kubeconfig=spec.kubeconfig or str(paths.kubeconfig()),
        zones=EMBEDDED_ZONES,
        node_class=NodeClass(
            group="karpenter.kwok.sh", kind="KWOKNodeClass", version="v1alpha1", name="default"
        ),
        storage=Storage(provisioner="kwok.x-k8s.io/volume"),
        weights_store=WeightsStore(
            url=bucket_url(embedded_bucket(environment)),
            endpoint="" if spec.kubeconfig else EMBEDDED_STORE_ENDPOINT,
            egress_cidrs=() if spec.kubeconfig else (MACHINE_NETWORK,),
        ),
        # A cluster that isn't ours can't be given archives: it pulls what upstream publishes.
        images=pinned_images() if spec.kubeconfig else local_images(),
    )


def embedded_bucket(environment: str) -> str:
    """The bucket of an environment in the embedded cluster's own store."""
    return f"moltghost-weights-{environment}"
