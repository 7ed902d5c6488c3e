"""What goes with the embedded cluster, and what stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from moltghost import paths
from moltghost.engines.pulumi.passphrase import Keyring
from moltghost.engines.pulumi.state import ResourceState, StackState, StateStore
from moltghost.engines.pulumi.urn import ROOT_TYPE
from moltghost.environments.embedded_cluster import remove_cluster
from moltghost.errors import Refused
from moltghost.local.cluster.cluster import EmbeddedCluster

PROVIDER = "pulumi:providers:kubernetes"
THEIRS = "/home/somebody/.kube/config"


class FakeCluster:
    """Stands in for the embedded cluster: only counts how often it is taken down."""

    def __init__(self) -> None:
        self.downs = 0

    def down(self) -> list[str]:
        self.downs += 1
        return ["etcd"]


def save(store: StateStore, stack: str, type_: str, **properties: Any) -> Path:
    """Record a stack with one resource that has these inputs or outputs."""
    urn = f"urn:pulumi:{stack}::moltghost::{type_}::x"
    resource = ResourceState(urn=urn, type=type_, custom=type_ != ROOT_TYPE, **properties)
    store.save(StackState(stack=stack, project="moltghost", resources=[resource]))
    return store.path(stack)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StateStore:
    monkeypatch.setenv("MOLTGHOST_STATE", str(tmp_path / "state"))
    return StateStore(paths.stacks_home("moltghost"), Keyring(paths.key_file("moltghost")))


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster()


def down(cluster: FakeCluster) -> list[str]:
    return remove_cluster(cast("EmbeddedCluster", cluster))


def ours() -> dict[str, str]:
    return {"kubeconfig": str(paths.kubeconfig())}


def test_the_records_of_its_stacks_go_and_those_of_other_clusters_stay(
    store: StateStore, cluster: FakeCluster
) -> None:
    gone = [
        save(store, "local", ROOT_TYPE, outputs=ours()),
        save(store, "platform.local", PROVIDER, inputs=ours()),
        save(store, "my-agent.local", PROVIDER, inputs=ours()),
    ]
    stay = [
        save(store, "lab", ROOT_TYPE, outputs={"kubeconfig": THEIRS}),
        save(store, "my-agent.lab", PROVIDER, inputs={"kubeconfig": THEIRS}),
        save(store, "as-text.lab", PROVIDER, inputs={"kubeconfig": "apiVersion: v1\nkind: Config"}),
    ]

    removed = down(cluster)

    assert not any(file.exists() for file in gone)
    assert all(file.exists() for file in stay)
    assert removed == [
        "etcd",
        "record of stack local of moltghost",
        "record of stack my-agent.local of moltghost",
        "record of stack platform.local of moltghost",
    ]


def test_neither_the_key_nor_a_whole_file_is_needed_to_tell_whose_a_record_is(
    store: StateStore, cluster: FakeCluster
) -> None:
    gone = save(store, "platform.local", PROVIDER, inputs=ours())
    damaged = store.path("my-agent.local")
    damaged.write_text('{"deployment": []}')
    (paths.key_file("moltghost")).unlink()

    down(cluster)

    assert not gone.exists()
    assert damaged.exists(), "whose it is, nobody knows"


def test_a_record_that_a_killed_move_has_put_aside_goes_too(
    store: StateStore, cluster: FakeCluster
) -> None:
    save(store, "a.local", PROVIDER, inputs=ours()).rename(store.aside("a.local"))

    assert down(cluster) == ["etcd", "record of stack a.local of moltghost"]
    assert not store.aside("a.local").exists()


def test_while_a_stack_in_it_is_changed_nothing_is_removed(
    store: StateStore, cluster: FakeCluster
) -> None:
    files = [save(store, name, PROVIDER, inputs=ours()) for name in ("a.local", "b.local")]

    with (
        store.locked("b.local", "up"),
        pytest.raises(Refused, match=r"stack b\.local is being changed by another process: up"),
    ):
        down(cluster)

    assert cluster.downs == 0
    assert all(file.exists() for file in files)


def test_the_locks_stay_for_who_holds_them(store: StateStore, cluster: FakeCluster) -> None:
    save(store, "a.local", PROVIDER, inputs=ours())

    with store.locked("my-agent.lab", "up"):
        down(cluster)
        with pytest.raises(Refused), store.locked("my-agent.lab", "destroy"):
            pass
