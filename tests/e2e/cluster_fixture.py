"""A running embedded cluster for the tests, in a folder of its own: never the user's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from moltghost.kube.client import Client
from moltghost.local.cluster import ClusterStatus, EmbeddedCluster


@dataclass(frozen=True)
class RunningCluster:
    """A cluster that runs, its first status, an administrator's client, and its state folder."""

    embedded: EmbeddedCluster
    status: ClusterStatus
    client: Client
    state: Path


@pytest.fixture(scope="module")
def running_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCluster]:
    """A cluster of the module's own: what one module leaves behind can't disturb another."""
    state = tmp_path_factory.mktemp("state")
    embedded = EmbeddedCluster(state / "cluster", machine=False)
    try:
        status = embedded.up()
        client = Client(status.kubeconfig)
        yield RunningCluster(embedded, status, client, state)
        client.close()
    finally:
        embedded.down()
