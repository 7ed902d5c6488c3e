"""Kubernetes objects of the node: roles of its programs, and Services of what isn't in a pod."""

from __future__ import annotations

from pathlib import Path

from moltghost.kube.client import Client
from moltghost.labels import SYSTEM_NAMESPACE

_MANAGER = "moltghost-local"
_ROLES = Path(__file__).with_name("roles.yaml")


def roles() -> list[str]:
    """YAML of each role of the node's programs, and of the namespace of Services."""
    return _ROLES.read_text().split("\n---\n")


def publish_service(client: Client, name: str, address: str, port: int) -> str:
    """Let pods reach an address of the node's network under a Service's name.

    Args:
        client: the administrator's.
        name: of the Service, in ``moltghost-system``.
        address: such as the node's own, where a process of ours listens.
        port: of the address and of the Service.

    Returns:
        The Service's DNS name.

    Raises:
        Failed: the API server refused it.
    """
    metadata = {"name": name, "namespace": SYSTEM_NAMESPACE}
    port_name = "tcp"
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {"ports": [{"name": port_name, "port": port, "protocol": "TCP"}]},
    }
    slices = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {**metadata, "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4",
        "ports": [{"name": port_name, "port": port, "protocol": "TCP"}],
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
    }
    client.apply(service, manager=_MANAGER)
    client.apply(slices, manager=_MANAGER)
    return f"{name}.{SYSTEM_NAMESPACE}.svc.cluster.local"
