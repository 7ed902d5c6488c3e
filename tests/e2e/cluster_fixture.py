"""Running embedded clusters for the tests, in folders of their own: never the user's.

A boot takes both cores for seconds, so the files of one group share a cluster, one after another;
what a file deploys is in namespaces of its own, or goes when the file ends. A file that breaks its
cluster, or says what the whole of it must be, is the only one of its group.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from moltghost.errors import MoltghostError
from moltghost.kube.client import Client
from moltghost.local.cluster.cluster import ClusterStatus, EmbeddedCluster

#: Files by what they share, the longest group first: workers take groups in this order, and a long
#: one at the end would leave the others idle. A file that isn't named here comes last, by itself.
GROUPS = (
    ("test_real_agent",),
    ("test_engine", "test_drift", "test_conformance", "test_policies"),
    ("test_main_job",),
    ("test_fleet",),
    ("test_node",),
    ("test_cluster",),
    ("test_crashes",),
    ("test_images",),
    ("test_agent_tools",),
    # The last one declares a node of this machine that isn't there.
    ("test_admission", "test_refusals", "test_weights_job"),
    ("test_aws_objects",),
)
_ORDER = [file for group in GROUPS for file in group]


def group_of(file: Path) -> str:
    """The group of a test's file, by the name of its first one."""
    return next((group[0] for group in GROUPS if file.stem in group), file.stem)


def place_of(file: Path) -> int:
    """The place of a test's file among all."""
    return _ORDER.index(file.stem) if file.stem in _ORDER else len(_ORDER)


@dataclass(frozen=True)
class RunningCluster:
    """A cluster that runs, its first status, an administrator's client, and its state folder."""

    embedded: EmbeddedCluster
    status: ClusterStatus
    client: Client
    state: Path


@contextmanager
def run_cluster(state: Path, *, machine: bool) -> Iterator[RunningCluster]:
    """A cluster with its state in a folder, as long as the context lasts."""
    embedded = EmbeddedCluster(state / "cluster", machine=machine)
    try:
        status = embedded.up()
        client = Client(status.kubeconfig)
        yield RunningCluster(embedded, status, client, state)
        client.close()
    finally:
        embedded.down()


class Clusters:
    """The cluster of the group whose turn it is."""

    def __init__(self, folders: pytest.TempPathFactory) -> None:
        self._folders = folders
        self._stack = ExitStack()
        self._group = ""
        self._running: RunningCluster | None = None

    def of(self, group: str) -> RunningCluster:
        """The group's cluster; made whole again, or anew, should a file have left it broken."""
        if self._running is not None and group == self._group:
            with suppress(MoltghostError):
                return replace(self._running, status=self._running.embedded.up())
        self.close()
        state = self._folders.mktemp("state")
        self._running = self._stack.enter_context(run_cluster(state, machine=False))
        self._group = group
        return self._running

    def close(self) -> None:
        """Stop the cluster."""
        self._running = None
        self._stack.close()


@pytest.fixture(scope="session")
def clusters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clusters]:
    """Clusters, one at a time in each worker."""
    found = Clusters(tmp_path_factory)
    try:
        yield found
    finally:
        found.close()


@pytest.fixture(scope="module")
def running_cluster(clusters: Clusters, request: pytest.FixtureRequest) -> RunningCluster:
    """The cluster of the file's group."""
    return clusters.of(group_of(request.path))
