"""Drift of a stack of the CLI's, from what a refresh tells. Events are built by hand."""

from __future__ import annotations

from typing import Any

import pytest
from pulumi.automation.events import StepEventMetadata

from moltghost.engines.interface import Drift, DriftedField, DriftedObject
from moltghost.engines.pulumi.state import ResourceState, StackState
from moltghost.engines.pulumi.values import Secret
from moltghost.engines.stock.drift import find_drift

PREFIX = "urn:pulumi:a.local::moltghost::"
BLINDED = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}
OURS = "pulumi-kubernetes-1a2b3c4d"
TIME = "2026-11-25T13:59:09Z"
Object = dict[str, Any]


def entry(manager: str, fields: Object) -> Object:
    return {"manager": manager, "operation": "Update", "time": TIME, "fieldsV1": fields}


def config_map(data: Object, **metadata: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "settings", "namespace": "agent-a", **metadata},
        "data": data,
    }


def urn_of(type_: str) -> str:
    return f"{PREFIX}{type_}::it"


def resource(inputs: Object, type_: str = "kubernetes:core/v1:ConfigMap") -> ResourceState:
    metadata = {**inputs.get("metadata", {}), "uid": "u-1"}
    return ResourceState(
        urn=urn_of(type_),
        type=type_,
        custom=True,
        id="agent-a/settings",
        inputs=inputs,
        outputs={**inputs, "metadata": metadata},
    )


def told(
    recorded: Object,
    now: Object | None,
    *,
    type_: str = "kubernetes:core/v1:ConfigMap",
    live: Object | None = None,
    **kinds: str,
) -> StepEventMetadata:
    """What a refresh tells of a resource when it has looked at it."""
    same: Object = {"urn": urn_of(type_), "type": type_, "custom": True}
    step: Object = {
        "op": "delete" if now is None else "update" if kinds else "same",
        "urn": urn_of(type_),
        "type": type_,
        "old": {**same, "inputs": recorded},
        "detailedDiff": {
            path.replace("__", "."): {"diffKind": kind} for path, kind in kinds.items()
        },
    }
    if now is not None:
        step["new"] = {**same, "inputs": now, "outputs": live or now}
    return StepEventMetadata.from_json(step)


def alive(inputs: Object, *entries: Object, **metadata: Any) -> Object:
    """An object as pulumi-kubernetes keeps it in the outputs: the live one, and what it notes."""
    noted = {"uid": "u-1", "managedFields": list(entries), **metadata}
    return {
        **inputs,
        "metadata": {**inputs["metadata"], **noted},
        "__inputs": inputs,
        "__fieldManager": OURS,
    }


def found(step: StepEventMetadata, known: ResourceState) -> Drift:
    return find_drift([step], StackState(stack="a.local", project="moltghost", resources=[known]))


def test_what_is_as_it_was_applied_is_no_drift() -> None:
    recorded = config_map({"a": "1"})
    live = alive(recorded, entry(OURS, {"f:data": {"f:a": {}}}))
    step = told(recorded, recorded, live=live)

    assert found(step, resource(recorded)) == Drift(stack="a.local", objects=(), checked=1)


def test_fields_are_told_as_recorded_and_as_they_are_with_who_wrote_them() -> None:
    recorded, now = config_map({"a": "1", "b": "2"}), config_map({"a": "9"})
    live = alive(now, entry("kubectl-edit", {"f:data": {"f:a": {}}}))
    step = told(recorded, now, live=live, data__a="update", data__b="delete")

    [drifted] = found(step, resource(recorded)).objects

    assert drifted == DriftedObject(
        title="ConfigMap agent-a/settings",
        state="changed",
        fields=(
            DriftedField(path="data.a", recorded="1", live="9", by=f"kubectl-edit at {TIME}"),
            DriftedField(path="data.b", recorded="2", live=None),
        ),
    )
    assert drifted.undone


