"""What the CLI tells, as steps, progress, warnings and findings. Events are built by hand."""

from __future__ import annotations

from typing import Any

import pytest
from pulumi.automation import EngineEvent

from moltghost.engines.interface import MADE_ANEW, UNDONE, Change, Op
from moltghost.engines.stock.events import EventLog
from moltghost.engines.stock.steps import path_of, value_at
from moltghost.progress import Event

SECRET = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
URN = "urn:pulumi:a.local::moltghost::kubernetes:core/v1:ConfigMap::settings"


def state(urn: str = URN, **fields: Any) -> dict[str, Any]:
    type_ = urn.split("::")[2]
    return {"urn": urn, "type": type_, "custom": True, **fields}


def settings(**data: Any) -> dict[str, Any]:
    return {"metadata": {"name": "settings", "namespace": "agent-a"}, "data": data}


def step(kind: str, op: str, urn: str = URN, **fields: Any) -> EngineEvent:
    metadata = {"op": op, "urn": urn, "type": urn.split("::")[2], **fields}
    return EngineEvent.from_json({kind: {"metadata": metadata}})


def said(severity: str, message: str, urn: str = "") -> EngineEvent:
    return EngineEvent.from_json(
        {"diagnosticEvent": {"severity": severity, "message": message, "urn": urn}}
    )


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def log(events: list[Event]) -> EventLog:
    return EventLog("a.local", events.append, dry_run=False)


@pytest.fixture
def plan(events: list[Event]) -> EventLog:
    return EventLog("a.local", events.append, dry_run=True)


def test_a_creation_is_begun_and_done_under_the_name_that_people_use(
    log: EventLog, events: list[Event]
) -> None:
    new = state(inputs=settings(a="1"))
    log.take(step("resourcePreEvent", "create", new=new))
    log.take(step("resOutputsEvent", "create", new=new))

    assert [(each.task, each.state, each.detail) for each in events] == [
        ("ConfigMap agent-a/settings", "started", "create"),
        ("ConfigMap agent-a/settings", "done", "create"),
    ]
    [made] = log.steps
    assert (made.op, made.title, made.namespace, made.object_name, made.custom) == (
        Op.CREATE,
        "ConfigMap agent-a/settings",
        "agent-a",
        "settings",
        True,
    )


def test_what_a_provider_waits_for_is_told_of_its_object(
    log: EventLog, events: list[Event]
) -> None:
    log.take(step("resourcePreEvent", "create", new=state(inputs=settings())))
    log.take(said("info", "<{%reset%}>[1/2] waiting for Pods<{%reset%}>\n", URN))

    assert (events[-1].task, events[-1].state) == ("ConfigMap agent-a/settings", "running")
    assert events[-1].detail == "[1/2] waiting for Pods"


def test_what_is_unchanged_is_said_once_and_not_as_work(log: EventLog, events: list[Event]) -> None:
    same = state(inputs=settings())
    log.take(step("resourcePreEvent", "same", old=same, new=same))
    log.take(step("resOutputsEvent", "same", old=same, new=same))

    assert [(each.state, each.detail) for each in events] == [("cached", "")]
    assert [each.op for each in log.steps] == [Op.SAME]


def test_a_refresh_is_no_step(log: EventLog, events: list[Event]) -> None:
    log.take(step("resourcePreEvent", "refresh", old=state(inputs=settings())))
    log.take(step("resOutputsEvent", "refresh", old=state(inputs=settings())))

    assert log.steps == []
    assert events == []


def test_a_preview_tells_which_fields_change_and_masks_secrets(plan: EventLog) -> None:
    old = state(inputs=settings(a="1", token={**SECRET, "ciphertext": "[secret]"}, gone="x"))
    new = state(inputs=settings(a=UNKNOWN, token={**SECRET, "ciphertext": "[secret]"}))
    differing = {
        "data.a": {"diffKind": "update"},
        'data["token"]': {"diffKind": "update"},
        "data.gone": {"diffKind": "delete"},
    }
    plan.take(step("resourcePreEvent", "update", old=old, new=new, detailedDiff=differing))

    [planned] = plan.steps
    assert planned.diff == (
        Change("data.a", "1", "[unknown]"),
        Change("data.token", "[secret]", "[secret]"),
        Change("data.gone", "x", None),
    )


def test_keys_inside_of_a_secret_are_told_by_the_kind_of_their_change(plan: EventLog) -> None:
    blinded = {"kind": "Secret", "data": {**SECRET, "ciphertext": "[secret]"}}
    differing = {
        "data.changed": {"diffKind": "update"},
        "data.more": {"diffKind": "add"},
        "data.gone": {"diffKind": "delete"},
    }
    old, new = state(inputs=blinded), state(inputs=blinded)
    plan.take(step("resourcePreEvent", "update", old=old, new=new, detailedDiff=differing))

    [planned] = plan.steps
    assert planned.diff == (
        Change("data.changed", "[secret]", "[secret]"),
        Change("data.more", None, "[secret]"),
        Change("data.gone", "[secret]", None),
    )


def test_a_provider_that_tells_no_paths_tells_which_properties_change(plan: EventLog) -> None:
    old, new = state(inputs={"size": 1}, outputs={"tier": "a"}), state(inputs={"size": 2})
    plan.take(step("resourcePreEvent", "update", old=old, new=new, diffs=["size", "tier"]))

    [planned] = plan.steps
    assert planned.diff == (Change("size", 1, 2), Change("tier", "a", None))


