"""Moving, pausing and rolling back: each is a change of the config, refused where it makes none."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from moltghost.config import AgentSpec, read_agent
from moltghost.errors import Refused
from moltghost.kube.history import Revision
from moltghost.lifecycle.agents.change import AgentChange, plan_wanted, read_wanted
from moltghost.lifecycle.agents.operations import move_patch, pause_patch, rollback_patch
from moltghost.lifecycle.agents.patch import RESET, AgentPatch
from tests.examples import STACK, agent_spec
from tests.lifecycle.projects import environment, project


def revision(number: int, *, current: bool = False, **changes: Any) -> Revision:
    spec = agent_spec(**changes)
    return Revision(
        number=number,
        since="2026-11-22T10:00:00Z",
        model=spec.model,
        quantization="",
        context=spec.context,
        current=current,
        spec=json.dumps(spec.as_written()),
    )


def patched(folder: Path, patch: AgentPatch, running: AgentSpec) -> AgentChange:
    return plan_wanted(environment(folder), read_wanted(folder, STACK, patch), running)


def test_each_move_is_one_more() -> None:
    assert move_patch(agent_spec(), STACK) == AgentPatch(moves=1)
    assert move_patch(agent_spec(moves=4), STACK) == AgentPatch(moves=5)


def test_what_is_paused_is_on_no_node_to_move_from() -> None:
    with pytest.raises(Refused, match="is paused: it is on no node"):
        move_patch(agent_spec(paused=True), STACK)


@pytest.mark.parametrize("paused", [True, False])
def test_pausing_and_resuming_twice_is_refused(paused: bool) -> None:
    with pytest.raises(Refused, match="paused already"):
        pause_patch(agent_spec(paused=paused), STACK, paused=paused)


def test_resuming_takes_the_field_out_of_the_config(tmp_path: Path) -> None:
    made = project(tmp_path)
    patch = pause_patch(agent_spec(), STACK, paused=True)
    paused = patched(made, patch, read_agent(made, STACK))
    assert paused.new.paused
    assert paused.plan.model_server.replicas == paused.plan.runtime.replicas == 0
    resumed = patched(made, pause_patch(paused.new, STACK, paused=False), paused.new)
    assert not resumed.new.paused
    assert resumed.update.added_nodes == 1
    assert any("both pods start" in sentence for sentence in resumed.update.restarts)


def test_a_move_surges_to_a_node_of_its_own(tmp_path: Path) -> None:
    made = project(tmp_path)
    running = read_agent(made, STACK)
    # Two GPUs of eight: an update would share the node, a move must not.
    shared = running.model_copy(update={"gpu": "h100", "memory": 160})
    patch = replace(move_patch(shared, STACK), gpu="h100", memory="160gb")
    change = patched(made, patch, shared)
    assert change.update.surge is not None
    assert change.update.surge.nodes == 1
    assert "moves: 0 -> 1" in change.update.changes


def test_a_rollback_takes_the_newest_that_differs_and_resets_what_it_did_not_say() -> None:
    running = agent_spec(model="qwen2.5-72b-q4", gpu="h100")
    history = [
        revision(4, current=True, model="qwen2.5-72b-q4", gpu="h100"),
        revision(3, model="qwen2.5-72b-q4", gpu="h100", owner="team-b"),
        revision(2, model="llama3.1-70b-q4"),
        revision(1, model="llama3.1-8b-q4"),
    ]
    patch = rollback_patch(running, STACK, history, None)
    assert patch.model == "llama3.1-70b-q4"
    assert patch.gpu is RESET
    assert rollback_patch(running, STACK, history, 1).model == "llama3.1-8b-q4"


def test_a_revision_that_is_not_there_is_refused_with_those_that_are() -> None:
    history = [revision(2, current=True), revision(1, model="llama3.1-8b-q4")]
    with pytest.raises(Refused, match="no earlier revision 7; it has 1"):
        rollback_patch(agent_spec(), STACK, history, 7)


def test_without_anything_earlier_there_is_nothing_to_go_back_to() -> None:
    with pytest.raises(Refused, match="has no other revision left in the cluster"):
        rollback_patch(agent_spec(), STACK, [revision(1, current=True)], None)


def test_an_agent_that_is_not_deployed_can_not_be_operated() -> None:
    with pytest.raises(Refused, match="isn't deployed in local: nothing to move"):
        move_patch(None, STACK)
    with pytest.raises(Refused, match="nothing to pause"):
        pause_patch(None, STACK, paused=True)
    with pytest.raises(Refused, match="nothing to roll back"):
        rollback_patch(None, STACK, [], None)
