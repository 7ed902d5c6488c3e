"""What every plan of an environment's cloud layer says, whichever provider it is."""

from __future__ import annotations

from urllib.parse import urlsplit

from pydantic import Field

from moltghost.labels import ZONE_LABEL
from moltghost.planning.base import Plan
from moltghost.planning.images import Images, pinned_images
from moltghost.planning.karpenter import NodeClass
from moltghost.planning.pools import NodesPlan
from moltghost.store_layout import StoreKey

HTTPS_PORT = 443


class Storage(Plan):
    """How volumes that outlive a pod are made: the StorageClass ``moltghost``."""

    provisioner: str
    parameters: dict[str, str] = Field(default_factory=dict)


class Kubeconfig(Plan):
    """Which file lets programs into the cluster; `moltghost.kube.kubeconfig` knows where it is."""

    path: str = ""
    """As a person wrote it into the config; empty: it is one that we write."""
    written_to: str = ""
    """Below the folder of state, where we write it."""


class WeightsStore(Plan):
    """Where model stores are read from."""

    url: str
    """Bucket URL; a model's store lies below it."""
    endpoint: str = ""
    """S3 endpoint where it is not AWS's own."""
    egress_cidrs: tuple[str, ...] = ()
    """Addresses that pods need to reach for it, on `port`. Empty: nothing is reachable."""

    @property
    def port(self) -> int:
        """TCP port of the endpoint."""
        return urlsplit(self.endpoint).port or HTTPS_PORT


class CloudPlan(Plan):
    """What the cloud provides, as far as it is decided before anything exists."""

    environment: str
    provider: str
    simulated_nodes: bool
    """True where nodes are simulated: scheduled and scaled for real, but nothing runs in them."""
    machine: NodesPlan | None = None
    """The machine's own node, called as its pool, where there is one: what is placed on it is not
    simulated."""
    cluster_name: str
    kubeconfig: Kubeconfig
    region: str = ""
    """Where types must be on offer; empty: nodes are simulated, so all are."""
    zones: tuple[str, ...]
    zone_label: str = ZONE_LABEL
    """The node label that ``zones`` are values of."""
    node_class: NodeClass
    storage: Storage
    weights_store: WeightsStore
    images: Images = Field(default_factory=pinned_images)
    """What agents' pods run, where this environment's nodes pull it from."""

    def store_url(self, model: str, quantization: str) -> str:
        """URL of a model's store in this environment, without a slash at its end."""
        store = StoreKey(
            ollama_version=self.images.ollama_version, model=model, quantization=quantization
        )
        return store.url(self.weights_store.url)

    def node_class_of(self, pool: str) -> NodeClass:
        """The node class of a pool."""
        return self.node_class
