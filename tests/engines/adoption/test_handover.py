"""The patch that gives an object to another engine."""

from __future__ import annotations

from typing import Any, cast

import pytest

from moltghost.engines.adoption.handover import hand_over, patch_of
from moltghost.engines.pulumi.state import ResourceState, StackState
from moltghost.errors import Failed
from moltghost.kube.client import Client
from tests.engines.fake_api import FakeApi


def entry(manager: str, operation: str, *fields: str, **more: str) -> dict[str, Any]:
    return {
        "manager": manager,
        "operation": operation,
        "apiVersion": "v1",
        "fieldsV1": {"f:data": {f"f:{name}": {} for name in fields}},
        **more,
    }


def live(kind: str, *entries: dict[str, Any], **annotations: str) -> dict[str, Any]:
    metadata = {"name": "x", "resourceVersion": "7", "managedFields": list(entries)}
    if annotations:
        metadata["annotations"] = annotations
    return {"kind": kind, "metadata": metadata}


def value(patch: list[dict[str, Any]], path: str) -> Any:
    return next(each["value"] for each in patch if each["path"] == f"/metadata/{path}")


def test_only_the_object_that_was_looked_at_is_changed() -> None:
    patch = patch_of(live("ConfigMap"), "a.local", "stock", ("moltghost", "moltghost"))

    assert patch[0] == {"op": "test", "path": "/metadata/resourceVersion", "value": "7"}


def test_the_fields_of_the_old_manager_become_applied_ones_of_the_new() -> None:
    status = entry("cli-1", "Update", "s", subresource="status")
    others = entry("kubectl", "Update", "b")
    patch = patch_of(
        live("ConfigMap", entry("cli-1", "Apply", "a"), others, status),
        "a.local",
        "embedded",
        ("cli-1", "moltghost"),
    )

    assert value(patch, "managedFields") == [entry("moltghost", "Apply", "a"), others, status]


def test_what_the_clis_provider_created_is_its_as_well() -> None:
    created = entry("pulumi-kubernetes", "Update", "a")

    to_embedded = patch_of(
        live("ConfigMap", created), "a.local", "embedded", ("pulumi-kubernetes-1a2b", "moltghost")
    )
    to_stock = patch_of(live("ConfigMap", created), "a.local", "stock", ("moltghost", "moltghost"))

    assert value(to_embedded, "managedFields") == [entry("moltghost", "Apply", "a")]
    assert value(to_stock, "managedFields") == [created]


def test_two_entries_that_become_one_keep_all_fields() -> None:
    patch = patch_of(
        live("ConfigMap", entry("moltghost", "Update", "a"), entry("moltghost", "Apply", "a", "b")),
        "a.local",
        "stock",
        ("moltghost", "moltghost"),
    )

    assert value(patch, "managedFields") == [entry("moltghost", "Apply", "a", "b")]


def test_an_object_of_the_embedded_engine_is_marked_with_its_stack() -> None:
    patch = patch_of(live("ConfigMap", other="x"), "a.local", "embedded", ("cli-1", "moltghost"))

    assert value(patch, "annotations") == {"other": "x", "moltghost.dev/stack": "a.local"}


def test_a_namespace_names_its_new_owner() -> None:
    marks = {"moltghost.dev/engine": "embedded", "moltghost.dev/stack": "a.local"}
    patch = patch_of(live("Namespace", **marks), "a.local", "stock", ("moltghost", "moltghost"))

    assert value(patch, "annotations") == {**marks, "moltghost.dev/engine": "stock"}


PROVIDER = "urn:pulumi:a.local::p::pulumi:providers:kubernetes::cluster"
HANDED = "moltghost.dev/stack"


def settings(uid: str = "1") -> dict[str, Any]:
    metadata = {"name": "x", "namespace": "agent-a", "uid": uid, "resourceVersion": "7"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}


def hand(api: FakeApi) -> dict[str, Any]:
    """Give the object to the embedded engine; its annotations then."""
    resource = ResourceState(
        urn="urn:pulumi:a.local::p::kubernetes:core/v1:ConfigMap::x",
        type="kubernetes:core/v1:ConfigMap",
        custom=True,
        provider=f"{PROVIDER}::1",
        inputs=settings(),
        outputs=settings(),
    )
    state = StackState(stack="a.local", project="p", resources=[resource])
    clients = {PROVIDER: cast("Client", api)}
    hand_over(clients, state, "embedded", lambda _resource: ("cli-1", "moltghost"))
    annotations: dict[str, Any] = api.objects["ConfigMap", "x"]["metadata"].get("annotations", {})
    return annotations


def test_an_object_that_is_changed_in_between_is_looked_at_again() -> None:
    api = FakeApi(settings())
    api.on_patch = lambda number: api.touch("ConfigMap", "x") if number < 3 else None

    assert hand(api) == {HANDED: "a.local"}
    assert api.patches == 3


def test_an_object_that_never_stays_the_same_is_given_up() -> None:
    api = FakeApi(settings())
    api.on_patch = lambda _number: api.touch("ConfigMap", "x")

    with pytest.raises(Failed, match="can't be handed to the embedded engine"):
        hand(api)
    assert api.patches == 5


def test_an_object_that_only_has_the_name_of_ours_is_left_alone() -> None:
    api = FakeApi(settings(uid="2"))

    assert hand(api) == {}
    assert api.patches == 0
