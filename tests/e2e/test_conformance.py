"""Both engines do the same: the same edits of a program leave the same objects in the API server.

The stock engine's half runs where the Pulumi CLI is, with its Kubernetes and random plugins, on a
backend in a temporary folder.
"""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from moltghost.engines.adoption.adoption import Adoption
from moltghost.engines.embedded.engine import EmbeddedEngine
from moltghost.engines.interface import Engine, Op
from moltghost.errors import Failed, Refused
from moltghost.kube.client import Client
from moltghost.ownership import EngineName
from moltghost.progress import silent
from tests.engines.harness import Harness, Object, config_map, deployment, item, namespace, ops

from .cluster_fixture import RunningCluster
from .stock_cli import needs_cli

pytestmark = pytest.mark.e2e

STACK = "conformance.local"
KINDS = ("ConfigMap", "Secret", "Deployment", "ServiceAccount", "ResourceQuota")
# What the API server and controllers write by themselves, and what says who wrote it.
BOOKKEEPING = ("uid", "resourceVersion", "creationTimestamp", "managedFields", "generation")


@dataclass(frozen=True)
class Edit:
    """One change of the program, and how it is expected to end."""

    says: str
    objects: list[Object]
    ends: str = "done"
    by_hand: Callable[[Client], Any] | None = None


def storage_class(name: str, provisioner: str) -> Object:
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name},
        "provisioner": provisioner,
    }


def edits(home: str) -> list[Edit]:
    """A stack's life, each edit on top of the one before."""
    space = item("home", namespace(home, team="a"))
    account = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": "runner", "namespace": home},
        "automountServiceAccountToken": False,
    }
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "keys", "namespace": home},
        "stringData": {"plain": "a text"},
    }
    first = [
        space,
        item("settings", config_map("settings", home, {"a": "1", "b": "x"}), needs=["home"]),
        item("named", config_map("named-1", home, {"c": "1"}), needs=["home"]),
        item("account", account, needs=["home"]),
        item("keys", secret, needs=["home"]),
        item("idle", deployment("idle", home, replicas=0), needs=["home"]),
        item("class", storage_class(home, "example.com/none")),
    ]
    changed = [*first]
    changed[0] = item("home", namespace(home, team="b"))
    changed[1] = item("settings", config_map("settings", home, {"a": "2"}), needs=["home"])
    renamed = [*changed]
    renamed[2] = item("named", config_map("named-2", home, {"c": "1"}), needs=["home"])
    aliased = [*renamed]
    aliased[2] = {**renamed[2], "name": "named-anew", "alias": "named"}
    immutable = [*aliased]
    immutable[6] = item("class", storage_class(home, "example.com/other"))
    removed = [each for each in aliased if each["name"] not in ("account", "keys")]
    stuck = deployment("stuck", home, nodeSelector={"no": "such-node"})
    broken = [
        *removed,
        item("stuck", stuck, needs=["home"], seconds="3s"),
        item("after", config_map("after", home, {"a": "1"}), needs=["stuck"]),
        item("beside", config_map("beside", home, {"a": "1"}), needs=["home"]),
    ]
    mended = [
        *removed,
        item("stuck", deployment("stuck", home, replicas=0), needs=["home"], seconds="30s"),
        item("after", config_map("after", home, {"a": "1"}), needs=["stuck"]),
        item("beside", config_map("beside", home, {"a": "1"}), needs=["home"]),
    ]

    def change_by_hand(client: Client) -> None:
        client.patch("v1", "ConfigMap", "settings", home, {"data": {"a": "9"}}, manager="someone")
        client.delete("v1", "ConfigMap", "beside", home)

    return [
        Edit("create", first),
        Edit("nothing", first),
        Edit("change", changed),
        Edit("rename an object", renamed),
        Edit("rename a resource, with an alias", aliased),
        Edit("change an immutable field", immutable, ends="refused"),
        Edit("remove", removed),
        Edit("fail in the middle", broken, ends="failed"),
        Edit("mend", mended),
        Edit("repair what was changed by hand", mended, by_hand=change_by_hand),
    ]


def held(client: Client, home: str) -> dict[str, Object]:
    """What the API server holds of a stack, without what differs from run to run."""
    found: dict[str, Object] = {}
    for kind in KINDS:
        api_version = "apps/v1" if kind == "Deployment" else "v1"
        for each in client.list(api_version, kind, home):
            name = each["metadata"]["name"]
            if name not in ("kube-root-ca.crt", "default"):
                found[f"{kind} {name}"] = bare(each, home)
    for kind, api_version in (("Namespace", "v1"), ("StorageClass", "storage.k8s.io/v1")):
        if live := client.get(api_version, kind, home):
            found[kind] = bare(live, home)
    return found


