"""One cluster's node on this machine: whether it has one, its parts, what remains of it."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from moltghost.errors import Failed
from moltghost.files import make_private_folder, write_private
from moltghost.kube.client import Client
from moltghost.local.cluster import credentials
from moltghost.local.cluster.health import Check, HealthCheck
from moltghost.local.cluster.layout import Layout
from moltghost.local.cluster.processes import Command, ProcessTable
from moltghost.local.node import cgroups, network
from moltghost.local.node.components import INIT, READY, NodeComponents
from moltghost.local.node.configuration import (
    CONTAINERD_SOCKET,
    DNS_HEALTH_PORT,
    KUBELET_HEALTH_PORT,
    NAME,
    PROXY_HEALTH_PORT,
    Configuration,
)
from moltghost.local.node.images import ImageStore, pause_reference, write_pause_image

#: In the order in which they are started.
PROCESSES = (
    INIT,
    "machine-forward",
    "machine-volumes",
    "containerd",
    "kubelet",
    "kube-proxy",
    "coredns",
)

_READY_SECONDS = 90.0
_POLL_SECONDS = 0.1
_GRPC_SECONDS = 2.0
_SERVING = b"\x08\x01"  # grpc.health.v1.HealthCheckResponse{status: SERVING}


class MachineNode:
    """The node of one cluster.

    Args:
        layout: the cluster's files.
        supervisor: the cluster's processes.
    """

    def __init__(self, layout: Layout, supervisor: ProcessTable) -> None:
        self._layout = layout
        self._supervisor = supervisor

    @property
    def choice(self) -> bool | None:
        """Whether the cluster has a node on this machine; ``None`` if nobody has said."""
        try:
            return json.loads(self._layout.machine.read_text())["subnet"] is not None
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    @property
    def address(self) -> str:
        """The node's address, reachable from this machine and from pods; "" without a node."""
        cable = network.read_cable(self._layout.home, self._layout.machine)
        return cable.far if cable else ""

    @property
    def images(self) -> ImageStore:
        """The images of the node, while it runs."""
        return ImageStore(self.file(CONTAINERD_SOCKET))

    def file(self, path: str) -> Path:
        """A file of the node, as this machine sees it while the node runs."""
        return Path(f"/proc/{self._pid()}/root{path}")

    def inside(self, command: Command) -> Command:
        """The same command, run in the node's namespaces.

        Raises:
            Failed: the node does not run.
        """
        pid = self._pid()
        if not pid:
            raise Failed("the machine's own node does not run", "moltghost local up")
        return Command(
            name=command.name,
            arguments=command.arguments,
            environment=command.environment,
            files=command.files,
            namespaces=str(pid),
            umask=command.umask,
        )

    def prepare(self) -> None:
        """Choose the node's addresses, unless they are chosen and still free."""
        network.ensure_cable(self._layout.home, self._layout.machine)

    def write_configuration(self, ports: Mapping[str, int]) -> NodeComponents:
        """Write the configuration of the node's programs."""
        layout = self._layout
        cable = network.ensure_cable(layout.home, layout.machine)
        configuration = Configuration(
            layout=layout,
            cable=cable,
            cgroup=self._cgroup,
            proxy_kubeconfig=layout.user_kubeconfig(credentials.KUBE_PROXY.name),
            dns_kubeconfig=layout.user_kubeconfig(credentials.COREDNS.name),
        )
        for file, content in configuration.files().items():
            write_private(file, content, durable=False)
        make_private_folder(layout.node)
        return NodeComponents(layout, ports, cable, configuration)

    def init(self, components: NodeComponents) -> Command:
        """The process that holds the node's namespaces; what a dead one left is removed."""
        if not self._pid():
            cgroups.remove(self._cgroup)
        cgroups.make(self._cgroup)
        return components.init(sys.executable)

    def runtime(self, components: NodeComponents) -> tuple[Command, ...]:
        """What the kubelet needs, once the namespaces are there; lays the cable into them."""
        pid = self._pid()
        network.plug_in(components.cable, pid)
        return components.forward(pid), components.volumes(), components.containerd(pid)

    def kubernetes(self, components: NodeComponents) -> tuple[Command, ...]:
        """The node's part of Kubernetes, once containerd runs; brings it the first image."""
        pid = self._pid()
        if not self.images.has_image(pause_reference()):
            with tempfile.TemporaryDirectory(dir=self._layout.node) as folder:
                archive = Path(folder) / "pause.tar"
                write_pause_image(archive)
                self.images.import_image(archive)
        return components.kubelet(pid), components.kube_proxy(pid), components.coredns(pid)

    def await_ready(self, client: Client) -> None:
        """Wait until Kubernetes gives the node pods.

        Raises:
            Failed: it does not become ready.
        """
        deadline = time.monotonic() + _READY_SECONDS
        while not _is_ready(client):
            if time.monotonic() > deadline:
                raise Failed(
                    f"the node {NAME} is not ready after {_READY_SECONDS:.0f} s",
                    f"look at {self._supervisor.log('kubelet')}",
                )
            time.sleep(_POLL_SECONDS)

    def checks(self, ports: Mapping[str, int]) -> dict[str, Check]:
        """The health check of every process of the node."""
        checks: dict[str, Check] = {
            INIT: _File(self, READY),
            "containerd": _Grpc(self, CONTAINERD_SOCKET),
        }
        checks |= {
            name: HealthCheck(port=ports[name], path="/healthz")
            for name in ("machine-forward", "machine-volumes")
            if name in ports
        }
        far = {
            "kubelet": (KUBELET_HEALTH_PORT, "/healthz"),
            "kube-proxy": (PROXY_HEALTH_PORT, "/healthz"),
            "coredns": (DNS_HEALTH_PORT, "/ready"),
        }
        return checks | {
            name: HealthCheck(host=self.address, port=port, path=path)
            for name, (port, path) in far.items()
        }

    def leave(self) -> list[str]:
        """Stop the node and remove what it has outside of the cluster's folder.

        Returns:
            The names of the processes that ran.
        """
        stopped = self._supervisor.stop(PROCESSES, patience_seconds=0)
        network.unplug(network.cable_name(self._layout.home))
        cgroups.remove(self._cgroup)
        return stopped

    def decline(self) -> None:
        """Remember that the cluster is to have no node on this machine."""
        write_private(self._layout.machine, json.dumps({"subnet": None}) + "\n", durable=False)

    @property
    def _cgroup(self) -> str:
        return f"moltghost-{network.identity(self._layout.home)}"

    def _pid(self) -> int:
        record = self._supervisor.record(INIT)
        return record.pid if record and record.is_alive() else 0


@dataclass(frozen=True)
class _File:
    """A process that has made a file of the node is healthy."""

    node: MachineNode
    path: str

    def passes(self) -> bool:
        return self.node.file(self.path).exists()


@dataclass(frozen=True)
class _Grpc:
    """A process that says so by gRPC's health protocol is healthy."""

    node: MachineNode
    socket: str

    def passes(self) -> bool:
        # Imported here because it takes a fifth of a second that other commands don't need.
        import grpc

        with grpc.insecure_channel(f"unix://{self.node.file(self.socket)}") as channel:
            check = channel.unary_unary("/grpc.health.v1.Health/Check", bytes, bytes)
            try:
                return bool(check(b"", timeout=_GRPC_SECONDS) == _SERVING)
            except grpc.RpcError:
                return False


def _is_ready(client: Client) -> bool:
    node = client.get("v1", "Node", NAME) or {}
    conditions = node.get("status", {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
