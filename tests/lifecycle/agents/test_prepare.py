from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from moltghost.config import AgentSpec, ModelSpec, read_agent
from moltghost.errors import ExitCode, Refused
from moltghost.kube.agents import agent_status
from moltghost.lifecycle.agents.change import AgentChange
from moltghost.lifecycle.agents.running import running_spec
from moltghost.lifecycle.agents.stack_files import write_pending
from tests.examples import STACK, agent_spec
from tests.kube.clusters import deployment
from tests.lifecycle.projects import README_FILE, change_of, files, project

SCALED = README_FILE + "    gpu: h100\n    memory: 160gb\n"
README_MODEL = ModelSpec(model="llama3.1-70b-q4", context=32768)


def proposed(
    folder: Path, values: dict[str, Any] | None = None, *, deployed: bool = True, **more: bool
) -> AgentChange:
    running = read_agent(folder, STACK) if deployed else None
    return change_of(folder, STACK, values or {}, running=running, **more)


def test_a_proposal_changes_nothing(tmp_path: Path) -> None:
    folder = project(tmp_path)
    before = files(folder)
    proposed(folder, {"model": "qwen2.5-72b-q4"})
    assert files(folder) == before


def test_a_first_deploy_creates(tmp_path: Path) -> None:
    values = {"model": "llama3.1-8b-q4", "context": "16k", "owner": "me"}
    change = proposed(project(tmp_path, agent=None), values, deployed=False)
    assert change.update.action == "create"
    assert (change.old, change.new.previous) == (None, None)
    assert change.plan.model_server.instance_type == "g6e.xlarge"


def test_options_that_are_not_given_leave_the_config_as_it_is(tmp_path: Path) -> None:
    change = proposed(project(tmp_path, SCALED), {"model": None, "gpu": None, "parallel": 2})
    assert (change.new.model, change.new.gpu, change.new.memory) == ("llama3.1-70b-q4", "h100", 160)
    assert change.new.parallel == 2


def test_an_update_keeps_gpu_and_memory_given_earlier(tmp_path: Path) -> None:
    change = proposed(project(tmp_path, SCALED), {"model": "qwen2.5-72b-q4"})
    assert (change.new.gpu, change.new.memory) == ("h100", 160)
    assert change.plan.model_server.gpu_count == 2


def test_auto_lets_the_sizing_choose_again(tmp_path: Path) -> None:
    change = proposed(project(tmp_path, SCALED), {"gpu": "auto", "memory": "auto"})
    assert (change.new.gpu, change.new.memory) == (None, None)
    assert change.plan.model_server.instance_type == "p5.4xlarge"


def test_a_change_of_the_model_remembers_what_ran_before(tmp_path: Path) -> None:
    change = proposed(project(tmp_path), {"model": "qwen2.5-72b-q4"})
    assert change.new.previous == README_MODEL
    scaled = proposed(project_again(tmp_path), {"gpu": "h100", "memory": "160gb"})
    assert scaled.new.previous == README_MODEL


def project_again(folder: Path) -> Path:
    again = folder / "again"
    again.mkdir()
    return project(again)


def test_what_ran_before_is_forgotten_at_the_next_change_of_the_model(tmp_path: Path) -> None:
    config = README_FILE + "    previous:\n      model: phi3-mini-q8\n      context: 32k\n"
    change = proposed(project(tmp_path, config), {"context": "64k"})
    assert change.new.previous == README_MODEL


def test_what_ran_before_stays_while_the_model_does(tmp_path: Path) -> None:
    config = README_FILE + "    previous:\n      model: phi3-mini-q8\n      context: 32k\n"
    change = proposed(project(tmp_path, config), {"owner": "team-b"})
    assert change.new.previous is not None
    assert change.new.previous.model == "phi3-mini-q8"


