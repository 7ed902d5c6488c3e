"""The embedded engine against a real API server: decisions that only the real one makes."""

from __future__ import annotations

import base64
import errno
import json
import os
import re
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from moltghost.engines.interface import Op
from moltghost.errors import ExitCode, Failed, Interrupted, Refused
from moltghost.kube.client import Client
from tests.engines.full_disk import FullDisk
from tests.engines.harness import (
    Harness,
    Object,
    config_map,
    deployment,
    item,
    namespace,
    ops,
)
from tests.engines.killed import killed

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
    """A namespace name that no other test uses."""
    return f"engine-{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="module")
def pool(running_cluster: RunningCluster) -> None:
    """Simulated nodes for pods without a GPU, at most two of 4 vCPU."""
    client = running_cluster.client
    node_class = {"apiVersion": "karpenter.kwok.sh/v1alpha1", "kind": "KWOKNodeClass"}
    client.apply({**node_class, "metadata": {"name": "engine"}}, manager="test")
    requirement = {"operator": "In"}
    client.apply(
        {
            "apiVersion": "karpenter.sh/v1",
            "kind": "NodePool",
            "metadata": {"name": "engine"},
            "spec": {
                "template": {
                    "spec": {
                        "nodeClassRef": {
                            "group": "karpenter.kwok.sh",
                            "kind": "KWOKNodeClass",
                            "name": "engine",
                        },
                        "requirements": [
                            {
                                "key": "node.kubernetes.io/instance-type",
                                "values": ["g6e.xlarge"],
                                **requirement,
                            }
                        ],
                    }
                },
                "limits": {"cpu": "8"},
                "disruption": {"consolidationPolicy": "WhenEmpty", "consolidateAfter": "Never"},
            },
        },
        manager="test",
    )


