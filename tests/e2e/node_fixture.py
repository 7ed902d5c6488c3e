"""A cluster with the machine's own node, for the tests that run containers on it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from moltghost.kube.client import Client
from moltghost.kube.errors import ApiError
from moltghost.local.build import builder, programs
from moltghost.local.build.recipes import Program
from moltghost.local.cluster.cluster import EmbeddedCluster
from moltghost.local.node.images import write_program_image

DATA = Path(__file__).parent / "data"
PROBE = Program(name="probe", home=DATA / "probe", package=".")
PROBE_IMAGE = "moltghost.test/probe:1"
NAMESPACE = "real"


@dataclass(frozen=True)
class NodeCluster:
    """A cluster whose node runs the pods of ``data/node-pods.yaml``."""

    embedded: EmbeddedCluster
    home: Path

    def client(self) -> Client:
        return Client(self.home / "kubeconfig")

    def kubectl(self, *arguments: str, check: bool = True) -> str:
        """What it printed, on standard output and then on standard error."""
        done = subprocess.run(self.command(*arguments), capture_output=True, text=True, timeout=60)
        assert not check or done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def command(self, *arguments: str) -> list[str]:
        kubeconfig = str(self.home / "kubeconfig")
        options = ["--kubeconfig", kubeconfig, "--namespace", NAMESPACE]
        return [str(programs.binary("kubectl")), *options, *arguments]

    def run(self, pod: str, *arguments: str, check: bool = True) -> str:
        """What the probe printed in a pod."""
        return self.kubectl("exec", pod, "--", "/probe", *arguments, check=check)

    def pods(self) -> list[dict[str, Any]]:
        client = self.client()
        try:
            return client.list("v1", "Pod", NAMESPACE)
        finally:
            client.close()


def eventually(condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    """The first true result of a condition."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if result := condition():
                return result
        except ApiError:
            pass
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.2)


def build_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Build the probe as any other program; it is kept in the cache."""
    monkeypatch.setattr(programs, "PROGRAMS", (*programs.PROGRAMS, PROBE))
    builder.ensure_built(names=[PROBE.name])


@pytest.fixture(scope="module")
def node_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeCluster]:
    """A cluster of the module's own, with its pods ready."""
    folder = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patch:
        build_probe(patch)
    embedded = EmbeddedCluster(folder / "cluster", machine=True)
    cluster = NodeCluster(embedded, folder / "cluster")
    try:
        embedded.up()
        archive = folder / "probe.tar"
        write_program_image(archive, PROBE_IMAGE, PROBE.binary, "probe")
        embedded.machine.images.import_image(archive)
        cluster.kubectl("apply", "--filename", str(DATA / "node-pods.yaml"))
        cluster.kubectl("wait", "--for=condition=Ready", "pod/client", "--timeout=50s")
        cluster.kubectl("rollout", "status", "deployment/server", "--timeout=50s")
        yield cluster
    finally:
        embedded.down()
