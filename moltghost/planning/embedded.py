"""The plan of the cloud layer of an environment on the embedded cluster, or on one you brought."""

from __future__ import annotations

from moltghost.config import EmbeddedCloudSpec
from moltghost.labels import SYSTEM_NAMESPACE
from moltghost.planning.environment import CloudPlan, Kubeconfig, Storage, WeightsStore
from moltghost.planning.images import local_images, pinned_images
from moltghost.planning.karpenter import NodeClass, nodes_of
from moltghost.planning.pools import pool_taint
from moltghost.sizing.request import MACHINE
from moltghost.store_layout import bucket_url

EMBEDDED_ZONES = ("local-a", "local-b")
EMBEDDED_STORE_ENDPOINT = f"http://weights.{SYSTEM_NAMESPACE}.svc.cluster.local:7070"
"""The embedded cluster's own weights store, as its pods reach it."""
MACHINE_NETWORK = "198.18.0.0/15"
"""Where that store is: this machine and its node talk over a part of it that is free (RFC 2544)."""
MACHINE_NODES = nodes_of(MACHINE, (pool_taint(MACHINE),))
"""The machine's own node, labelled as Karpenter's are; Karpenter has no such pool."""


def plan_embedded_cloud(environment: str, spec: EmbeddedCloudSpec) -> CloudPlan:
    """Decide the cloud layer: nodes are simulated, but for the machine's own."""
    return CloudPlan(
        environment=environment,
        provider=spec.provider,
        simulated_nodes=True,
        machine=MACHINE_NODES if spec.machine else None,
        cluster_name=f"moltghost-{environment}",
        kubeconfig=(
            Kubeconfig(path=spec.kubeconfig)
            if spec.kubeconfig
            else Kubeconfig(written_to="cluster/kubeconfig")
        ),
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
