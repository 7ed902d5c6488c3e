"""Rolling an environment: one agent after the other, and no further than the first that fails."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from moltghost.checks import blocker, unknown
from moltghost.config import StackName, stack_file
from moltghost.engines.interface import Engine
from moltghost.environments.embedded import EmbeddedEnvironment
from moltghost.environments.environment import Environment
from moltghost.errors import Failed, Refused
from moltghost.kube.client import Client
from moltghost.lifecycle.agents.prepare import Prepared
from moltghost.lifecycle.agents.roll import of_others, plan_roll, roll
from moltghost.lifecycle.weights.missing import Missing
from moltghost.models import find_model
from moltghost.progress import silent
from moltghost.weights_store.store import Store, StoreState
from tests.examples import STACK, agent_spec
from tests.kube.clusters import client, deployment, namespace, node_pool
from tests.lifecycle.projects import README_FILE, FakeEngine, environment, project

NAMES = ("alpha", "beta", "gamma")


@pytest.fixture
def made(tmp_path: Path) -> Path:
    folder = project(tmp_path)
    stack_file(folder, STACK).unlink()
    for name in NAMES:
        stack_file(folder, StackName.of_agent(name, "local")).write_text(README_FILE)
    return folder


def cluster(*paused: str, full: bool = False) -> Client:
    items: list[dict[str, Any]] = [
        {**deployment(name), "spec": {"replicas": 0 if name in paused else 1}} for name in NAMES
    ]
    items += [namespace(name) for name in NAMES]
    items += [deployment("theirs"), namespace("theirs", "team-b")]
    return client(*items, node_pool("h100", 4, 4 if full else 0), node_pool("cpu", 4, 0))


def test_every_running_agent_is_moved_by_name_and_paused_ones_are_left_out(made: Path) -> None:
    moves = plan_roll(environment(made, cluster("beta")))
    assert [each.stack.agent for each in moves] == ["alpha", "gamma"]
    assert {each.new.moves for each in moves} == {1}
    assert all(each.update.surge and each.update.surge.nodes == 1 for each in moves)


def test_agents_of_another_project_are_left_to_it(made: Path) -> None:
    assert of_others(environment(made, cluster())) == ["theirs (team-b)"]
    assert "theirs" not in {each.stack.agent for each in plan_roll(environment(made, cluster()))}


def test_it_goes_on_where_an_earlier_one_stopped(made: Path) -> None:
    moves = plan_roll(environment(made, cluster()), begin_with="beta")
    assert [each.stack.agent for each in moves] == ["beta", "gamma"]
    with pytest.raises(Refused, match="no running agent delta in local to begin with"):
        plan_roll(environment(made, cluster()), begin_with="delta")


def test_without_running_agents_there_is_nothing_to_move(made: Path) -> None:
    with pytest.raises(Refused, match="no agent runs in local"):
        plan_roll(environment(made, cluster(*NAMES)))


def seen(_: object) -> None:
    """Nothing is shown."""


def carried_out(engine: Engine, at: Environment) -> Iterator[str]:
    done: list[str] = []
    try:
        roll(at, plan_roll(at), lambda _project: engine, silent, look=seen, done=done.append)
    finally:
        yield from done


def test_one_after_the_other_is_moved(made: Path) -> None:
    engine = FakeEngine(made)
    assert list(carried_out(engine, environment(made, cluster()))) == list(NAMES)
    assert [spec.moves for spec in engine.ups if spec] == [1, 1, 1]


def test_it_stops_at_the_first_that_fails_and_says_how_to_go_on(made: Path) -> None:
    def fail_second(number: int) -> None:
        if number == 2:
            raise Failed("the model server isn't ready", "look at it")

    engine, at = FakeEngine(made, on_up=fail_second), environment(made, cluster())
    done: list[str] = []
    with pytest.raises(Failed, match="1 of 3 agents were moved; then beta") as failed:
        roll(at, plan_roll(at), lambda _project: engine, silent, look=seen, done=done.append)
    assert done == ["alpha"]
    assert "moltghost environment roll local --from beta continues" in failed.value.hint
    # Beta's change was taken back, gamma was never touched.
    assert [spec.moves for spec in engine.ups if spec] == [1, 1, 0]


def test_a_pool_without_room_for_the_first_surge_refuses_before_anything_changes(
    made: Path,
) -> None:
    engine, at = FakeEngine(made), environment(made, cluster(full=True))
    with pytest.raises(Refused, match="pool h100 of environment local is full"):
        roll(at, plan_roll(at), lambda _project: engine, silent, look=seen, done=seen)
    assert engine.ups == []
    assert agent_spec().moves == 0


def test_a_move_is_held_against_the_account_as_agent_move_is(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quota = blocker("quota.L-417A185B", "0 vCPU are left", "ask for more")
    doubt = unknown("endpoint", "it wasn't asked", "ask again")
    answers = [[doubt], [quota]]
    monkeypatch.setattr(EmbeddedEnvironment, "check_change", lambda *_: answers.pop(0))
    engine, at = FakeEngine(made), environment(made, cluster())
    looked: list[Prepared] = []
    with pytest.raises(Failed, match="1 of 3 agents were moved; then beta: preflight") as failed:
        roll(at, plan_roll(at), lambda _project: engine, silent, look=looked.append, done=seen)
    assert "quota.L-417A185B: 0 vCPU are left" in failed.value.message
    assert [each.checks for each in looked] == [(doubt,)]
    assert len(engine.ups) == 1


def test_a_move_whose_store_cannot_be_built_refuses_before_anything_changes(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    choice = find_model("gemma3-270m-q8")  # the catalogue has no source of it
    gone = Store(
        prefix="",
        ollama_version="0.17.4",
        model="gemma3-270m",
        quantization="Q8_0",
        state=StoreState.ABSENT,
        record=None,
        size_bytes=0,
    )
    missing = Missing(choice=choice, environment="local", store=gone)
    monkeypatch.setattr("moltghost.lifecycle.agents.prepare.missing_of", lambda *_: missing)
    engine, at = FakeEngine(made), environment(made, cluster())
    with pytest.raises(Refused, match="the weights store of local doesn't have gemma3-270m Q8_0"):
        roll(at, plan_roll(at), lambda _project: engine, silent, look=seen, done=seen)
    assert engine.ups == []