def in_thread(work: Callable[[], Any]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def until(condition: Callable[[], Any], seconds: float = 30) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
    return found


# --- create, change, prune -------------------------------------------------------------------


def test_a_preview_shows_what_would_be_made_and_makes_nothing(
    harness: Harness, client: Client, home: str
) -> None:
    preview = harness.preview(
        "a.local",
        objects=[
            item("home", namespace(home)),
            item("settings", config_map("settings", home, {"a": "1"}), needs=["home"]),
        ],
    )

    assert ops(preview) == {
        f"Namespace {home}": Op.CREATE,
        f"ConfigMap {home}/settings": Op.CREATE,
    }
    assert preview.changes
    assert client.get("v1", "Namespace", home) is None
    assert not list(harness.state.glob("*.json"))


def test_an_up_after_an_up_changes_nothing(harness: Harness, home: str) -> None:
    objects = [
        item("home", namespace(home)),
        item("settings", config_map("settings", home, {"a": "1"}), needs=["home"]),
    ]
    assert set(ops(harness.up("a.local", objects=objects)).values()) == {Op.CREATE}

    again = harness.up("a.local", objects=objects)

    assert set(ops(again).values()) == {Op.SAME}
    assert again.outputs == {"plain": "plain text"}


def test_a_change_is_applied_and_a_field_that_left_the_program_leaves_the_object(
    harness: Harness, client: Client, home: str
) -> None:
    first = config_map("settings", home, {"a": "1", "gone": "x"}, labels={"old": "label"})
    harness.up("a.local", objects=[item("home", namespace(home)), item("s", first, needs=["home"])])

    second = config_map("settings", home, {"a": "2"})
    result = harness.up(
        "a.local", objects=[item("home", namespace(home)), item("s", second, needs=["home"])]
    )

    step = next(step for step in result.steps if step.name == "s")
    assert step.op is Op.UPDATE
    assert {change.path: (change.before, change.after) for change in step.diff} == {
        "data.a": ("1", "2"),
        "data.gone": ("x", None),
        "metadata.labels": ({"old": "label"}, None),
    }
    live = client.get("v1", "ConfigMap", "settings", home)
    assert live is not None
    assert live["data"] == {"a": "2"}
    assert "labels" not in live["metadata"]


def test_what_left_the_program_is_deleted(harness: Harness, client: Client, home: str) -> None:
    kept = item("home", namespace(home))
    harness.up(
        "a.local",
        objects=[kept, item("s", config_map("settings", home, {"a": "1"}), needs=["home"])],
    )

    preview = harness.preview("a.local", objects=[kept])
    result = harness.up("a.local", objects=[kept])

    assert ops(preview)[f"ConfigMap {home}/settings"] is Op.DELETE
    assert ops(result)[f"ConfigMap {home}/settings"] is Op.DELETE
    assert client.get("v1", "ConfigMap", "settings", home) is None


def test_a_new_object_name_makes_the_new_one_first_and_deletes_the_old_one(
    harness: Harness, client: Client, home: str
) -> None:
    def objects(name: str) -> list[Object]:
        body = config_map(name, home, {"a": "1"})
        return [item("home", namespace(home)), item("s", body, needs=["home"])]

    harness.up("a.local", objects=objects("settings-1"))
    result = harness.up("a.local", objects=objects("settings-2"))

    assert [(step.op, step.title) for step in result.steps if step.op is not Op.SAME] == [
        (Op.REPLACE, f"ConfigMap {home}/settings-2"),
        (Op.DELETE, f"ConfigMap {home}/settings-1"),
    ]
    names = [each["metadata"]["name"] for each in client.list("v1", "ConfigMap", home)]
    assert "settings-2" in names
    assert "settings-1" not in names


def test_a_renamed_resource_with_an_alias_is_left_alone(harness: Harness, home: str) -> None:
    harness.up("a.local", objects=[item("old", namespace(home))])

    result = harness.up("a.local", objects=[item("new", namespace(home), alias="old")])

    assert ops(result) == {f"Namespace {home}": Op.SAME}


def test_a_definition_and_an_object_of_its_kind_come_in_one_stack(
    harness: Harness, client: Client, home: str
) -> None:
    group = f"{home}.example.com"
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"widgets.{group}"},
        "spec": {
            "group": group,
            "scope": "Cluster",
            "names": {"kind": "Widget", "plural": "widgets"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }
    widget = {"apiVersion": f"{group}/v1", "kind": "Widget", "metadata": {"name": "one"}}
    objects = [item("definition", definition), item("one", widget, needs=["definition"])]

    assert ops(harness.up("a.local", objects=objects))["Widget one"] is Op.CREATE
    assert client.get(f"{group}/v1", "Widget", "one") is not None
    harness.destroy("a.local")
    assert (
        client.get("apiextensions.k8s.io/v1", "CustomResourceDefinition", f"widgets.{group}")
        is None
    )


# --- refusals --------------------------------------------------------------------------------


def test_an_object_that_is_not_ours_is_refused_and_nothing_is_made(
    harness: Harness, client: Client, home: str
) -> None:
    client.create(namespace(home), manager="someone")

    with pytest.raises(Refused, match=rf"Namespace {home} exists already, and it wasn't made by"):
        harness.up(
            "a.local", objects=[item("other", namespace(f"{home}-2")), item("h", namespace(home))]
        )

    assert client.get("v1", "Namespace", f"{home}-2") is None


def test_an_object_of_another_stack_is_refused_with_its_owner_named(
    harness: Harness, home: str
) -> None:
    harness.up("a.local", objects=[item("home", namespace(home))])

    with pytest.raises(Refused, match=r"it belongs to stack a.local") as refusal:
        harness.preview("b.local", objects=[item("home", namespace(home))])

    assert refusal.value.exit_code is ExitCode.REFUSED


@pytest.mark.parametrize("exists", [True, False], ids=["in its namespace", "before its namespace"])
def test_a_field_that_the_kind_does_not_have_is_refused_in_the_preview(
    harness: Harness, home: str, exists: bool
) -> None:
    if exists:
        harness.up("a.local", objects=[item("home", namespace(home))])
    body = deployment("server", home)
    body["spec"]["template"]["spec"]["replicaCount"] = 3

    with pytest.raises(Refused, match=r'unknown field "spec\.template\.spec\.replicaCount"'):
        harness.preview(
            "a.local", objects=[item("home", namespace(home)), item("d", body, needs=["home"])]
        )


def test_a_change_of_an_immutable_field_is_refused_with_the_way_out(
    harness: Harness, home: str
) -> None:
    body = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": home},
        "provisioner": "example.com/none",
    }
    harness.up("a.local", objects=[item("class", body)])

    with pytest.raises(
        Refused, match=r"(?s)StorageClass .*would have to be replaced.*another name"
    ):
        harness.up("a.local", objects=[item("class", {**body, "provisioner": "example.com/other"})])
    harness.destroy("a.local")


