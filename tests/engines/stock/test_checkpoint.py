"""A state between the engines: what pulumi-kubernetes keeps besides, and secrets in both forms."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from moltghost.engines.interface import Change, Op, Preview, Step
from moltghost.engines.pulumi.state import ResourceState, StackState
from moltghost.engines.pulumi.values import Secret
from moltghost.engines.stock.checkpoint import (
    field_managers,
    fill_empties,
    from_checkpoint,
    to_checkpoint,
)

SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET = "1b47061264138c4ac30d75fd1eb44270"
PREFIX = "urn:pulumi:a.local::moltghost::"
PROVIDER = f"{PREFIX}pulumi:providers:kubernetes::cluster"


def namespace(engine: str) -> dict[str, Any]:
    annotations = {"moltghost.dev/engine": engine, "other": "x"}
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "agent-a", "annotations": annotations},
    }


def embedded_state() -> StackState:
    return StackState(
        stack="a.local",
        project="moltghost",
        resources=[
            ResourceState(
                urn=PROVIDER,
                type="pulumi:providers:kubernetes",
                custom=True,
                id="p1",
                inputs={"kubeconfig": "/k", "enableServerSideApply": True},
                outputs={"kubeconfig": "/k", "enableServerSideApply": True},
            ),
            ResourceState(
                urn=f"{PREFIX}kubernetes:core/v1:Namespace::namespace",
                type="kubernetes:core/v1:Namespace",
                custom=True,
                id="agent-a",
                provider=f"{PROVIDER}::p1",
                inputs=namespace("embedded"),
                outputs={**namespace("embedded"), "status": {"phase": "Active"}},
                protect=True,
            ),
            ResourceState(
                urn=f"{PREFIX}random:index/randomPassword:RandomPassword::token",
                type="random:index/randomPassword:RandomPassword",
                custom=True,
                id="none",
                inputs={"length": 8},
                outputs={"length": 8, "result": Secret("s3cret")},
            ),
        ],
    )


def test_an_object_gets_what_the_provider_keeps_of_it_and_the_new_owner() -> None:
    space = to_checkpoint(embedded_state())[1]

    assert space["inputs"] == namespace("stock")
    assert space["outputs"]["__inputs"] == namespace("stock")
    assert space["outputs"]["__initialApiVersion"] == "v1"
    assert space["outputs"]["__fieldManager"] == "moltghost"
    assert space["outputs"]["status"] == {"phase": "Active"}
    assert space["protect"] is True


def test_the_texts_of_a_secret_are_recorded_as_the_clis_provider_does() -> None:
    state = embedded_state()
    keys = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys"}}
    state.resources[1] = replace(
        state.resources[1],
        type="kubernetes:core/v1:Secret",
        inputs={**keys, "stringData": Secret({"a": "text"})},
        outputs=keys,
    )

    inputs = to_checkpoint(state)[1]["inputs"]

    assert "stringData" not in inputs
    assert inputs["data"] == {SIGNATURE: SECRET, "plaintext": '{"a":"dGV4dA=="}'}


def test_a_provider_is_configured_by_text() -> None:
    provider = to_checkpoint(embedded_state())[0]

    assert provider["inputs"] == {"kubeconfig": "/k", "enableServerSideApply": "true"}


def test_a_secret_is_marked_and_in_plain_text_for_the_import() -> None:
    token = to_checkpoint(embedded_state())[2]

    assert token["outputs"]["result"] == {SIGNATURE: SECRET, "plaintext": json.dumps("s3cret")}


def test_the_way_back_is_the_inverse() -> None:
    before = embedded_state()
    deployment = {"resources": to_checkpoint(before)}

    after = from_checkpoint(deployment, stack="a.local", project="moltghost", clusters={"u": "1"})

    assert after.resources[1:] == before.resources[1:]
    assert after.clusters == {"u": "1"}
    assert after.resources[0].inputs["kubeconfig"] == "/k"


def test_the_field_managers_are_those_that_the_provider_noted_down() -> None:
    made_by_cli = {"urn": "u", "outputs": {"__fieldManager": "pulumi-kubernetes-1a2b"}}
    component = {"urn": "c"}

    found = field_managers({"resources": [made_by_cli, component]})

    assert found == {"u": "pulumi-kubernetes-1a2b"}


def test_what_the_clis_refresh_dropped_is_filled_in_and_nothing_else() -> None:
    state = embedded_state()
    space = state.resources[1]

    def preview(*changes: Change) -> Preview:
        step = Step(urn=space.urn, type=space.type, name="namespace", op=Op.UPDATE, diff=changes)
        return Preview(stack="a.local", steps=(step,), outputs={})

    assert not fill_empties(state, preview(Change("metadata.labels", None, {"a": "b"})))
    assert not fill_empties(state, preview(Change("metadata.name", "agent-a", [])))
    assert fill_empties(state, preview(Change("spec", None, {}), Change("metadata.list", None, [])))
    assert space.inputs["spec"] == {}
    assert space.inputs["metadata"]["list"] == []
    assert space.inputs["metadata"]["name"] == "agent-a"
