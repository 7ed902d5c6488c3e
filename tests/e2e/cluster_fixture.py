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
from tests.e2e.groups import group_of


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