def test_a_kind_that_the_cluster_does_not_have_is_refused(harness: Harness) -> None:
    body = {"apiVersion": "example.com/v1", "kind": "Nothing", "metadata": {"name": "x"}}

    with pytest.raises(Refused, match=r"the cluster has no kind Nothing in example.com/v1"):
        harness.preview("a.local", objects=[item("x", body)])


def test_an_object_without_a_name_is_refused(harness: Harness) -> None:
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"generateName": "x-"}}

    with pytest.raises(Refused, match=r"Namespace x has no metadata\.name"):
        harness.preview("a.local", objects=[item("x", body)])


def test_what_the_api_server_warns_of_is_reported(harness: Harness, home: str) -> None:
    restricted = namespace(home, **{"pod-security.kubernetes.io/warn": "restricted"})
    harness.up("a.local", objects=[item("home", restricted)])

    preview = harness.preview(
        "a.local",
        objects=[item("home", restricted), item("d", deployment("d", home, replicas=0))],
    )

    assert any("would violate PodSecurity" in warning for warning in preview.warnings)


def test_a_cluster_that_is_not_running_is_refused_at_once(tmp_path: Path, home: str) -> None:
    harness = Harness(tmp_path, kubeconfig=str(tmp_path / "missing"))

    with pytest.raises(Refused, match=r"(?s)environment local isn't running.*moltghost local up"):
        harness.preview("a.local", objects=[item("home", namespace(home))])


def test_a_server_that_does_not_answer_is_refused_at_once(
    harness: Harness, running_cluster: RunningCluster, tmp_path: Path, home: str
) -> None:
    text = running_cluster.status.kubeconfig.read_text()
    dead = tmp_path / "dead-kubeconfig"
    dead.write_text(text.replace(running_cluster.status.server, "https://127.0.0.1:9"))
    harness.kubeconfig = str(dead)
    began = time.monotonic()

    with pytest.raises(Refused, match=r"(?s)environment local isn't running.*doesn't answer"):
        harness.preview(
            "a.local",
            objects=[item(f"n{index}", namespace(f"{home}-{index}")) for index in range(9)],
        )

    assert time.monotonic() - began < 5


def test_the_state_of_another_cluster_is_refused_and_can_be_forgotten(
    harness: Harness, home: str
) -> None:
    harness.up("a.local", objects=[item("home", namespace(home))])
    path = harness.state / "a.local.json"
    document = json.loads(path.read_text())
    clusters = document["moltghost"]["clusters"]
    document["moltghost"]["clusters"] = dict.fromkeys(clusters, "another-uid")
    path.write_text(json.dumps(document))

    for change in (
        lambda: harness.preview("a.local", objects=[item("home", namespace(home))]),
        lambda: harness.up("a.local", objects=[item("home", namespace(home))]),
        lambda: harness.destroy("a.local"),
    ):
        with pytest.raises(Refused, match=r"(?s)in another cluster.*another-uid.*stack forget"):
            change()

    assert harness.engine.forget("a.local") == 1
    assert harness.engine.stacks() == []


# --- what others did by hand -----------------------------------------------------------------


def test_a_change_made_by_hand_is_shown_and_undone(
    harness: Harness, client: Client, home: str
) -> None:
    objects = [
        item("home", namespace(home)),
        item("s", config_map("settings", home, {"a": "1"}), needs=["home"]),
    ]
    harness.up("a.local", objects=objects)
    client.patch("v1", "ConfigMap", "settings", home, {"data": {"a": "9"}}, manager="someone")

    result = harness.up("a.local", objects=objects)

    step = next(step for step in result.steps if step.name == "s")
    assert (step.op, step.note) == (Op.UPDATE, "a change made by hand is undone")
    assert [(change.path, change.before, change.after) for change in step.diff] == [
        ("data.a", "9", "1")
    ]
    live = client.get("v1", "ConfigMap", "settings", home)
    assert live is not None
    assert live["data"] == {"a": "1"}


