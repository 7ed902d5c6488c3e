"""What people change by hand, against a real API server: found, named, and undone by `up`."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest

from moltghost.engines.interface import Drift, DriftedField, DriftedObject
from moltghost.errors import Refused
from moltghost.kube.client import Client
from moltghost.progress import silent
from tests.engines.harness import Harness, Object, config_map, deployment, item, namespace

from .cluster_fixture import RunningCluster

pytestmark = pytest.mark.e2e


@pytest.fixture
def client(running_cluster: RunningCluster) -> Client:
    return running_cluster.client


@pytest.fixture
def harness(running_cluster: RunningCluster, tmp_path: Path) -> Harness:
    return Harness(tmp_path, kubeconfig=str(running_cluster.status.kubeconfig))


@pytest.fixture
def home() -> str:
    return f"drift-{uuid.uuid4().hex[:8]}"


def stack(home: str) -> list[Object]:
    token = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "token", "namespace": home},
        "stringData": {"token": "hidden-text"},
    }
    return [
        item("home", namespace(home)),
        item("s", config_map("settings", home, {"a": "1", "b": "2"}), needs=["home"]),
        item("d", deployment("d", home, replicas=0), needs=["home"]),
        item("token", token, needs=["home"]),
    ]


def drift(harness: Harness) -> Drift:
    return harness.engine.drift("a.local", report=silent)


def found(harness: Harness) -> dict[str, DriftedObject]:
    return {each.title: each for each in drift(harness).objects}


def fields(each: DriftedObject) -> dict[str, DriftedField]:
    return {field.path: field for field in each.fields}


def edit(
    client: Client, kind: str, name: str, home: str | None, body: Any, manager: str = "kubectl-edit"
) -> None:
    api = "apps/v1" if kind == "Deployment" else "v1"
    client.patch(api, kind, name, home, body, manager=manager)


def test_nothing_has_drifted_after_an_up(harness: Harness, home: str) -> None:
    harness.up("a.local", objects=stack(home))
    assert drift(harness) == Drift(stack="a.local", objects=(), checked=4)


def test_fields_changed_removed_and_added_by_hand_are_named_with_their_writer_and_undone(
    harness: Harness, client: Client, home: str
) -> None:
    objects = stack(home)
    harness.up("a.local", objects=objects)
    edit(client, "ConfigMap", "settings", home, {"data": {"a": "9", "b": None, "c": "3"}})
    edit(client, "Namespace", home, None, {"metadata": {"labels": {"team": "x"}}})
    edit(client, "Secret", "token", home, {"data": {"token": "c2VlbiBieSBoYW5k", "more": "eA=="}})
    spy = [{"name": "main", "image": "example.invalid/nothing:1"}, {"name": "spy", "image": "s:1"}]
    edit(client, "Deployment", "d", home, {"spec": {"template": {"spec": {"containers": spy}}}})

    drifted = found(harness)

    assert {title: each.state for title, each in drifted.items()} == {
        f"ConfigMap {home}/settings": "changed",
        f"Deployment {home}/d": "changed",
        f"Namespace {home}": "changed",
        f"Secret {home}/token": "changed",
    }
    settings = fields(drifted[f"ConfigMap {home}/settings"])
    assert {path: (each.recorded, each.live) for path, each in settings.items()} == {
        "data.a": ("1", "9"),
        "data.b": ("2", None),
        "data.c": (None, "3"),
    }
    assert settings["data.a"].by.startswith("kubectl-edit at 20")
    token = fields(drifted[f"Secret {home}/token"])
    assert {each.live for each in token.values()} == {"[secret]"}
    assert "spec.template.spec.containers[1]" in fields(drifted[f"Deployment {home}/d"])

    result = harness.up("a.local", objects=objects)

    repaired = {step.title: step.undone for step in result.steps if step.repairs}
    assert set(repaired) == set(drifted)
    assert not found(harness)
    live = client.get("v1", "ConfigMap", "settings", home)
    assert live is not None
    assert live["data"] == {"a": "1", "b": "2"}
    workload = client.get("apps/v1", "Deployment", "d", home)
    assert workload is not None
    containers = workload["spec"]["template"]["spec"]["containers"]
    assert [each["name"] for each in containers] == ["main"]


def test_a_change_by_hand_and_one_of_the_program_are_told_apart(
    harness: Harness, client: Client, home: str
) -> None:
    objects = stack(home)
    harness.up("a.local", objects=objects)
    edit(client, "ConfigMap", "settings", home, {"data": {"a": "9"}})
    objects[1]["body"]["data"] = {"a": "1", "b": "5"}

    result = harness.up("a.local", objects=objects)

    step = next(step for step in result.steps if step.name == "s")
    assert [change.path for change in step.undone] == ["data.a"]
    assert {change.path for change in step.diff} == {"data.a", "data.b"}
    assert not found(harness)


def test_an_object_deleted_by_hand_is_gone_and_made_anew(
    harness: Harness, client: Client, home: str
) -> None:
    objects = stack(home)
    harness.up("a.local", objects=objects)
    client.delete("v1", "ConfigMap", "settings", home)

    assert [(each.title, each.state) for each in drift(harness).objects] == [
        (f"ConfigMap {home}/settings", "gone")
    ]
    result = harness.up("a.local", objects=objects)
    assert [step.name for step in result.steps if step.repairs] == ["s"]
    assert not found(harness)


def test_objects_of_others_in_our_namespace_are_named_and_left(
    harness: Harness, client: Client, home: str
) -> None:
    objects = stack(home)
    harness.up("a.local", objects=objects)
    client.create(config_map("theirs", home, {"a": "1"}), manager="kubectl-create")
    client.delete("v1", "ConfigMap", "settings", home)
    client.create(config_map("settings", home, {"a": "1"}), manager="kubectl-create")

    drifted = found(harness)

    assert {title: each.state for title, each in drifted.items()} == {
        f"ConfigMap {home}/settings": "replaced",
        f"ConfigMap {home}/theirs": "stranger",
    }
    assert all(each.by.startswith("kubectl-create at 20") for each in drifted.values())
    assert not any(each.undone for each in drifted.values())
    with pytest.raises(Refused, match=r"settings exists already, and it wasn't made by this stack"):
        harness.up("a.local", objects=objects)
    client.delete("v1", "ConfigMap", "settings", home)
    harness.up("a.local", objects=objects)
    assert [each.state for each in drift(harness).objects] == ["stranger"]


def test_what_another_controller_added_is_named_and_left_to_it(
    harness: Harness, client: Client, home: str
) -> None:
    objects = stack(home)
    harness.up("a.local", objects=objects)
    body = {"metadata": {"labels": {"mesh": "on"}}}
    edit(client, "Deployment", "d", home, body, manager="istiod")

    [drifted] = drift(harness).objects
    assert not drifted.undone
    result = harness.up("a.local", objects=objects)
    assert not [step for step in result.steps if step.repairs]
    assert [each.title for each in drift(harness).objects] == [f"Deployment {home}/d"]


def test_drift_of_a_stack_that_nobody_knows_is_refused(harness: Harness) -> None:
    with pytest.raises(Refused, match=r"there is no stack nobody\.local"):
        harness.engine.drift("nobody.local", report=silent)
