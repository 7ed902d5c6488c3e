"""`moltghost drift` and `preview --refresh`: what they print, and their codes."""

from __future__ import annotations

import pytest

from moltghost.engines.interface import Drift, DriftedField, DriftedObject
from tests.cli.command import Command
from tests.lifecycle.projects import FakeEngine

CHANGED = DriftedObject(
    title="Deployment agent-my-agent/runtime",
    state="changed",
    fields=(
        DriftedField(path="spec.replicas", recorded=1, live=3, by="kubectl at 2026-11-25"),
        DriftedField(path="metadata.labels.x", recorded=None, live="y", by="istiod", undone=False),
    ),
)
GONE = DriftedObject(title="Service agent-my-agent/runtime", state="gone")
STRANGER = DriftedObject(title="ConfigMap agent-my-agent/foo", state="stranger", by="kubectl")


@pytest.fixture
def drifting(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    engine.known += ["my-agent.local", "calm.local"]
    found = {"my-agent.local": (CHANGED, GONE, STRANGER), "calm.local": ()}
    monkeypatch.setattr(
        engine,
        "drift",
        lambda stack, report: Drift(stack=stack, objects=found[stack], checked=19),
        raising=False,
    )
    return engine


@pytest.mark.usefixtures("drifting")
def test_drift_is_told_field_by_field_and_makes_exit_code_1(moltghost: Command) -> None:
    ran = moltghost("drift", "my-agent.local")
    assert ran.code == 1
    assert ran.out.splitlines() == [
        "my-agent.local",
        "  ~ Deployment agent-my-agent/runtime was changed",
        "      spec.replicas: 1 -> 3 by kubectl at 2026-11-25",
        "      metadata.labels.x: y was added by istiod, which up leaves",
        "  - Service agent-my-agent/runtime was deleted",
        "  ? ConfigMap agent-my-agent/foo isn't ours, made by kubectl",
        "  3 of 19 objects and strangers: moltghost up my-agent.local sets right 1 and "
        "1 in part; 1 is left to you",
    ]


@pytest.mark.usefixtures("drifting")
def test_no_drift_makes_exit_code_0(moltghost: Command) -> None:
    ran = moltghost("drift", "calm.local")
    assert (ran.code, ran.out.splitlines()[1]) == (0, "  19 objects are as they were applied")


@pytest.mark.usefixtures("drifting")
def test_without_a_stack_every_stack_is_looked_at(moltghost: Command) -> None:
    ran = moltghost("drift", "--json")
    assert ran.code == 1
    assert [(each["stack"], each["drift"]) for each in ran.data] == [
        ("my-agent.local", True),
        ("calm.local", False),
    ]
    assert ran.data[0]["objects"][0]["fields"][0] == {
        "path": "spec.replicas",
        "recorded": 1,
        "live": 3,
        "by": "kubectl at 2026-11-25",
        "undone_by_up": True,
    }


@pytest.mark.usefixtures("engine")
def test_without_any_stack_there_is_nothing_to_look_at(moltghost: Command) -> None:
    ran = moltghost("drift")
    assert (ran.code, "there is no stack yet" in ran.err) == (2, True)


@pytest.mark.usefixtures("drifting")
def test_a_preview_with_refresh_shows_drift_first(moltghost: Command) -> None:
    ran = moltghost("preview", "my-agent.local", "--refresh")
    assert ran.code == 0
    assert ran.out.index("was deleted") < ran.out.index("1 changed; 0 unchanged")
    data = moltghost("preview", "my-agent.local", "--refresh", "--json").data
    assert data[0]["drift"]["checked"] == 19
    assert "drift" not in moltghost("preview", "my-agent.local", "--json").data[0]