def test_a_value_that_the_server_writes_its_own_way_is_no_change(
    harness: Harness, home: str
) -> None:
    body = deployment("d", home, replicas=0)
    body["spec"]["template"]["spec"]["containers"][0]["resources"] = {
        "requests": {"cpu": "1000m", "memory": "1024Mi"}
    }
    objects = [item("home", namespace(home)), item("d", body, needs=["home"])]
    harness.up("a.local", objects=objects)

    assert set(ops(harness.preview("a.local", objects=objects)).values()) == {Op.SAME}


def test_an_object_deleted_by_hand_is_made_anew(
    harness: Harness, client: Client, home: str
) -> None:
    objects = [
        item("home", namespace(home)),
        item("s", config_map("settings", home, {"a": "1"}), needs=["home"]),
    ]
    harness.up("a.local", objects=objects)
    client.delete("v1", "ConfigMap", "settings", home)

    result = harness.up("a.local", objects=objects)

    step = next(step for step in result.steps if step.name == "s")
    assert (step.op, step.note) == (
        Op.CREATE,
        "it was deleted from the cluster and is created again",
    )


def test_an_up_waits_for_what_is_still_being_deleted_and_makes_it_anew(
    harness: Harness, client: Client, home: str
) -> None:
    objects = [
        item("home", namespace(home)),
        item("s", config_map("settings", home, {"a": "1"}), needs=["home"]),
    ]
    harness.up("a.local", objects=objects)
    before = client.get("v1", "Namespace", home)
    assert before is not None
    client.delete("v1", "Namespace", home)

    harness.up("a.local", objects=objects)

    after = client.get("v1", "Namespace", home)
    assert after is not None
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    assert client.get("v1", "ConfigMap", "settings", home) is not None


def test_a_path_of_ignore_changes_is_left_to_others(
    harness: Harness, client: Client, home: str
) -> None:
    def objects(image: str) -> list[Object]:
        body = deployment("d", home, replicas=0, image=image)
        return [
            item("home", namespace(home)),
            item("d", body, needs=["home"], ignore=["spec.paused"]),
        ]

    harness.up("a.local", objects=objects("example.invalid/a:1"))
    client.patch("apps/v1", "Deployment", "d", home, {"spec": {"paused": True}}, manager="someone")

    harness.up("a.local", objects=objects("example.invalid/a:2"))

    live = client.get("apps/v1", "Deployment", "d", home)
    assert live is not None
    assert live["spec"]["paused"] is True
    assert live["spec"]["template"]["spec"]["containers"][0]["image"] == "example.invalid/a:2"


# --- protection ------------------------------------------------------------------------------


def test_protected_resources_stay_and_are_taken_up_again_until_they_are_unprotected(
    harness: Harness, client: Client, home: str
) -> None:
    def objects(protect: bool) -> list[Object]:
        claim = {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "memory", "namespace": home},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "none",
                "resources": {"requests": {"storage": "1Gi"}},
            },
        }
        skip = {"annotations": {"pulumi.com/skipAwait": "true"}}
        claim["metadata"] = {**claim["metadata"], **skip}  # type: ignore[dict-item]
        return [
            item("home", namespace(home), protect=protect),
            item("memory", claim, needs=["home"], protect=protect),
            item("s", config_map("settings", home, {"a": "1"}), needs=["home"]),
        ]

    harness.up("a.local", objects=objects(True))
    with pytest.raises(Refused, match=rf"protected resources: {home}, {home}/memory"):
        harness.destroy("a.local")
    uid = client.get("v1", "PersistentVolumeClaim", "memory", home)["metadata"]["uid"]  # type: ignore[index]

    gone = harness.destroy("a.local", protected="keep")

    assert ops(gone) == {f"ConfigMap {home}/settings": Op.DELETE}
    assert harness.engine.stacks()[0].resource_count == 2
    again = harness.up("a.local", objects=objects(True))
    assert ops(again) == {
        f"Namespace {home}": Op.SAME,
        f"PersistentVolumeClaim {home}/memory": Op.SAME,
        f"ConfigMap {home}/settings": Op.CREATE,
    }
    assert client.get("v1", "PersistentVolumeClaim", "memory", home)["metadata"]["uid"] == uid  # type: ignore[index]
    harness.up("a.local", objects=objects(False))
    harness.destroy("a.local")
    assert client.get("v1", "Namespace", home) is None
    assert harness.engine.stacks() == []