def bare(obj: Object, home: str) -> Object:
    metadata = {key: item for key, item in obj["metadata"].items() if key not in BOOKKEEPING}
    notes = metadata.pop("annotations", {})
    kept = {
        key: item
        for key, item in notes.items()
        if not key.startswith(("moltghost.dev/", "deployment.kubernetes.io/"))
    }
    rest = {key: item for key, item in obj.items() if key not in ("status", "metadata")}
    return anonymous(
        {**rest, "metadata": {**metadata, **({"annotations": kept} if kept else {})}}, home
    )


def anonymous(value: Any, home: str) -> Any:
    if isinstance(value, dict):
        return {key: anonymous(each, home) for key, each in value.items()}
    if isinstance(value, list):
        return [anonymous(each, home) for each in value]
    return value.replace(home, "HOME") if isinstance(value, str) else value


def lived(harness: Harness, client: Client, home: str) -> list[tuple[str, str, dict[str, Object]]]:
    """Live a stack's life; after each edit, how it ended and what there is."""
    story = []
    for edit in edits(home):
        if edit.by_hand:
            edit.by_hand(client)
        harness.write(STACK, objects=edit.objects)
        ends, why = "done", ""
        try:
            harness.engine.up(STACK, report=harness.events.append)
        except (Refused, Failed) as error:
            ends, why = type(error).__name__.lower(), str(error)
        assert ends == edit.ends, f"{edit.says}: {why}"
        story.append((edit.says, ends, held(client, home)))
    harness.engine.destroy(STACK, protected="refuse", report=harness.events.append)
    story.append(("destroy", "done", held(client, home)))
    return story


