"""One run of ``up``: from whatever is there to a cluster whose processes are all healthy."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from typing import NoReturn

from moltghost.errors import Failed
from moltghost.files import make_private_folder, write_private
from moltghost.kube.client import Client
from moltghost.local.cluster import credentials, weights_store
from moltghost.local.cluster.bootstrap import bootstrap
from moltghost.local.cluster.certificates import ensure_certificates, ensure_service_account_key
from moltghost.local.cluster.command_lines import FIRST_SERVICE_ADDRESS, Components
from moltghost.local.cluster.health import health_checks
from moltghost.local.cluster.layout import Layout
from moltghost.local.cluster.ports import NODE_PORTS, PORTS, ensure_ports
from moltghost.local.cluster.processes import Command, ProcessTable, last_lines
from moltghost.local.node import objects
from moltghost.local.node.components import WEIGHTS_SERVICE
from moltghost.local.node.machine import MachineNode
from moltghost.local.simulated import kwok
from moltghost.local.simulated.instance_types import NodeType, karpenter_instance_types
from moltghost.planning.embedded import embedded_bucket
from moltghost.progress import Event, Report
from moltghost.units import format_duration

# Enough for all but the API server, which waits for its clients' watches; it has no state to lose.
_STOP_PATIENCE_SECONDS = 3.0
_HEALTHY_WITHIN_SECONDS = 90.0
_HANG_SECONDS = 10.0  # for one that runs already; it may be catching up with a restarted one
_POLL_SECONDS = 0.05


class Startup:
    """Brings one cluster up. The caller holds the cluster's lock.

    Args:
        layout: the cluster's files.
        supervisor: the cluster's processes.
        report: told of every process that is started, and why.
        node_types: what Karpenter can create.
        machine: the node on this machine, if the cluster is to have one.
    """

    def __init__(
        self,
        layout: Layout,
        supervisor: ProcessTable,
        report: Report,
        node_types: Sequence[NodeType],
        machine: MachineNode | None,
    ) -> None:
        self._layout = layout
        self._supervisor = supervisor
        self._report = report
        self._node_types = node_types
        self._machine = machine
        self._started: dict[str, float] = {}
        self._reasons: dict[str, str] = {}

    def run(self) -> None:
        """Start what does not run as it should, in order, each after what it needs.

        Raises:
            Failed: a process did not become healthy.
        """
        self._supervisor.bound_logs()
        components = self._prepare()
        self._bring_up(components.etcd())
        self._bring_up(components.api_server())
        client = Client(self._layout.kubeconfig)
        try:
            roles = objects.roles() if self._machine else []
            bootstrap(client, self._layout, [*kwok.stages(self._node_types), *roles])
            self._bring_up(
                components.controller_manager(),
                components.scheduler(),
                components.kwok(),
                components.karpenter(),
                components.weights_store(),
            )
            self._make_bucket()
            if self._machine:
                self._bring_up_machine(self._machine, client)
        finally:
            client.close()

    def _make_bucket(self) -> None:
        """The bucket of environment `local`; other environments on this cluster make their own."""
        place = weights_store.location(self._layout.home, embedded_bucket("local"))
        weights_store.ensure_bucket(place)

    def _bring_up_machine(self, machine: MachineNode, client: Client) -> None:
        components = machine.write_configuration(self._ports)
        self._bring_up(machine.init(components))
        self._bring_up(*machine.runtime(components))
        self._bring_up(*machine.kubernetes(components))
        name, port = WEIGHTS_SERVICE
        objects.publish_service(client, name, machine.address, port)
        machine.await_ready(client)

    def _prepare(self) -> Components:
        layout = self._layout
        make_private_folder(layout.home)
        if self._machine:
            self._machine.prepare()
        ensure_certificates(
            layout.certificates.home,
            service_address=FIRST_SERVICE_ADDRESS,
            node_address=self._machine.address if self._machine else "",
        )
        ensure_service_account_key(layout.service_account_key)
        weights_store.ensure_key(layout.weights_key)
        self._ports = ensure_ports(layout.ports, running=self._alive([*PORTS, *NODE_PORTS]))
        components = Components(layout, self._ports)
        self._write_kubeconfigs(components.server)
        write_private(
            layout.config("scheduler.json"), _as_json(components.scheduler_config()), durable=False
        )
        write_private(layout.config("kwok.json"), _as_json(kwok.configuration()), durable=False)
        instance_types = karpenter_instance_types(self._node_types)
        write_private(layout.config("instance-types.json"), instance_types, durable=False)
        self._checks = health_checks(layout, self._ports)
        if self._machine:
            self._checks |= self._machine.checks(self._ports)
        return components

    def _write_kubeconfigs(self, server: str) -> None:
        tokens = credentials.ensure_tokens(self._layout.tokens)
        for user in credentials.USERS:
            is_admin = user is credentials.ADMIN
            credentials.write_kubeconfig(
                self._layout.kubeconfig if is_admin else self._layout.user_kubeconfig(user.name),
                server=server,
                authority=self._layout.certificates.cluster_ca,
                user=user.name,
                token=tokens[user.name],
            )

    def _alive(self, names: Iterable[str]) -> list[str]:
        return [n for n in names if (r := self._supervisor.record(n)) and r.is_alive()]

    def _bring_up(self, *commands: Command) -> None:
        """Start what of these must be started, together, and wait until all are healthy."""
        for command in commands:
            if reason := self._reason_to_start(command):
                self._start(command, reason)
            else:
                self._report(Event(task=f"start {command.name}", state="cached"))
        for command in commands:
            if command.name not in self._started and not self._wait(command.name, _HANG_SECONDS):
                self._start(command, "it did not answer")
            if command.name in self._started:
                self._await(command.name)

    def _reason_to_start(self, command: Command) -> str:
        record = self._supervisor.record(command.name)
        if record is None:
            return "new"
        if not record.is_alive():
            return f"it had died (pid {record.pid})"
        return "" if record.fingerprint == command.fingerprint() else "its settings changed"

    def _start(self, command: Command, reason: str) -> None:
        self._reasons[command.name] = reason
        self._report(Event(task=f"start {command.name}", state="started", detail=reason))
        self._supervisor.stop([command.name], patience_seconds=_STOP_PATIENCE_SECONDS)
        self._started[command.name] = time.monotonic()
        self._supervisor.start(command)

    def _await(self, name: str) -> None:
        healthy = self._wait(name, _HEALTHY_WITHIN_SECONDS)
        elapsed = format_duration(time.monotonic() - self._started[name])
        if healthy:
            self._report(Event(task=f"start {name}", state="done", detail=self._reasons[name]))
        elif self._alive([name]):
            self._fail(name, f"is not healthy after {elapsed}")
        else:
            self._fail(name, "stopped right after its start")

    def _wait(self, name: str, seconds: float) -> bool:
        """Whether a process became healthy within that time; at once ``False`` if it died."""
        deadline = time.monotonic() + seconds
        while not self._checks[name].passes():
            if time.monotonic() > deadline or not self._alive([name]):
                return False
            time.sleep(_POLL_SECONDS)
        return True

    def _fail(self, name: str, what: str) -> NoReturn:
        log = self._supervisor.log(name)
        self._report(Event(task=f"start {name}", state="failed", detail=what))
        raise Failed(
            f"{name} {what}; the end of {log}:\n{last_lines(log)}",
            "run moltghost local up again; if it stays so, moltghost local down removes the "
            "cluster with its data and up makes a new one",
        )


def _as_json(content: object) -> str:
    return json.dumps(content, indent=2) + "\n"