def test_protected_resources_are_deleted_by_a_run_that_is_told_to(
    harness: Harness, client: Client, home: str
) -> None:
    harness.up("a.local", objects=[item("home", namespace(home), protect=True)])

    harness.destroy("a.local", protected="delete")

    assert client.get("v1", "Namespace", home) is None
    assert harness.engine.stacks() == []


def test_a_protected_resource_that_leaves_the_program_is_refused(
    harness: Harness, client: Client, home: str
) -> None:
    harness.up("a.local", objects=[item("home", namespace(home), protect=True)])

    with pytest.raises(Refused, match=rf"no longer has Namespace {home}, which is protected"):
        harness.up("a.local", objects=[])

    assert client.get("v1", "Namespace", home) is not None


def test_a_retained_resource_leaves_the_state_and_stays_in_the_cluster(
    harness: Harness, client: Client, home: str
) -> None:
    harness.up("a.local", objects=[item("home", namespace(home), retain=True)])
    harness.up("a.local", objects=[])

    assert client.get("v1", "Namespace", home) is not None
    assert home not in harness.state_text("a.local")


# --- secrets and references ------------------------------------------------------------------


def secret(name: str, home: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": home},
        "stringData": {"token": "{{password}}"},
    }


def test_a_secret_is_nowhere_in_plain_text_but_in_the_cluster(
    harness: Harness, client: Client, home: str
) -> None:
    objects = [item("home", namespace(home)), item("token", secret("token", home), needs=["home"])]
    result = harness.up("a.local", password="pw", objects=objects)

    live = client.get("v1", "Secret", "token", home)
    assert live is not None
    encoded = live["data"]["token"]
    text = base64.b64decode(encoded).decode()
    assert len(text) == 24
    assert harness.engine.outputs("a.local") == {"password": "[secret]", "plain": "plain text"}
    assert harness.engine.outputs("a.local", show_secrets=True)["password"] == text
    shown = [repr(result), repr(harness.events), harness.state_text("a.local")]
    shown.append(repr(harness.preview("a.local", password="pw", objects=objects)))
    assert not [each for each in shown if text in each or encoded in each]


def test_a_secret_changed_by_hand_is_repaired_without_showing_it(
    harness: Harness, client: Client, home: str
) -> None:
    body = secret("token", home)
    body["stringData"] = {"token": "plain-text-one"}
    objects = [item("home", namespace(home)), item("token", body, needs=["home"])]
    harness.up("a.local", objects=objects)
    by_hand = base64.b64encode(b"plain-text-two").decode()
    client.patch("v1", "Secret", "token", home, {"data": {"token": by_hand}}, manager="someone")

    result = harness.up("a.local", objects=objects)

    step = next(step for step in result.steps if step.name == "token")
    assert [(change.path, change.before, change.after) for change in step.diff] == [
        ("data.token", "[secret]", "[secret]")
    ]
    encoded = base64.b64encode(b"plain-text-one").decode()
    live = client.get("v1", "Secret", "token", home)
    assert live is not None
    assert live["data"]["token"] == encoded
    shown = repr(result) + repr(harness.events) + harness.state_text("a.local")
    assert not [each for each in ("plain-text", by_hand, encoded) if each in shown]


def test_a_secret_in_the_servers_answer_is_masked(harness: Harness, home: str) -> None:
    harness.up("a.local", password="pw", objects=[item("home", namespace(home))])
    text = harness.engine.outputs("a.local", show_secrets=True)["password"]
    ports = [{"name": "{{password}}", "port": 80}]
    body = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "s", "namespace": home},
        "spec": {"ports": ports},
    }

    with pytest.raises(Refused, match=r'Invalid value: "\[secret\]"') as refusal:
        harness.preview(
            "a.local", password="pw", objects=[item("home", namespace(home)), item("s", body)]
        )

    assert text not in str(refusal.value)


def test_a_random_value_is_made_once(harness: Harness, home: str) -> None:
    objects = [item("home", namespace(home))]
    harness.up("a.local", password="pw", objects=objects)
    first = harness.engine.outputs("a.local", show_secrets=True)["password"]

    harness.up("a.local", password="pw", objects=objects)

    assert harness.engine.outputs("a.local", show_secrets=True)["password"] == first