def of_stock(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> Harness:
    """The same project with the stock engine, on a backend of its own."""
    from moltghost.engines.stock.engine import StockEngine

    backend = harness.folder / "backend"
    backend.mkdir()
    monkeypatch.setenv("PULUMI_BACKEND_URL", f"file://{backend}")
    file = harness.project / "Pulumi.yaml"
    settings = yaml.safe_load(file.read_text())
    settings["runtime"] = {"name": "python", "options": {"virtualenv": sys.prefix}}
    file.write_text(yaml.safe_dump(settings))
    harness.engine = StockEngine(harness.project)  # type: ignore[assignment]
    return harness


@pytest.fixture
def client(running_cluster: RunningCluster) -> Client:
    return running_cluster.client


@pytest.fixture
def harness(
    running_cluster: RunningCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Harness:
    monkeypatch.setenv("MOLTGHOST_STATE", str(tmp_path))
    return Harness(tmp_path, kubeconfig=str(running_cluster.status.kubeconfig))


@pytest.fixture
def home() -> str:
    return f"conformance-{uuid.uuid4().hex[:8]}"


def test_a_stacks_life_with_the_embedded_engine(
    harness: Harness, client: Client, home: str
) -> None:
    story = {says: objects for says, _ends, objects in lived(harness, client, home)}

    assert story["create"] == story["nothing"]
    assert story["create"]["ConfigMap settings"]["data"] == {"a": "1", "b": "x"}
    assert story["change"]["ConfigMap settings"]["data"] == {"a": "2"}
    assert story["change"]["Namespace"]["metadata"]["labels"]["team"] == "b"
    assert "ConfigMap named-1" not in story["rename an object"]
    assert story["rename an object"] == story["rename a resource, with an alias"]
    assert story["change an immutable field"] == story["rename an object"]
    assert "Secret keys" not in story["remove"]
    assert "ConfigMap beside" in story["fail in the middle"]
    assert "ConfigMap after" not in story["fail in the middle"]
    assert "ConfigMap after" in story["mend"]
    assert story["repair what was changed by hand"] == story["mend"]
    assert story["destroy"] == {}


@needs_cli
def test_a_stacks_life_with_the_stock_engine_leaves_the_same_objects(
    harness: Harness, client: Client, home: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_embedded = lived(harness, client, home)
    other = f"{home}-2"

    with_stock = lived(of_stock(harness, monkeypatch), client, other)

    for (says, ends, expected), (_says, stock_ends, found) in zip(
        with_embedded, with_stock, strict=True
    ):
        assert (says, stock_ends, found) == (says, ends, expected)


def changed_by_hand(client: Client, home: str) -> None:
    """What people do to a stack of ``edits``: change, add, remove and delete."""

    def patch(kind: str, name: str, space: str | None, body: Object) -> None:
        api_version = "apps/v1" if kind == "Deployment" else "v1"
        client.patch(api_version, kind, name, space, body, manager="kubectl-edit")

    patch("ConfigMap", "settings", home, {"data": {"a": "9", "b": None, "c": "3"}})
    patch("Namespace", home, None, {"metadata": {"labels": {"added": "x"}}})
    patch("Secret", "keys", home, {"data": {"plain": "c2VlbiBieSBoYW5k", "more": "eA=="}})
    spy = [{"name": "main", "image": "example.invalid/nothing:1"}, {"name": "spy", "image": "s:1"}]
    patch("Deployment", "idle", home, {"spec": {"template": {"spec": {"containers": spy}}}})
    client.delete("v1", "ConfigMap", "named-1", home)
    client.delete("v1", "ServiceAccount", "runner", home)
    place = {"name": "runner", "namespace": home, "labels": {"other": "x"}}
    other = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": place}
    client.create(other, manager="kubectl-create")
    client.create(config_map("theirs", home, {"a": "1"}), manager="kubectl-create")


def drift_of(harness: Harness, home: str) -> dict[str, Object]:
    """What an engine tells of drift by object, without when it was."""
    drift = harness.engine.drift(STACK, report=silent)
    assert drift.checked == 7
    return {
        each.title.replace(home, "HOME"): {
            "state": each.state,
            "by": each.by.partition(" at ")[0],
            "fields": {
                field.path: (field.recorded, field.live, field.by.partition(" at ")[0])
                for field in each.fields
            },
            "left": sorted(field.path for field in each.fields if not field.undone),
        }
        for each in drift.objects
    }


def drifted(harness: Harness, client: Client, home: str) -> tuple[dict[str, Object], set[str]]:
    """Bring a stack up, change it by hand, and bring it up again.

    Returns:
        What the engine told before the second ``up``, and what that one said it repaired.
    """
    objects = edits(home)[0].objects
    harness.write(STACK, objects=objects)
    harness.engine.up(STACK, report=silent)
    assert drift_of(harness, home) == {}
    changed_by_hand(client, home)
    before = held(client, home)
    told = drift_of(harness, home)
    assert held(client, home) == before
    client.delete("v1", "ServiceAccount", "runner", home)  # the other one, which is in the way
    result = harness.engine.up(STACK, report=silent)
    repaired = {step.title.replace(home, "HOME") for step in result.steps if step.repairs}
    left = drift_of(harness, home)
    assert {path for each in left.values() for path in each["fields"]} == {
        path for each in left.values() for path in each["left"]
    }
    client.delete("v1", "ConfigMap", "theirs", home)
    harness.engine.destroy(STACK, protected="refuse", report=silent)
    return told, repaired


@needs_cli
def test_both_engines_tell_and_repair_the_same_drift(
    harness: Harness, client: Client, home: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, repaired_by_embedded = drifted(harness, client, home)
    told, repaired = drifted(of_stock(harness, monkeypatch), client, f"{home}-2")

    added = {
        "ConfigMap HOME/settings": ["data.c"],
        "Deployment HOME/idle": ["spec.template.spec.containers[1]"],
        "Namespace HOME": ["metadata.labels.added"],
        "Secret HOME/keys": ["data.more"],
    }
    # The one difference: what people added is taken away by the embedded engine only.
    assert {title: each["left"] for title, each in told.items() if each["left"]} == added
    assert not any(each.pop("left") for each in expected.values())
    for each in told.values():
        del each["left"]
    assert told == expected
    assert told["ConfigMap HOME/settings"]["fields"] == {
        "data.a": ("1", "9", "kubectl-edit"),
        "data.b": ("x", None, ""),
        "data.c": (None, "3", "kubectl-edit"),
    }
    assert told["ServiceAccount HOME/runner"]["state"] == "replaced"
    assert told["ConfigMap HOME/named-1"]["state"] == "gone"
    only_added_to = {"Namespace HOME", "Deployment HOME/idle"}
    assert repaired == repaired_by_embedded - only_added_to


@needs_cli
@pytest.mark.parametrize("engine", ["stock", "embedded"])
def test_a_stack_moves_with_its_secrets_and_nothing_changes(
    harness: Harness, client: Client, home: str, monkeypatch: pytest.MonkeyPatch, engine: EngineName
) -> None:
    embedded: Engine = EmbeddedEngine(harness.project)
    stock: Engine = of_stock(harness, monkeypatch).engine
    old, new = (embedded, stock) if engine == "stock" else (stock, embedded)
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "keys", "namespace": home},
        "data": {"plain": "YSB0ZXh0"},
    }
    objects = [*edits(home)[0].objects[:3], item("keys", secret, needs=["home"])]
    harness.write(STACK, objects=objects, password="pw")
    old.up(STACK, report=silent)
    before = held(client, home)
    password = old.outputs(STACK, show_secrets=True)["password"]

    Adoption(harness.project, silent).adopt(STACK, engine)

    assert held(client, home) == before
    assert new.outputs(STACK, show_secrets=True)["password"] == password
    assert STACK not in [each.name for each in old.stacks()]
    with pytest.raises(Refused, match=r"moltghost stack adopt local|exists already"):
        old.up(STACK, report=silent)

    harness.write(STACK, objects=edits(home)[2].objects[:3], password="pw")
    result = new.up(STACK, report=silent)
    assert {title: op for title, op in ops(result).items() if op is not Op.SAME} == {
        f"Namespace {home}": Op.UPDATE,
        f"ConfigMap {home}/settings": Op.UPDATE,
        f"Secret {home}/keys": Op.DELETE,
    }
    new.destroy(STACK, protected="refuse", report=silent)
    assert held(client, home) == {}
