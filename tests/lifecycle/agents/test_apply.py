from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from moltghost.config import AgentSpec, read_agent, stack_file
from moltghost.errors import ExitCode, Failed, Interrupted, Refused
from moltghost.lifecycle.agents.apply import carry_out, destroy, require_deployed
from moltghost.lifecycle.agents.change import AgentChange
from moltghost.lifecycle.agents.stack_files import pending_file, write_pending
from moltghost.progress import silent
from tests.examples import STACK, agent_spec
from tests.lifecycle.projects import README_FILE, FakeEngine, change_of, files, project

CONFIG = "Pulumi.my-agent.local.yaml"
UPDATE: dict[str, Any] = {"model": "qwen2.5-72b-q4"}
NEVER_READY = Failed("the model server isn't ready after 20 min", "see moltghost agent status")
LOCKED = Refused("stack my-agent.local is locked by process 4711", "wait, or end it")


def update(folder: Path, **values: Any) -> AgentChange:
    return change_of(folder, STACK, {**UPDATE, **values}, running=read_agent(folder, STACK))


def create(folder: Path) -> AgentChange:
    values = {"model": "llama3.1-8b-q4", "context": "16k", "owner": "me"}
    return change_of(folder, STACK, values, running=None)


def failing(*errors: Exception | None) -> Any:
    """An engine's `on_up` that fails so, call by call."""

    def on_up(number: int) -> None:
        error = errors[number - 1]
        if error:
            raise error

    return on_up


def test_a_change_becomes_the_config_when_it_is_made(tmp_path: Path) -> None:
    folder = project(tmp_path)
    engine = FakeEngine(folder)
    result = carry_out(update(folder), engine, silent)
    assert result.seconds == 1.25
    assert read_agent(folder, STACK).model == "qwen2.5-72b-q4"
    assert not pending_file(folder, STACK).exists()
    assert "# who pays" in stack_file(folder, STACK).read_text(encoding="utf-8")


def test_the_engine_works_from_the_pending_file_while_the_config_is_the_old_one(
    tmp_path: Path,
) -> None:
    folder = project(tmp_path)
    seen: list[str] = []

    def look(_number: int) -> None:
        seen.append(read_agent(folder, STACK).model)

    engine = FakeEngine(folder, look)
    carry_out(update(folder), engine, silent)
    assert seen == ["llama3.1-70b-q4"]
    assert engine.configs == [pending_file(folder, STACK)]
    assert engine.ups[0] is not None
    assert engine.ups[0].model == "qwen2.5-72b-q4"


def test_a_refusal_changes_no_file(tmp_path: Path) -> None:
    folder = project(tmp_path)
    before = files(folder)
    with pytest.raises(Refused, match="is locked by process 4711"):
        carry_out(update(folder), FakeEngine(folder, failing(LOCKED)), silent)
    assert files(folder) == before


def test_a_refusal_keeps_an_earlier_interrupted_change(tmp_path: Path) -> None:
    folder = project(tmp_path)
    write_pending(folder, STACK, agent_spec(context="64k"))
    before = files(folder)
    with pytest.raises(Refused, match="is locked"):
        carry_out(update(folder), FakeEngine(folder, failing(LOCKED)), silent)
    assert files(folder) == before


def test_a_second_change_at_the_same_time_is_refused_and_the_first_becomes_the_config(
    tmp_path: Path,
) -> None:
    folder = project(tmp_path)
    second = update(folder, model="phi3-mini-q8")

    def meanwhile(_number: int) -> None:
        with pytest.raises(Refused, match="agent my-agent is being changed by another process"):
            carry_out(second, FakeEngine(folder), silent)

    carry_out(update(folder), FakeEngine(folder, meanwhile), silent)
    assert read_agent(folder, STACK).model == "qwen2.5-72b-q4"


def test_a_change_whose_ground_has_moved_since_it_was_planned_is_refused(tmp_path: Path) -> None:
    folder = project(tmp_path)
    late = update(folder, parallel=2)
    carry_out(update(folder), FakeEngine(folder), silent)
    before = files(folder)
    with pytest.raises(Refused, match="was changed by someone else since this was planned"):
        carry_out(late, FakeEngine(folder), silent)
    assert files(folder) == before


def test_a_failed_update_is_taken_back_so_that_the_old_model_serves(tmp_path: Path) -> None:
    folder = project(tmp_path)
    before = files(folder)
    engine = FakeEngine(folder, failing(NEVER_READY, None))
    with pytest.raises(Failed, match="isn't ready after 20 min") as failed:
        carry_out(update(folder), engine, silent)
    assert files(folder) == before
    assert [spec.model for spec in engine.ups if spec] == ["qwen2.5-72b-q4", "llama3.1-70b-q4"]
    assert engine.configs == [pending_file(folder, STACK)] * 2
    assert engine.ups[1] == agent_spec()
    assert "The change was taken back: llama3.1-70b-q4 serves as before" in failed.value.message
    assert failed.value.hint == NEVER_READY.hint
    assert failed.value.exit_code == ExitCode.FAILED


