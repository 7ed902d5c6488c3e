"""The plan of an environment's cloud layer."""

from __future__ import annotations

from pydantic import Field

from moltghost import paths
from moltghost.config import Environment
from moltghost.planning.base import Plan

EMBEDDED_ZONES = ("local-a", "local-b")


class NodeClass(Plan):
    """The cloud's side of a Karpenter pool."""

    group: str
    kind: str
    version: str
    name: str


class Storage(Plan):
    """How volumes that outlive a pod are made: the StorageClass ``moltghost``."""

    provisioner: str
    parameters: dict[str, str] = Field(default_factory=dict)


class WeightsStore(Plan):
    """Where model stores are read from."""

    url: str
    """Bucket URL; a model's store lies below it."""
    endpoint: str = ""
    """S3 endpoint where it is not AWS's own."""
    egress_cidrs: tuple[str, ...] = ()
    """Addresses that pods need to reach for it, TCP 443. Empty: nothing is reachable."""


class CloudPlan(Plan):
    """What the cloud provides, as far as it is decided before anything exists."""

    environment: str
    provider: str
    simulated_nodes: bool
    """True where nodes are simulated: scheduled and scaled for real, but nothing runs in them."""
    cluster_name: str
    kubeconfig: str
    """Path of the kubeconfig."""
    zones: tuple[str, ...]
    node_class: NodeClass
    storage: Storage
    weights_store: WeightsStore


def plan_cloud(environment: Environment) -> CloudPlan:
    """Decide the cloud layer of an environment."""
    return CloudPlan(
        environment=environment.name,
        provider=environment.cloud.provider,
        simulated_nodes=environment.cloud.provider == "embedded",
        cluster_name=f"moltghost-{environment.name}",
        kubeconfig=environment.cloud.kubeconfig or str(paths.kubeconfig()),
        zones=EMBEDDED_ZONES,
        node_class=NodeClass(
            group="karpenter.kwok.sh", kind="KWOKNodeClass", version="v1alpha1", name="default"
        ),
        storage=Storage(provisioner="kwok.x-k8s.io/volume"),
        weights_store=WeightsStore(url=f"s3://moltghost-weights-{environment.name}"),
    )