def test_what_others_added_is_told_and_left_by_the_cli() -> None:
    recorded = config_map({"a": "1"})
    live = alive(
        config_map({"a": "1"}, labels={"team": "x"}),
        entry(OURS, {"f:data": {"f:a": {}}}),
        entry("pulumi-kubernetes", {"f:data": {"f:a": {}}}),
        entry("kubectl-label", {"f:metadata": {"f:labels": {"f:team": {}}}}),
    )

    [drifted] = found(told(recorded, recorded, live=live), resource(recorded)).objects

    by = f"kubectl-label at {TIME}"
    label = DriftedField(path="metadata.labels.team", recorded=None, live="x", by=by, undone=False)
    assert drifted.fields == (label,)
    assert not drifted.undone


def test_secrets_are_told_by_key_and_never_shown() -> None:
    recorded = {**config_map({"token": "aGlkZGVu"}), "kind": "Secret"}
    recorded["data"] = Secret(recorded["data"])
    blinded = {**recorded, "data": {**BLINDED, "ciphertext": "[secret]"}}
    written: Object = {"f:data": {".": {}, "f:token": {}, "f:more": {}}}
    live = alive(blinded, entry("kubectl-edit", written))
    type_ = "kubernetes:core/v1:Secret"
    step = told(blinded, blinded, type_=type_, live=live, data__token="update")

    [drifted] = found(step, resource(recorded, type_)).objects

    assert [(each.path, each.recorded, each.live, each.undone) for each in drifted.fields] == [
        ("data.token", "[secret]", "[secret]", True),
        ("data.more", None, "[secret]", False),
    ]


def test_what_only_a_replacement_would_set_right_is_left() -> None:
    recorded, now = config_map({"a": "1", "b": "2"}), config_map({"a": "9", "b": "9"})
    kinds = {"data__a": "update-replace", "data__b": "update"}
    step = told(recorded, now, live=alive(now), **kinds)

    [drifted] = found(step, resource(recorded)).objects

    assert not any(each.undone for each in drifted.fields)


def test_what_the_api_server_leaves_out_is_no_drift() -> None:
    recorded, now = config_map({"a": "1"}, labels={}), config_map({"a": "1"})
    step = told(recorded, now, live=alive(now), metadata__labels="delete")

    assert found(step, resource(recorded)).objects == ()


@pytest.mark.parametrize("deleting", [False, True])
def test_an_object_that_was_deleted_or_is_being_deleted_is_gone(deleting: bool) -> None:
    recorded = config_map({"a": "1"})
    live = alive(recorded, deletionTimestamp=TIME) if deleting else None
    step = told(recorded, recorded if deleting else None, live=live)

    assert found(step, resource(recorded)).objects == (
        DriftedObject(title="ConfigMap agent-a/settings", state="gone"),
    )


def test_an_object_that_another_one_took_the_place_of_is_replaced() -> None:
    recorded = config_map({"a": "1"})
    live = alive(recorded, entry("kubectl-create", {}), uid="u-2", creationTimestamp=TIME)

    assert found(told(recorded, recorded, live=live), resource(recorded)).objects == (
        DriftedObject(
            title="ConfigMap agent-a/settings", state="replaced", by=f"kubectl-create at {TIME}"
        ),
    )


def test_resources_of_a_cloud_are_told_by_their_outputs_too() -> None:
    type_ = "aws:s3/bucket:Bucket"
    recorded, now = {"bucket": "w", "tags": {"a": "1"}}, {"bucket": "w"}
    live = {**now, "acl": "public-read", "arn": "x"}
    step = told(recorded, now, type_=type_, live=live, acl="add", tags="delete")

    [drifted] = found(step, resource(recorded, type_)).objects

    assert (drifted.title, drifted.state) == ("Bucket it", "changed")
    assert [(each.path, each.recorded, each.live) for each in drifted.fields] == [
        ("acl", None, "public-read"),
        ("tags", {"a": "1"}, None),
    ]


def test_generated_values_and_what_is_read_of_other_stacks_are_not_looked_at() -> None:
    for type_ in ("random:index/randomPassword:RandomPassword", "pulumi:pulumi:StackReference"):
        assert found(told({}, {}, type_=type_), resource({}, type_)).checked == 0
