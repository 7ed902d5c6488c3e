"""A move that doesn't end well is undone, whatever stopped it; with stand-ins for both sides.

With the real CLI and a real cluster a move is tested by tests/e2e/test_conformance.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from moltghost import paths
from moltghost.engines.adoption.adoption import Adoption
from moltghost.engines.pulumi.passphrase import Keyring
from moltghost.engines.pulumi.state import ResourceState, StackState, StateStore
from moltghost.engines.stock.checkpoint import to_checkpoint
from moltghost.errors import Failed, Refused
from moltghost.kube.errors import api_error
from moltghost.ownership import EngineName
from moltghost.progress import silent
from tests.engines.fake_api import FakeApi
from tests.engines.stock.stand_in import CONFIG, Cli

STACK = "a.local"
OWNER = "moltghost.dev/engine"
OTHERS = {"resources": [{"urn": "u", "type": "t"}]}


def space(owner: EngineName, **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": "agent-a",
            "uid": "1",
            "resourceVersion": "7",
            "annotations": {OWNER: owner},
            **metadata,
        },
    }


def volume() -> dict[str, Any]:
    metadata = {"name": "memory", "uid": "2", "resourceVersion": "7"}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata}


def agent(kubeconfig: Path) -> StackState:
    provider = f"urn:pulumi:{STACK}::moltghost::pulumi:providers:kubernetes::cluster"
    cluster = ResourceState(
        urn=provider,
        type="pulumi:providers:kubernetes",
        custom=True,
        id="1",
        inputs={"kubeconfig": str(kubeconfig)},
    )
    objects = [
        ResourceState(
            urn=f"urn:pulumi:{STACK}::moltghost::kubernetes:core/v1:{body['kind']}::x",
            type=f"kubernetes:core/v1:{body['kind']}",
            custom=True,
            id=body["metadata"]["name"],
            provider=f"{provider}::1",
            inputs={**body, "metadata": {"name": body["metadata"]["name"]}},
            outputs=body,
            protect=True,
        )
        for body in (space("embedded"), volume())
    ]
    return StackState(
        stack=STACK,
        project="moltghost",
        resources=[cluster, *objects],
        clusters={provider: "cluster-1"},
    )


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> FakeApi:
    found = FakeApi(space("embedded"), volume())
    monkeypatch.setattr("moltghost.engines.kubernetes.cluster.Client", found)
    return found


@pytest.fixture
def state(tmp_path: Path) -> StackState:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.touch()
    return agent(kubeconfig)


@pytest.fixture
def store(cli: Cli) -> StateStore:
    return StateStore(paths.stacks_home("moltghost"), Keyring(paths.key_file("moltghost")))


@pytest.fixture
def adoption(cli: Cli, project: Path) -> Adoption:
    cli.write("events", {})
    cli.write("stacks", {})
    return Adoption(project, silent)


def owner(api: FakeApi) -> str:
    return str(api.objects["Namespace", "agent-a"]["metadata"]["annotations"][OWNER])


def raising(error: BaseException, *, at: int) -> Any:
    def on_patch(number: int) -> None:
        if number == at:
            raise error

    return on_patch


def test_a_move_to_the_cli_takes_the_state_and_the_objects_along(
    adoption: Adoption, api: FakeApi, store: StateStore, state: StackState, cli: Cli
) -> None:
    store.save(state)

    assert adoption.adopt(STACK, "stock") == 3

    assert store.names() == store.names_aside() == []
    assert cli.stacks()[STACK]["resources"] == to_checkpoint(state)
    assert owner(api) == "stock"
    assert api.patience > 0


@pytest.mark.parametrize(
    "error", [api_error(403, "Forbidden", "not you"), KeyboardInterrupt()], ids=["error", "ctrl-c"]
)
def test_a_move_to_the_cli_that_fails_at_an_object_is_undone(
    error: BaseException,
    adoption: Adoption,
    api: FakeApi,
    store: StateStore,
    state: StackState,
    cli: Cli,
    project: Path,
) -> None:
    store.save(state)
    api.on_patch = raising(error, at=2)

    with pytest.raises((Failed, KeyboardInterrupt)):
        adoption.adopt(STACK, "stock")

    assert (store.names(), store.names_aside()) == ([STACK], [])
    assert cli.stacks() == {}
    assert (project / f"Pulumi.{STACK}.yaml").read_text() == CONFIG
    assert owner(api) == "embedded"


def test_a_move_that_the_cli_refuses_is_undone_and_says_why(
    adoption: Adoption, api: FakeApi, store: StateStore, state: StackState, cli: Cli
) -> None:
    store.save(state)
    cli.write("fail", {"preview": "error: no such pool"})

    with pytest.raises(Refused, match=r"stack a\.local: no such pool"):
        adoption.adopt(STACK, "stock")

    assert store.names() == [STACK]
    assert cli.stacks() == {}
    assert owner(api) == "embedded"


def test_a_stack_that_the_cli_had_already_is_what_it_was_after_a_move_that_fails(
    adoption: Adoption, api: FakeApi, store: StateStore, state: StackState, cli: Cli
) -> None:
    store.save(state)
    cli.write("stacks", {STACK: OTHERS})
    api.on_patch = raising(api_error(403, "Forbidden", "not you"), at=1)

    with pytest.raises(Failed, match="Namespace agent-a can't be handed to the stock engine"):
        adoption.adopt(STACK, "stock")

    assert cli.stacks() == {STACK: OTHERS}


def test_a_move_that_cannot_be_undone_either_says_both(
    adoption: Adoption, api: FakeApi, store: StateStore, state: StackState
) -> None:
    store.save(state)

    def on_patch(_number: int) -> None:
        raise api_error(403, "Forbidden", "not you")

    api.on_patch = on_patch
    with pytest.raises(Failed) as failed:
        adoption.adopt(STACK, "stock")

    assert "handed to the stock engine: not you\nUndoing the move failed as well: Namespace" in str(
        failed.value
    )
    assert store.names() == [STACK], "what can be undone is"


def test_a_move_to_the_embedded_engine_that_fails_at_an_object_is_undone(
    adoption: Adoption, api: FakeApi, store: StateStore, state: StackState, cli: Cli
) -> None:
    deployment = {"resources": to_checkpoint(state)}
    cli.write("stacks", {STACK: deployment})
    api.objects["Namespace", "agent-a"] = space("stock")
    api.on_patch = raising(api_error(403, "Forbidden", "not you"), at=2)

    with pytest.raises(Failed, match="memory can't be handed to the embedded engine: not you"):
        adoption.adopt(STACK, "embedded")

    assert store.names() == []
    assert cli.stacks() == {STACK: deployment}
    assert owner(api) == "stock"


def test_a_state_of_another_cluster_is_not_moved(
    adoption: Adoption, api: FakeApi, store: StateStore, state: StackState, cli: Cli
) -> None:
    store.save(state)
    api.uid = "cluster-2"

    with pytest.raises(Refused, match="objects are in another cluster"):
        adoption.adopt(STACK, "stock")

    assert (api.patches, cli.stacks(), store.names()) == (0, {}, [STACK])


def test_a_move_that_was_killed_is_taken_up_by_who_moves_the_stack_and_by_nobody_else(
    adoption: Adoption, api: FakeApi, store: StateStore, state: StackState
) -> None:
    store.save(state)
    store.put_aside(STACK)

    with store.locked(STACK, "adopt"):
        assert adoption.names("embedded") == [STACK]
        assert store.names_aside() == [STACK], "another process moves it"

    adoption.adopt(STACK, "stock")
    assert adoption.names("embedded") == []
    assert owner(api) == "stock"
