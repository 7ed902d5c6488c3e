"""A running embedded cluster for the tests, in a folder of its own: never the user's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from moltghost import paths
from moltghost.kube.client import Client
from moltghost.local.cluster import ClusterStatus, EmbeddedCluster


@dataclass(frozen=True)
class RunningCluster:
    """A cluster that runs, its first status and an administrator's client."""

    embedded: EmbeddedCluster
    status: ClusterStatus
    client: Client


@pytest.fixture(scope="session")
def running_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCluster]:
    """One cluster for the whole session; ``MOLTGHOST_STATE`` leads to it."""
    state = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOLTGHOST_STATE", str(state))
        assert paths.cluster_home() == state / "cluster"
        embedded = EmbeddedCluster()
        try:
            status = embedded.up()
            client = Client(status.kubeconfig)
            yield RunningCluster(embedded, status, client)
            client.close()
        finally:
            embedded.down()
    assert os.environ.get("MOLTGHOST_STATE") != str(state)