@pytest.mark.parametrize(
    "second", [Failed("the API server is gone"), Refused("the API server can't be reached")]
)
def test_an_update_that_cannot_be_taken_back_says_both_and_how_to_go_on(
    second: Exception, tmp_path: Path
) -> None:
    folder = project(tmp_path)
    before = files(folder)
    with pytest.raises(Failed, match="isn't ready after 20 min") as failed:
        carry_out(update(folder), FakeEngine(folder, failing(NEVER_READY, second)), silent)
    file = pending_file(folder, STACK)
    assert read_agent(folder, STACK, file) == agent_spec()
    assert files(folder) == {**before, str(file.relative_to(folder)): before[CONFIG]}
    again = change_of(folder, STACK, {}, running=agent_spec(model="qwen2.5-72b-q4"))
    assert (again.interrupted, again.new) == (True, agent_spec())
    assert f"Taking the change back failed as well: {second.args[0]}" in failed.value.message
    assert "moltghost up my-agent.local continues the rollback" in failed.value.hint


def test_a_failed_edit_by_hand_is_taken_back_to_what_the_cluster_had_and_the_edit_stays(
    tmp_path: Path,
) -> None:
    folder = project(tmp_path, README_FILE.replace("llama3.1-70b-q4", "qwen2.5-72b-q4"))
    before = files(folder)
    engine = FakeEngine(folder, failing(NEVER_READY, None))
    with pytest.raises(Failed, match=r"taken back: llama3\.1-70b-q4 serves as before"):
        carry_out(change_of(folder, STACK, {}, running=agent_spec()), engine, silent)
    assert engine.ups[0] is not None
    assert (engine.ups[0].model, engine.ups[1]) == ("qwen2.5-72b-q4", agent_spec())
    assert engine.ups[0].previous == agent_spec().model_part
    assert files(folder) == before


def test_an_interrupted_change_that_fails_goes_back_to_the_config_that_ran_before(
    tmp_path: Path,
) -> None:
    folder = project(tmp_path)
    before = files(folder)
    new = write_update(folder)
    engine = FakeEngine(folder, failing(NEVER_READY, None))
    with pytest.raises(Failed, match=r"taken back: llama3\.1-70b-q4 serves as before"):
        carry_out(change_of(folder, STACK, {}, running=new), engine, silent)
    assert engine.ups == [new, agent_spec()]
    assert files(folder) == before


def test_a_change_that_fails_after_an_interrupted_one_goes_back_to_what_was_proven(
    tmp_path: Path,
) -> None:
    folder = project(tmp_path)
    before = files(folder)
    unproven = write_update(folder)
    change = change_of(folder, STACK, {"model": "llama3.1-8b-q4"}, running=unproven)
    engine = FakeEngine(folder, failing(NEVER_READY, None))
    with pytest.raises(Failed, match=r"taken back: llama3\.1-70b-q4 serves as before"):
        carry_out(change, engine, silent)
    assert [spec.model for spec in engine.ups if spec] == ["llama3.1-8b-q4", "llama3.1-70b-q4"]
    assert files(folder) == before


def write_update(folder: Path) -> AgentSpec:
    """An interrupted update of the README's agent."""
    new = agent_spec(**UPDATE).model_copy(update={"previous": agent_spec().model_part})
    write_pending(folder, STACK, new)
    return new


def test_what_fails_as_the_cluster_has_it_already_is_not_waited_for_twice(tmp_path: Path) -> None:
    folder = project(tmp_path)
    before = files(folder)
    engine = FakeEngine(folder, failing(NEVER_READY))
    with pytest.raises(Failed, match="isn't ready after 20 min") as failed:
        carry_out(change_of(folder, STACK, {}, running=agent_spec()), engine, silent)
    assert len(engine.ups) == 1
    assert "taken back" not in failed.value.message
    assert "moltghost up my-agent.local tries again" in failed.value.hint
    assert files(folder) == before


def test_an_interrupted_first_deploy_that_fails_keeps_its_config(tmp_path: Path) -> None:
    folder = project(tmp_path, agent=None)
    write_pending(folder, STACK, agent_spec())
    engine = FakeEngine(folder, failing(NEVER_READY))
    with pytest.raises(Failed, match="isn't ready after 20 min"):
        carry_out(change_of(folder, STACK, {}, running=agent_spec()), engine, silent)
    assert engine.ups == [agent_spec()]
    assert read_agent(folder, STACK) == agent_spec()
    assert not pending_file(folder, STACK).exists()