def test_the_outputs_of_another_stack_are_known_in_a_preview_and_secrets_stay_secret(
    harness: Harness,
) -> None:
    with pytest.raises(
        Refused, match=r"(?s)stack platform.local doesn't exist.*moltghost up local"
    ):
        harness.preview("a.local", reads=["platform.local"])
    harness.up("platform.local", password="pw")

    preview = harness.preview("a.local", reads=["platform.local"])
    harness.up("a.local", reads=["platform.local"])

    assert preview.outputs["platform.local.plain"] == "plain text"
    assert preview.outputs["platform.local.password"] == "[secret]"
    text = harness.engine.outputs("platform.local", show_secrets=True)["password"]
    assert text not in harness.state_text("a.local")
    assert harness.engine.outputs("a.local", show_secrets=True)["platform.local.password"] == text


# --- waiting ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("pool")
def test_an_up_waits_until_a_deployment_is_available(
    harness: Harness, client: Client, home: str
) -> None:
    objects = [item("home", namespace(home)), item("d", deployment("d", home), needs=["home"])]

    harness.up("a.local", objects=objects)

    live = client.get("apps/v1", "Deployment", "d", home)
    assert live is not None
    assert live["status"]["availableReplicas"] == 1
    assert any("of 1" in text for text in harness.details(f"Deployment {home}/d"))
    harness.destroy("a.local")


@pytest.mark.usefixtures("pool")
def test_a_pod_that_fits_no_node_times_out_with_karpenters_reason_and_goes_on_when_repeated(
    harness: Harness, client: Client, home: str
) -> None:
    def objects(cpu: str, seconds: str) -> list[Object]:
        body = deployment("d", home)
        body["spec"]["template"]["spec"]["containers"][0]["resources"] = {"requests": {"cpu": cpu}}
        return [
            item("home", namespace(home)),
            item("d", body, needs=["home"], seconds=seconds),
            item("s", config_map("settings", home, {"a": "1"}), needs=["home"]),
            item("after", config_map("after", home, {"a": "1"}), needs=["d"]),
        ]

    with pytest.raises(
        Failed, match=r"(?s)isn't ready after 6 s: .*(instance type|nodepool)"
    ) as failure:
        harness.up("a.local", objects=objects("64", "6s"))

    assert failure.value.exit_code is ExitCode.FAILED
    assert client.get("v1", "ConfigMap", "settings", home) is not None
    assert client.get("v1", "ConfigMap", "after", home) is None
    preview = harness.preview("a.local", objects=objects("64", "6s"))
    step = next(step for step in preview.steps if step.name == "d")
    assert (step.op, step.note.startswith("it isn't ready yet")) == (Op.UPDATE, True)
    harness.up("a.local", objects=objects("1", "60s"))
    assert client.get("v1", "ConfigMap", "after", home) is not None
    harness.destroy("a.local")


def test_a_claim_that_waits_for_its_first_consumer_is_not_waited_for(
    harness: Harness, home: str
) -> None:
    storage = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": home},
        "provisioner": "kwok.x-k8s.io/volume",
        "volumeBindingMode": "WaitForFirstConsumer",
    }
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "memory", "namespace": home},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": home,
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    objects = [
        item("home", namespace(home)),
        item("class", storage),
        item("memory", claim, needs=["home", "class"], seconds="10s"),
    ]

    harness.up("a.local", objects=objects)
    harness.destroy("a.local")


def test_a_server_side_refusal_in_the_middle_leaves_what_was_done_and_converges_when_repeated(
    harness: Harness, client: Client, home: str
) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "few", "namespace": home},
        "spec": {"hard": {"count/services": "0"}},
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "service", "namespace": home},
        "spec": {"ports": [{"port": 80}]},
    }

    def objects(services: str) -> list[Object]:
        limited = {**quota, "spec": {"hard": {"count/services": services}}}
        return [
            item("home", namespace(home)),
            item("quota", limited, needs=["home"]),
            item("s", config_map("settings", home, {"a": "1"}), needs=["home"]),
            item("service", service, needs=["quota"]),
            item("after", config_map("after", home, {"a": "1"}), needs=["service"]),
        ]

    with pytest.raises(Failed, match=rf"Service {home}/service: .*exceeded quota|not yet"):
        harness.up("a.local", objects=objects("0"))
    assert client.get("v1", "ConfigMap", "settings", home) is not None
    assert client.get("v1", "ConfigMap", "after", home) is None

    result = harness.up("a.local", objects=objects("5"))

    assert ops(result)[f"ConfigMap {home}/after"] is Op.CREATE