def test_what_was_changed_by_hand_is_undone_by_the_update_that_sets_it_right(
    log: EventLog,
) -> None:
    before, live, after = (settings(a=a, b=b) for a, b in (("1", "2"), ("9", "2"), ("1", "5")))
    by_hand = {"data.a": {"diffKind": "update"}}
    both = {**by_hand, "data.b": {"diffKind": "update"}}
    known, found, wanted = state(inputs=before), state(inputs=live), state(inputs=after)
    log.take(step("resOutputsEvent", "refresh", old=known, new=found, detailedDiff=by_hand))
    log.take(step("resOutputsEvent", "update", old=found, new=wanted, detailedDiff=both))

    [repaired] = log.steps
    assert (repaired.note, repaired.undone) == (UNDONE, (Change("data.a", "9", "1"),))
    assert [each.path for each in repaired.diff] == ["data.a", "data.b"]


def test_what_was_changed_by_hand_as_the_program_wants_it_now_is_not_undone(log: EventLog) -> None:
    before, live, after = (settings(a=a, b=b) for a, b in (("1", "2"), ("9", "2"), ("9", "5")))
    known, found, wanted = state(inputs=before), state(inputs=live), state(inputs=after)
    by_hand, ours = ({f"data.{key}": {"diffKind": "update"}} for key in "ab")
    log.take(step("resOutputsEvent", "refresh", old=known, new=found, detailedDiff=by_hand))
    log.take(step("resOutputsEvent", "update", old=found, new=wanted, detailedDiff=ours))

    [changed] = log.steps
    assert not changed.repairs


def test_what_was_deleted_by_hand_is_made_anew(plan: EventLog) -> None:
    known = state(inputs=settings(a="1"))
    plan.take(step("resOutputsEvent", "refresh", old=known))
    plan.take(step("resourcePreEvent", "create", new=known))

    [made] = plan.steps
    assert (made.op, made.note, made.repairs) == (Op.CREATE, MADE_ANEW, True)


def test_a_replacement_is_one_step_and_the_deletion_of_the_old_one(log: EventLog) -> None:
    before, after = (
        {"metadata": {"name": name, "namespace": "agent-a"}}
        for name in ("settings-1", "settings-2")
    )
    old, new = state(inputs=before), state(inputs=after)
    for op in ("create-replacement", "replace", "delete-replaced"):
        log.take(step("resOutputsEvent", op, old=old, new=None if "delete" in op else new))

    assert [(each.op, each.title) for each in log.steps] == [
        (Op.REPLACE, "ConfigMap agent-a/settings-2"),
        (Op.DELETE, "ConfigMap agent-a/settings-1"),
    ]


def test_components_and_providers_are_no_custom_resources_and_the_stack_is_none(
    log: EventLog,
) -> None:
    prefix = "urn:pulumi:a.local::moltghost::"
    for type_, custom in (
        ("moltghost:agent:Namespace", False),
        ("pulumi:providers:kubernetes", True),
        ("pulumi:pulumi:Stack", False),
    ):
        urn = f"{prefix}{type_}::x"
        log.take(step("resOutputsEvent", "create", urn, new=state(urn, custom=custom)))

    assert [(each.title, each.custom) for each in log.steps] == [
        ("Namespace x", False),
        ("kubernetes x", False),
    ]


def test_the_outputs_of_the_stack_are_shown_without_secrets(plan: EventLog) -> None:
    urn = "urn:pulumi:a.local::moltghost::pulumi:pulumi:Stack::moltghost-a.local"
    outputs = {"plain": "x", "password": {**SECRET, "ciphertext": "[secret]"}}
    plan.take(step("resOutputsEvent", "create", urn, new=state(urn, outputs=outputs)))

    assert plan.outputs == {"plain": "x", "password": "[secret]"}


def test_a_failure_is_told_with_its_error(log: EventLog, events: list[Event]) -> None:
    new = state(inputs=settings())
    log.take(step("resourcePreEvent", "create", new=new))
    log.take(said("error", "<{%fg 1%}>forbidden<{%reset%}>", URN))
    log.take(step("resOpFailedEvent", "create", new=new))

    assert log.errors == ["ConfigMap agent-a/settings: forbidden"]
    assert (events[-1].state, events[-1].detail) == (
        "failed",
        "ConfigMap agent-a/settings: forbidden",
    )


def test_warnings_are_kept_once(log: EventLog) -> None:
    log.take(said("warning", "deprecated"))
    log.take(said("warning", "deprecated"))
    log.take(said("debug", "chatter"))

    assert log.warnings == ("deprecated",)


@pytest.mark.parametrize("level", ["mandatory", "advisory"])
def test_a_violation_reads_as_the_embedded_gate_words_it(log: EventLog, level: str) -> None:
    # The CLI tells of it before it tells of the resource.
    log.take(
        EngineEvent.from_json(
            {
                "policyEvent": {
                    "resourceUrn": URN,
                    "policyName": "a-rule",
                    "enforcementLevel": level,
                    "message": "<{%fg 1%}>What the rule says\nConfigMap agent-a/settings: "
                    "it is bad. Fix: make it good<{%reset%}>\n",
                }
            }
        )
    )

    [found] = log.findings.violations
    assert str(found) == "ConfigMap agent-a/settings: it is bad (a-rule)"
    assert (found.enforcement, found.remediation) == (level, "make it good")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec.containers[1].image", "b"),
        ('metadata.labels["a.b/c"]', "x"),
        ("spec.nothing[4]", None),
        ("spec.containers[7].image", None),
    ],
)
def test_a_property_path_is_followed(path: str, value: Any) -> None:
    properties = {
        "spec": {"containers": [{"image": "a"}, {"image": "b"}]},
        "metadata": {"labels": {"a.b/c": "x"}},
    }
    assert value_at(properties, path_of(path)) == value