def test_a_first_deploy_that_fails_keeps_its_config_and_is_not_taken_back(tmp_path: Path) -> None:
    folder = project(tmp_path, agent=None)
    engine = FakeEngine(folder, failing(NEVER_READY))
    with pytest.raises(Failed, match="isn't ready after 20 min") as failed:
        carry_out(create(folder), engine, silent)
    assert len(engine.ups) == 1
    assert read_agent(folder, STACK).model == "llama3.1-8b-q4"
    assert not pending_file(folder, STACK).exists()
    assert "moltghost up my-agent.local tries again" in failed.value.hint
    assert "moltghost agent destroy my-agent removes it" in failed.value.hint


def test_a_first_deploy_that_is_refused_leaves_no_file(tmp_path: Path) -> None:
    folder = project(tmp_path, agent=None)
    before = files(folder)
    with pytest.raises(Refused, match="is locked"):
        carry_out(create(folder), FakeEngine(folder, failing(LOCKED)), silent)
    assert files(folder) == before


def test_a_kill_leaves_the_old_config_and_the_change_to_be_taken_up_again(tmp_path: Path) -> None:
    folder = project(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        carry_out(update(folder), FakeEngine(folder, failing(KeyboardInterrupt())), silent)  # type: ignore[arg-type]
    assert stack_file(folder, STACK).read_text(encoding="utf-8") == README_FILE
    again = change_of(folder, STACK, {}, running=read_agent(folder, STACK))
    assert again.interrupted
    assert again.new.model == "qwen2.5-72b-q4"
    carry_out(again, FakeEngine(folder), silent)
    assert read_agent(folder, STACK).model == "qwen2.5-72b-q4"


@pytest.mark.parametrize("delete_data", [False, True])
def test_destroy_keeps_namespace_and_volume_unless_told_otherwise(
    delete_data: bool, tmp_path: Path
) -> None:
    folder = project(tmp_path)
    write_pending(folder, STACK, agent_spec(context="64k"))
    engine = FakeEngine(folder)
    destroy(folder, STACK, engine, delete_data=delete_data, report=silent)
    assert engine.destroyed == [("my-agent.local", "delete" if delete_data else "keep")]
    assert stack_file(folder, STACK).is_file(), "its config stays"
    assert not pending_file(folder, STACK).exists()


def test_the_only_config_of_a_first_deploy_that_was_stopped_outlives_the_agent(
    tmp_path: Path,
) -> None:
    folder = project(tmp_path, agent=None)
    write_pending(folder, STACK, agent_spec())
    destroy(folder, STACK, FakeEngine(folder), delete_data=True, report=silent)
    assert read_agent(folder, STACK) == agent_spec()
    assert not pending_file(folder, STACK).exists()


def test_an_agent_that_is_being_changed_is_not_destroyed(tmp_path: Path) -> None:
    folder = project(tmp_path)
    engine = FakeEngine(folder)

    def meanwhile(_number: int) -> None:
        with pytest.raises(Refused, match="agent my-agent is being changed by another process"):
            destroy(folder, STACK, engine, delete_data=True, report=silent)

    engine.on_up = meanwhile
    carry_out(update(folder), engine, silent)
    assert engine.destroyed == []
    assert read_agent(folder, STACK).model == "qwen2.5-72b-q4"


def test_an_agent_that_was_never_deployed_is_not_destroyed(tmp_path: Path) -> None:
    folder = project(tmp_path)
    engine = FakeEngine(folder)
    with pytest.raises(Refused, match="isn't deployed: only its config is there") as refused:
        require_deployed(folder, STACK, engine)
    assert "Pulumi.my-agent.local.yaml" in refused.value.hint
    stack_file(folder, STACK).unlink()
    with pytest.raises(Refused, match="there is no agent my-agent in local"):
        require_deployed(folder, STACK, engine)
    engine.known.append("my-agent.local")
    require_deployed(folder, STACK, engine)


def test_an_update_that_the_user_stops_is_not_taken_back_but_left_to_be_taken_up(
    tmp_path: Path,
) -> None:
    folder = project(tmp_path)
    engine = FakeEngine(folder, on_up=failing(Interrupted("stopped on request")))
    with pytest.raises(Interrupted, match="stopped on request"):
        carry_out(update(folder), engine, silent)
    assert len(engine.ups) == 1
    assert "qwen2.5-72b-q4" in pending_file(folder, STACK).read_text(encoding="utf-8")
    assert "llama3.1-70b-q4" in stack_file(folder, STACK).read_text(encoding="utf-8")
