"""Moving, pausing and rolling back: each is a change of the config, refused where it makes none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from moltghost.config import read_agent
from moltghost.errors import Refused
from moltghost.kube.history import Revision
from moltghost.lifecycle.agents.operations import move_values, pause_values, rollback_values
from tests.examples import STACK, agent_spec
from tests.lifecycle.projects import change_of, project


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


def test_each_move_is_one_more() -> None:
    assert move_values(agent_spec(), STACK) == {"moves": 1}
    assert move_values(agent_spec(moves=4), STACK) == {"moves": 5}


def test_what_is_paused_is_on_no_node_to_move_from() -> None:
    with pytest.raises(Refused, match="is paused: it is on no node"):
        move_values(agent_spec(paused=True), STACK)


@pytest.mark.parametrize("paused", [True, False])
def test_pausing_and_resuming_twice_is_refused(paused: bool) -> None:
    with pytest.raises(Refused, match="paused already"):
        pause_values(agent_spec(paused=paused), STACK, paused=paused)


def test_resuming_takes_the_field_out_of_the_config(tmp_path: Path) -> None:
    made = project(tmp_path)
    paused = change_of(
        made,
        STACK,
        pause_values(agent_spec(), STACK, paused=True),
        running=read_agent(made, STACK),
    )
    assert paused.new.paused
    assert paused.plan.model_server.replicas == paused.plan.runtime.replicas == 0
    resumed = change_of(
        made,
        STACK,
        pause_values(paused.new, STACK, paused=False),
        running=paused.new,
    )
    assert not resumed.new.paused
    assert resumed.update.added_nodes == 1
    assert any("both pods start" in sentence for sentence in resumed.update.restarts)


def test_a_move_surges_to_a_node_of_its_own(tmp_path: Path) -> None:
    made = project(tmp_path)
    running = read_agent(made, STACK)
    # Two GPUs of eight: an update would share the node, a move must not.
    shared = running.model_copy(update={"gpu": "h100", "memory": 160})
    change = change_of(
        made,
        STACK,
        {**move_values(shared, STACK), "gpu": "h100", "memory": "160gb"},
        running=shared,
    )
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
    values = rollback_values(running, STACK, history, None)
    assert values["model"] == "llama3.1-70b-q4"
    assert values["gpu"] == "auto"
    assert rollback_values(running, STACK, history, 1)["model"] == "llama3.1-8b-q4"


def test_a_revision_that_is_not_there_is_refused_with_those_that_are() -> None:
    history = [revision(2, current=True), revision(1, model="llama3.1-8b-q4")]
    with pytest.raises(Refused, match="no earlier revision 7; it has 1"):
        rollback_values(agent_spec(), STACK, history, 7)


def test_without_anything_earlier_there_is_nothing_to_go_back_to() -> None:
    with pytest.raises(Refused, match="has run nothing else"):
        rollback_values(agent_spec(), STACK, [revision(1, current=True)], None)


def test_an_agent_that_is_not_deployed_can_not_be_operated() -> None:
    with pytest.raises(Refused, match="isn't deployed in local: nothing to move"):
        move_values(None, STACK)
    with pytest.raises(Refused, match="nothing to pause"):
        pause_values(None, STACK, paused=True)
    with pytest.raises(Refused, match="nothing to roll back"):
        rollback_values(None, STACK, [], None)
