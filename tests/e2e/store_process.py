"""The embedded cluster's weights store as a process of a test, without a cluster."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from moltghost.local.cluster import weights_store
from moltghost.local.cluster.command_lines import Components
from moltghost.local.cluster.health import health_checks
from moltghost.local.cluster.layout import Layout
from moltghost.local.cluster.ports import ensure_ports
from moltghost.local.cluster.processes import ProcessTable
from moltghost.weights_store.bucket import Bucket

NAME = "moltghost-weights-local"


class Store:
    """The process, in a folder of its own."""

    def __init__(self, home: Path) -> None:
        self.layout = Layout(home)
        self._supervisor = ProcessTable(home)
        weights_store.ensure_key(self.layout.weights_key)
        self._ports = ensure_ports(self.layout.ports, running=())

    @property
    def bucket(self) -> Bucket:
        return Bucket(weights_store.location(self.layout.home, NAME))

    @property
    def port(self) -> int:
        return self._ports["weights-store"]

    @property
    def objects(self) -> Path:
        return self.layout.weights / "objects" / NAME

    def start(self) -> None:
        self._supervisor.start(Components(self.layout, self._ports).weights_store())
        check = health_checks(self.layout, self._ports)["weights-store"]
        deadline = time.monotonic() + 20
        while not check.passes():
            assert time.monotonic() < deadline, self._supervisor.log("weights-store").read_text()
            time.sleep(0.05)

    def kill(self) -> None:
        record = self._supervisor.record("weights-store")
        assert record is not None
        os.kill(record.pid, signal.SIGKILL)

    def stop(self) -> None:
        self._supervisor.stop(["weights-store"], patience_seconds=3)