# --- two at once, stopping -------------------------------------------------------------------


@pytest.mark.usefixtures("pool")
def test_a_second_up_at_the_same_time_is_refused_and_a_stopped_one_leaves_no_lock(
    harness: Harness, home: str
) -> None:
    body = deployment("d", home, nodeSelector={"no": "such-node"})
    objects = [item("home", namespace(home)), item("d", body, needs=["home"])]
    harness.write("a.local", objects=objects)
    refusals: list[Refused] = []

    def second_up_then_ctrl_c() -> None:
        try:
            until(lambda: harness.details(f"Deployment {home}/d"))
            harness.engine.up("a.local", report=harness.events.append)
        except Refused as refusal:
            refusals.append(refusal)
        finally:
            os.kill(os.getpid(), signal.SIGINT)

    other = in_thread(second_up_then_ctrl_c)
    with pytest.raises(Interrupted, match="stopped on request"):
        harness.engine.up("a.local", report=harness.events.append)
    other.join(60)

    assert re.search(
        r"being changed by another process: up with pid \d+, since", refusals[0].message
    )
    fixed = [item("home", namespace(home)), item("d", deployment("d", home), needs=["home"])]
    assert ops(harness.up("a.local", objects=fixed))[f"Deployment {home}/d"] is Op.UPDATE
    harness.destroy("a.local")


def test_a_preview_that_no_longer_holds_is_refused(harness: Harness, home: str) -> None:
    preview = harness.preview("a.local", objects=[item("home", namespace(home))])
    harness.write("a.local", objects=[item("home", namespace(home, changed="yes"))])

    with pytest.raises(Refused, match=r"changed since the preview"):
        harness.engine.up("a.local", report=harness.events.append, expect=preview)

    fresh = harness.engine.preview("a.local", report=harness.events.append)
    harness.engine.up("a.local", report=harness.events.append, expect=fresh)


# --- kills -----------------------------------------------------------------------------------


def small_stack(home: str, rotation: int) -> dict[str, Any]:
    """Objects of an existing namespace; a rotation changes, renames and removes some."""
    changed = config_map("settings", home, {"rotation": str(rotation)})
    renamed = config_map(f"named-{rotation}", home, {"a": "1"})
    objects = [item("token", secret("token", home)), item("s", changed), item("n", renamed)]
    if rotation == 1:
        objects.append(item("extra", config_map("extra", home, {"a": "1"})))
    return {"password": "pw", "objects": objects}


def ours(client: Client, home: str) -> set[str]:
    """What our stack has in a namespace."""
    return {
        each["metadata"]["name"]
        for kind in ("ConfigMap", "Secret")
        for each in client.list("v1", kind, home)
        if "moltghost.dev/stack" in each["metadata"].get("annotations", {})
    }


def converged(harness: Harness, client: Client, home: str, rotation: int) -> None:
    """Run again after a kill, and check that it is as if there had been none."""
    spec = small_stack(home, rotation)
    harness.up("a.local", **spec)
    assert set(ops(harness.preview("a.local", **spec)).values()) == {Op.SAME}
    extra = {"extra"} if rotation == 1 else set()
    assert ours(client, home) == {"token", "settings", f"named-{rotation}"} | extra
    live = client.get("v1", "Secret", "token", home)
    assert live is not None
    text = harness.engine.outputs("a.local", show_secrets=True)["password"]
    assert base64.b64decode(live["data"]["token"]).decode() == text


# Every third of the moments at which something may happen in `make test`, each in `make test-long`.
STRIDES = [
    pytest.param(3, id="every third"),
    pytest.param(1, id="each", marks=pytest.mark.long),
]


@pytest.mark.parametrize("stride", STRIDES)
def test_an_up_and_a_destroy_killed_at_any_step_converge_when_repeated(
    harness: Harness, client: Client, home: str, stride: int
) -> None:
    client.create(namespace(home), manager="test")
    points = {"create": 0, "change": 0, "destroy": 0}
    running = True
    while running:
        running = False
        for phase, operation, rotation in (
            ("create", "up", 1),
            ("change", "up", 2),
            ("destroy", "destroy", 2),
        ):
            harness.write("a.local", **small_stack(home, rotation))
            if killed(harness.folder, "a.local", operation, points[phase] + 1):
                points[phase] += stride
                running = True
                if operation == "up":
                    converged(harness, client, home, rotation)
                elif harness.engine.stacks():
                    harness.destroy("a.local")
        assert ours(client, home) == set()
        assert harness.engine.stacks() == []

    assert min(points.values()) > 5, points


