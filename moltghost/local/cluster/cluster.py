"""The embedded cluster: up, down, status.

``up`` converges from any state: it starts what does not run, restarts what runs with other
settings than it should, and leaves the rest alone. ``status`` takes no lock and changes nothing.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from moltghost import paths
from moltghost.errors import MoltghostError, Refused
from moltghost.kube.client import Client
from moltghost.local.build import builder, programs, recipes
from moltghost.local.cluster import bootstrap
from moltghost.local.cluster.command_lines import Components
from moltghost.local.cluster.health import health_checks
from moltghost.local.cluster.layout import Layout
from moltghost.local.cluster.ports import PORTS, read_ports
from moltghost.local.cluster.processes import ProcessTable
from moltghost.local.cluster.startup import Startup
from moltghost.local.node.components import INIT
from moltghost.local.node.machine import PROCESSES, MachineNode
from moltghost.local.node.requirements import unavailable
from moltghost.local.simulated.instance_types import NodeType
from moltghost.locks import exclusive
from moltghost.progress import Event, Report, silent
from moltghost.units import GIB, format_bytes

# etcd preallocates 128 MiB and grows to its quota of 2 GiB only with tens of thousands of objects.
NEEDED_BYTES = GIB


@dataclass(frozen=True, kw_only=True)
class ProcessStatus:
    """One process of the cluster; ``pid`` is 0 if it was never started."""

    name: str
    pid: int
    alive: bool
    healthy: bool
    log: Path
    version: str


@dataclass(frozen=True, kw_only=True)
class ClusterStatus:
    """The cluster as it is now.

    Args:
        home: its folder.
        running: whether every process is alive and healthy.
        server: URL of the API server, or "" if there is none.
        kubeconfig: path of the administrator's kubeconfig.
        kubernetes_version: such as ``v1.36.3``.
        cluster_uid: uid of the namespace ``kube-system``, or "" while the API server is down.
        node_address: of the machine's own node, from here and from pods; "" without one.
        processes: in the order in which they are started.
    """

    home: Path
    running: bool
    server: str
    kubeconfig: Path
    kubernetes_version: str
    cluster_uid: str
    node_address: str
    processes: tuple[ProcessStatus, ...]


class EmbeddedCluster:
    """A Kubernetes cluster on this machine, with simulated nodes and, as root, a real one.

    Args:
        home: folder of the cluster, by default the user's; clusters with different homes don't
            meet.
        report: told what is built and started.
        node_types: what Karpenter can create; by default the catalogue's.
        machine: whether the cluster is to have a node on this machine; by default what it was to
            have before, and for a new one not.
    """

    def __init__(
        self,
        home: Path | None = None,
        *,
        report: Report = silent,
        node_types: Sequence[NodeType] | None = None,
        machine: bool | None = None,
    ) -> None:
        self._layout = Layout((home or paths.cluster_home()).absolute())
        self._report = report
        self._node_types = node_types
        self._supervisor = ProcessTable(self._layout.home)
        self._wanted = machine
        self.machine = MachineNode(self._layout, self._supervisor)

    def up(self) -> ClusterStatus:
        """Build what isn't built, start what isn't running.

        Raises:
            Refused: unsupported platform, not enough disk space, a folder that holds something
                else, or a machine that can't have the node that it is to have.
            Failed: a build failed, or a process did not become healthy.
        """
        recipes.go_architecture()
        self._refuse_foreign_folder()
        self._refuse_full_disk()
        with_machine = self._has_machine()
        builder.ensure_built(self._report, programs.CONTROL_PLANE)
        if with_machine:
            builder.ensure_built(self._report, programs.NODE)
        node_types = self._node_types or _catalogue()
        with exclusive(self._layout.lock, on_wait=self._report_waiting):
            if not with_machine:
                self._leave_machine()
            machine = self.machine if with_machine else None
            Startup(self._layout, self._supervisor, self._report, node_types, machine).run()
        return self.status()

    def down(self) -> list[str]:
        """Stop the processes and remove all data; the built programs stay in the cache.

        Returns:
            What was removed: names of processes that ran, and the path of the folder.

        Raises:
            Refused: the folder holds something else than a cluster.
        """
        if not self._layout.home.exists():
            return []
        self._refuse_foreign_folder()
        with exclusive(self._layout.lock, on_wait=self._report_waiting):
            # At once: there is no state to save that is not removed.
            stopped = self._supervisor.stop(self._supervisor.names(), patience_seconds=0)
            if self.machine.choice:
                self.machine.leave()
            self._remove_home()
        return [*stopped, str(self._layout.home)]

    def status(self) -> ClusterStatus:
        """What runs now. Never raises for a cluster that is dead, broken or absent."""
        ports = read_ports(self._layout.ports)
        checks = health_checks(self._layout, ports)
        names = list(PORTS)
        if self.machine.choice:
            checks |= self.machine.checks(ports)
            names += PROCESSES
        with ThreadPoolExecutor(max_workers=len(names)) as pool:
            passing = pool.map(lambda name: name in checks and checks[name].passes(), names)
            processes = tuple(map(self._process_status, names, passing))
        return ClusterStatus(
            home=self._layout.home,
            running=all(process.alive and process.healthy for process in processes),
            server=_server(self._layout, ports),
            kubeconfig=self._layout.kubeconfig,
            kubernetes_version=programs.kubernetes_version(),
            cluster_uid=self._cluster_uid(),
            node_address=self.machine.address,
            processes=processes,
        )

    def set_simulated_ready_delay(self, seconds: float) -> None:
        """Change how long pods on simulated nodes take until they are ready; 1 s at first.

        Raises:
            Failed: the cluster does not run.
        """
        client = Client(self._layout.kubeconfig)
        try:
            bootstrap.set_ready_delay(client, seconds)
        finally:
            client.close()

    def _process_status(self, name: str, passes: bool) -> ProcessStatus:
        record = self._supervisor.record(name)
        alive = record is not None and record.is_alive()
        return ProcessStatus(
            name=name,
            pid=record.pid if record else 0,
            alive=alive,
            # Another process that answers on a dead one's port is not our health.
            healthy=alive and passes,
            log=self._supervisor.log(name),
            version=programs.program(name).version if name != INIT else "",
        )

    def _has_machine(self) -> bool:
        """Whether this ``up`` is to end with a node on this machine.

        Raises:
            Refused: it is to, and can't.
        """
        wanted = bool(self.machine.choice if self._wanted is None else self._wanted)
        reason = unavailable() if wanted else ""
        if reason:
            raise Refused(
                f"this machine can't have its own node: {reason}",
                "do that, or leave the node out: moltghost local up --no-machine",
            )
        return wanted

    def _leave_machine(self) -> None:
        if self.machine.choice:
            self.machine.leave()
        if self._wanted is False:
            self.machine.decline()

    def _cluster_uid(self) -> str:
        try:
            client = Client(self._layout.kubeconfig)
        except MoltghostError:
            return ""
        try:
            return client.cluster_uid()
        except MoltghostError:
            return ""
        finally:
            client.close()

    def _refuse_foreign_folder(self) -> None:
        home = self._layout.home
        if home.exists() and any(home.iterdir()) and not self._layout.lock.exists():
            raise Refused(
                f"{home} holds something else than an embedded cluster",
                "set MOLTGHOST_STATE to another folder",
            )

    def _remove_home(self) -> None:
        # The lock goes last: an interrupted removal is taken up again by the next `down`.
        for entry in self._layout.home.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
            elif entry != self._layout.lock:
                entry.unlink()
        self._layout.lock.unlink()
        # Another `up` that waited for the lock may have begun to fill the folder again.
        with suppress(OSError):
            self._layout.home.rmdir()

    def _refuse_full_disk(self) -> None:
        home = self._layout.home
        existing = next(folder for folder in (home, *home.parents) if folder.exists())
        free = shutil.disk_usage(existing).free
        if free < NEEDED_BYTES:
            raise Refused(
                f"the embedded cluster needs {format_bytes(NEEDED_BYTES)} in {home}, "
                f"{format_bytes(free)} are free",
                "free some space, or set MOLTGHOST_STATE to a folder on a larger disk",
            )

    def _report_waiting(self, holder: str) -> None:
        detail = f"waiting for process {holder}, which is changing {self._layout.home}"
        self._report(Event(task="embedded cluster", state="running", detail=detail))


def _catalogue() -> Sequence[NodeType]:
    # Imported here because it takes a third of a second that `status` and `down` don't need.
    from moltghost.local.simulated.simulated_types import catalogue_node_types

    return catalogue_node_types()


def _server(layout: Layout, ports: Mapping[str, int]) -> str:
    return Components(layout, ports).server if "kube-apiserver" in ports else ""
