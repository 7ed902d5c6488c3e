"""A running embedded cluster for the tests, in a folder of its own: never the user's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from moltghost.kube.client import Client
from moltghost.local.cluster.cluster import ClusterStatus, EmbeddedCluster


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


@pytest.fixture(scope="module")
def running_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCluster]:
    """A cluster of the module's own: what one module leaves behind can't disturb another."""
    with run_cluster(tmp_path_factory.mktemp("state"), machine=False) as cluster:
        yield cluster