def test_what_does_not_run_is_not_remembered(tmp_path: Path) -> None:
    change = proposed(project(tmp_path), {"model": "qwen2.5-72b-q4"}, deployed=False)
    assert (change.old, change.new.previous) == (None, None)
    assert change.update.action == "create"


def test_a_strategy_holds_for_one_change(tmp_path: Path) -> None:
    folder = project(tmp_path, README_FILE + "    strategy: in-place\n")
    change = proposed(folder, {"model": "qwen2.5-72b-q4"})
    assert change.new.strategy == "surge"
    in_place = proposed(folder, {"model": "qwen2.5-72b-q4", "strategy": "in-place"})
    assert in_place.update.gap_seconds > 0


def test_nothing_given_and_nothing_changed_is_nothing_to_do(tmp_path: Path) -> None:
    change = proposed(project(tmp_path))
    assert change.update.action == "none"
    assert not change.interrupted


def test_an_interrupted_change_is_taken_up_again(tmp_path: Path) -> None:
    folder = project(tmp_path)
    write_pending(folder, STACK, agent_spec(model="qwen2.5-72b-q4"))
    change = proposed(folder)
    assert change.interrupted
    assert change.new.model == "qwen2.5-72b-q4"
    assert change.update.action == "update"


def test_a_new_change_takes_the_place_of_an_interrupted_one(tmp_path: Path) -> None:
    folder = project(tmp_path)
    write_pending(folder, STACK, agent_spec(model="qwen2.5-72b-q4"))
    change = proposed(folder, {"context": "64k"})
    assert change.interrupted
    assert (change.new.model, change.new.context) == ("llama3.1-70b-q4", 65536)


def test_an_interrupted_first_deploy_is_taken_up_again(tmp_path: Path) -> None:
    folder = project(tmp_path, agent=None)
    write_pending(folder, STACK, agent_spec())
    change = proposed(folder, deployed=False, must_exist=True)
    assert change.new == agent_spec()
    assert (change.base, change.interrupted) == (None, True)


def test_a_config_edited_by_hand_is_a_change_of_what_the_cluster_has(tmp_path: Path) -> None:
    folder = project(tmp_path, README_FILE.replace("llama3.1-70b-q4", "qwen2.5-72b-q4"))
    change = change_of(folder, STACK, {}, running=agent_spec())
    assert change.update.action == "update"
    assert change.update.changes == ("model: llama3.1-70b Q4_K_M -> qwen2.5-72b Q4_K_S",)
    assert change.update.surge is not None
    assert (change.old, change.new.previous) == (agent_spec(), README_MODEL)
    assert (change.new.model, change.interrupted) == ("qwen2.5-72b-q4", False)


def test_a_config_edited_by_hand_keeps_its_strategy(tmp_path: Path) -> None:
    edited = README_FILE.replace("32k", "64k") + "    strategy: in-place\n"
    change = change_of(project(tmp_path, edited), STACK, {}, running=agent_spec())
    assert (change.update.strategy, change.update.surge) == ("in-place", None)
    assert change.update.gap_seconds > 0


def test_options_over_a_config_edited_by_hand_change_what_the_cluster_has(tmp_path: Path) -> None:
    folder = project(tmp_path, README_FILE.replace("llama3.1-70b-q4", "qwen2.5-72b-q4"))
    change = change_of(folder, STACK, {"parallel": 2}, running=agent_spec())
    assert (change.new.model, change.new.parallel) == ("qwen2.5-72b-q4", 2)
    assert change.new.previous == README_MODEL


def test_an_edit_that_was_taken_back_by_hand_is_no_change(tmp_path: Path) -> None:
    applied = agent_spec(previous={"model": "phi3-mini-q8", "context": "32k"})
    config = README_FILE + "    previous:\n      model: phi3-mini-q8\n      context: 32k\n"
    change = change_of(project(tmp_path, config), STACK, {}, running=applied)
    assert change.update.action == "none"