@pytest.mark.parametrize("stride", STRIDES)
@pytest.mark.parametrize("operation", ["up", "destroy"])
def test_a_full_disk_at_any_write_stops_the_run_and_leaves_the_state_whole(
    harness: Harness,
    client: Client,
    home: str,
    monkeypatch: pytest.MonkeyPatch,
    operation: str,
    stride: int,
) -> None:
    client.create(namespace(home), manager="test")
    spec = small_stack(home, 1)
    harness.up("a.local", **spec)  # makes the key
    if operation == "up":
        harness.destroy("a.local")
    writes, refused = 0, 1
    while refused:
        with monkeypatch.context() as patch:
            disk = FullDisk(patch, writes)
            try:
                if operation == "up":
                    harness.up("a.local", **spec)
                else:
                    harness.destroy("a.local")
            except Failed as failure:
                assert "No space left" in failure.message
                assert "is intact" in failure.hint
            except OSError as error:  # the very last write, which forgets the stack
                assert (operation, error.errno) == ("destroy", errno.ENOSPC)
        refused = disk.refused
        harness.engine.stacks()  # it can be read
        converged(harness, client, home, 1)
        if operation == "up":
            harness.destroy("a.local")
            assert ours(client, home) == set()
        writes += stride
    assert writes > 5


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_disk_that_is_really_full_is_told_and_the_next_run_goes_on(
    running_cluster: RunningCluster, client: Client, home: str, tmp_path: Path
) -> None:
    client.create(namespace(home), manager="test")
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = subprocess.run(
        ["/bin/mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(disk)], check=False
    )
    if mount.returncode:
        pytest.skip("this root may not mount")
    try:
        harness = Harness(disk / "work", kubeconfig=str(running_cluster.status.kubeconfig))
        spec = small_stack(home, 1)
        harness.write("a.local", **spec)
        filler = os.open(disk / "filler", os.O_WRONLY | os.O_CREAT)
        with pytest.raises(OSError, match="No space left"):
            while True:
                os.write(filler, bytes(512))
        os.close(filler)
        with pytest.raises(Failed, match=r"(?s)can't be written: .*No space left.*is intact"):
            harness.engine.up("a.local", report=harness.events.append)
        (disk / "filler").unlink()
        converged(harness, client, home, 1)
        harness.destroy("a.local")
    finally:
        subprocess.run(["/bin/umount", str(disk)], check=True)


def test_an_api_server_that_goes_away_for_20_seconds_is_waited_for(
    harness: Harness, running_cluster: RunningCluster, client: Client, home: str
) -> None:
    server = next(
        each for each in running_cluster.status.processes if each.name == "kube-apiserver"
    )
    assert server.pid is not None
    objects = [item("home", namespace(home))]
    objects += [
        item(f"s{index}", config_map(f"s{index}", home, {"a": "1"}), needs=["home"])
        for index in range(8)
    ]
    client.create(namespace(f"{home}-b"), manager="test")
    harness.up("b.local", **small_stack(f"{home}-b", 1))
    harness.write("a.local", objects=objects)
    failed: list[BaseException] = []

    def run(work: Callable[..., Any], *arguments: Any, **options: Any) -> threading.Thread:
        def whole() -> None:
            try:
                work(*arguments, **options, report=harness.events.append)
            except BaseException as error:
                failed.append(error)

        return in_thread(whole)

    up = run(harness.engine.up, "a.local")
    until(lambda: harness.details(f"Namespace {home}"))
    os.kill(server.pid, signal.SIGSTOP)
    try:
        destroy = run(harness.engine.destroy, "b.local", protected="refuse")
        time.sleep(20)
    finally:
        os.kill(server.pid, signal.SIGCONT)
    up.join(90)
    destroy.join(90)

    assert failed == []
    assert set(ops(harness.preview("a.local", objects=objects)).values()) == {Op.SAME}
    assert ours(client, f"{home}-b") == set()
    assert [each.name for each in harness.engine.stacks()] == ["a.local"]
