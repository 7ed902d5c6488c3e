"""The state file: Pulumi's format, whole or not at all, and one writer at a time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from moltghost.engines.embedded.journal import Journal
from moltghost.engines.pulumi.passphrase import Keyring
from moltghost.engines.pulumi.state import ResourceState, StackState, StateStore
from moltghost.engines.pulumi.values import Secret
from moltghost.errors import Failed, Refused

ROOT = "urn:pulumi:a.local::p::pulumi:pulumi:Stack::p-a.local"
MAP = "urn:pulumi:a.local::p::kubernetes:core/v1:ConfigMap::m"


def resource(urn: str = MAP, id_: str = "ns/m", **fields: object) -> ResourceState:
    return ResourceState(urn=urn, type=urn.split("::")[2], custom=True, id=id_, **fields)  # type: ignore[arg-type]


@pytest.fixture
def store(tmp_path: Path) -> StateStore:
    return StateStore(tmp_path / "stacks", Keyring(tmp_path / "key"))


def test_a_state_comes_back_as_it_was(store: StateStore) -> None:
    full = resource(
        inputs={"data": {"a": "1", "b": Secret("hidden")}},
        outputs={"data": Secret({"x": 1})},
        parent=ROOT,
        provider="urn::id",
        dependencies=[ROOT],
        property_dependencies={"data": [ROOT]},
        protect=True,
        retain_on_delete=True,
        additional_secret_outputs=["data"],
        custom_timeouts={"create": 90.0},
        init_errors=["not ready"],
        created="2026-01-01T00:00:00Z",
    )
    state = StackState(
        stack="a.local",
        project="p",
        resources=[resource(ROOT, ""), full],
        pending=[resource(id_="ns/other")],
        clusters={"provider": "uid"},
    )
    store.save(state)

    loaded = store.load("a.local")

    assert loaded == state
    assert "hidden" not in store.path("a.local").read_text()
    assert store.path("a.local").stat().st_mode & 0o077 == 0


def test_the_file_has_the_keys_that_pulumi_stack_import_reads(store: StateStore) -> None:
    store.save(
        StackState(
            stack="a.local",
            project="p",
            resources=[resource(protect=True, inputs={"a": Secret("x")})],
            pending=[resource(id_="ns/other")],
        )
    )

    document = json.loads(store.path("a.local").read_text())

    assert document["version"] == 3
    deployment = document["deployment"]
    assert deployment["secrets_providers"]["type"] == "passphrase"
    assert deployment["secrets_providers"]["state"]["salt"].startswith("v1:")
    stored = deployment["resources"][0]
    secret = stored["inputs"]["a"]
    assert secret["4dabf18193072939515e22adb298388d"] == "1b47061264138c4ac30d75fd1eb44270"
    assert secret["ciphertext"].startswith("v1:")
    assert stored["protect"] is True
    assert deployment["pending_operations"][0]["type"] == "creating"
    assert document["moltghost"]["engine"] == "embedded"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 3}', '{"deployment": {}}'])
def test_a_damaged_state_is_refused_with_its_path(store: StateStore, text: str) -> None:
    store.folder.mkdir(parents=True)
    store.path("a.local").write_text(text)

    with pytest.raises(Refused, match=r"state of stack a.local is damaged: .*a\.local\.json"):
        store.load("a.local")


# --- journal ---------------------------------------------------------------------------------


def test_a_creation_is_on_disk_before_it_begins_and_after_it_ended(store: StateStore) -> None:
    journal = Journal(StackState(stack="a.local", project="p"), store)

    journal.begin(resource())
    begun = store.load("a.local")
    journal.record(resource(outputs={"done": True}))
    done = store.load("a.local")

    assert begun is not None
    assert done is not None
    assert [item.id for item in begun.pending] == ["ns/m"]
    assert begun.resources == []
    assert done.pending == []
    assert done.resources[0].outputs == {"done": True}
    assert Journal(begun, store).begun(MAP) == {"ns/m"}


def test_what_the_last_run_left_follows_what_this_one_did(store: StateStore) -> None:
    old = [resource(ROOT, ""), resource(), resource(f"{MAP}2", "ns/m2")]
    journal = Journal(StackState(stack="a.local", project="p", resources=old), store)

    journal.keep(resource(ROOT, ""))
    journal.record(resource(f"{MAP}2", "ns/m2"))

    state = journal.finish()
    assert [item.urn for item in state.resources] == [ROOT, f"{MAP}2", MAP]
    assert [item.urn for item in journal.leftovers()] == [MAP]


def test_a_replaced_object_is_remembered_until_it_is_dropped(store: StateStore) -> None:
    journal = Journal(StackState(stack="a.local", project="p", resources=[resource()]), store)

    journal.record(resource(id_="ns/new"), replaced=resource())
    (doomed,) = journal.leftovers()

    assert (doomed.id, doomed.delete) == ("ns/m", True)
    assert journal.begun(MAP) == {"ns/m"}
    journal.drop(doomed)
    assert [item.id for item in journal.finish().resources] == ["ns/new"]


def test_a_state_that_cannot_be_written_is_an_error_with_a_next_step(
    store: StateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(StackState(stack="a.local", project="p"), store)

    def full(_state: StackState) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store, "save", full)

    with pytest.raises(Failed, match=r"(?s)stack a\.local can't be written.*make room"):
        journal.record(resource())
