"""The patch that gives an object to another engine."""

from __future__ import annotations

from typing import Any

from moltghost.engines.handover import patch_of


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