def test_an_interrupted_change_that_the_cluster_already_has_is_taken_up_again(
    tmp_path: Path,
) -> None:
    folder = project(tmp_path)
    new = agent_spec(
        model="qwen2.5-72b-q4", previous={"model": "llama3.1-70b-q4", "context": "32k"}
    )
    write_pending(folder, STACK, new)
    change = change_of(folder, STACK, {}, running=new)
    assert change.interrupted
    assert (change.old, change.new, change.base) == (new, new, agent_spec())
    assert (change.update.action, change.update.added_nodes) == ("none", 0)


@pytest.mark.parametrize(
    "spec",
    [
        agent_spec(),
        agent_spec(memory="160gb", gpu="h100", strategy="in-place", token_rotation=3),
        agent_spec(context=40000, previous={"model": "phi3-mini-q8", "context": "16k"}),
    ],
)
def test_what_runs_is_read_back_from_the_cluster_as_it_was_applied(spec: AgentSpec) -> None:
    assert running_spec(agent_status(deployment(spec=spec), [], {}, "moltghost"), STACK) == spec


@pytest.mark.parametrize(
    ("annotation", "why"),
    [
        ("", "it isn't JSON: Expecting value"),
        ("{", "it isn't JSON: Expecting property name"),
        ("5", "must be a mapping"),
        ('{"kind": "platform", "pools": {"cpu": {"max_nodes": 1}}}', "has kind 'platform'"),
        (
            '{"kind": "agent", "owner": "me", "model": "x", "context": "1k", "replicas": 2}',
            "replicas: there is no such field; there are",
        ),
    ],
)
def test_what_another_version_applied_is_refused_with_the_annotation_and_the_ways_out(
    annotation: str, why: str
) -> None:
    status = replace(agent_status(deployment(), [], {}, "moltghost"), spec=annotation)
    with pytest.raises(Refused, match=r"annotation moltghost\.dev/spec of Deployment") as refused:
        running_spec(status, STACK)
    assert "agent my-agent can't be read" in refused.value.message
    assert why in refused.value.message
    assert "another version of moltghost wrote it" in refused.value.hint
    assert "moltghost agent destroy my-agent, then moltghost up my-agent.local" in (
        refused.value.hint
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model": "llama9-1b"}, "there is no model 'llama9-1b'"),
        ({"context": "1m"}, "a context of at most 131072 tokens"),
        ({"context": "lots"}, "context 'lots' is not a number of tokens"),
        ({"memory": "lots"}, "memory 'lots' is not an amount of GPU memory"),
        ({"gpu": "b200"}, "no GPU kind 'b200'"),
        ({"parallel": 0}, r"parallel: Input should be greater than or equal to 1"),
        ({"owner": "Big Team"}, r"in the command's options is invalid:\n  owner"),
        ({"model": "llama3.1-405b-f16"}, "fits no pool"),
    ],
)
def test_what_cannot_be_is_refused_and_no_file_is_touched(
    values: dict[str, Any], message: str, tmp_path: Path
) -> None:
    folder = project(tmp_path)
    before = files(folder)
    with pytest.raises(Refused, match=message) as refused:
        proposed(folder, values)
    assert refused.value.exit_code == ExitCode.REFUSED
    assert files(folder) == before


def test_an_agent_that_is_not_there_is_named_with_how_to_make_it(tmp_path: Path) -> None:
    folder = project(tmp_path, agent=None)
    with pytest.raises(Refused, match="there is no agent my-agent in local") as refused:
        proposed(folder, {"context": "64k"}, deployed=False, must_exist=True)
    assert "moltghost deploy my-agent --model MODEL" in refused.value.hint


def test_a_broken_stack_file_is_refused(tmp_path: Path) -> None:
    folder = project(tmp_path, "config: [")
    with pytest.raises(Refused, match=r"Pulumi\.my-agent\.local\.yaml line 1 is not valid YAML"):
        proposed(folder, {"context": "64k"})
