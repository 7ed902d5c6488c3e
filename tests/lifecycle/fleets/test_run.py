"""Many jobs side by side, in real worker processes with an engine that does what its model says."""

from __future__ import annotations

import os
import signal
import threading
import time
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from moltghost.config import AgentSpec, StackName, read_agent, read_environment, stack_file
from moltghost.engines.interface import Op, Result, Step
from moltghost.environments.embedded import EmbeddedEnvironment
from moltghost.environments.environment import Environment
from moltghost.errors import Failed, Interrupted, Refused
from moltghost.kube.client import Client
from moltghost.lifecycle.agents.prepare import Prepared
from moltghost.lifecycle.fleets.jobs import Job, News, Outcome, Tools
from moltghost.lifecycle.fleets.run import run_jobs
from moltghost.lifecycle.weights.source import Request
from moltghost.progress import Event, Report
from tests.kube.clusters import client, node_pool
from tests.lifecycle.projects import FakeEngine, change_of, project

MODELS = {
    "works": "llama3.1-8b-q4",
    "same": "qwen2.5-7b-q4",
    "fails": "mistral-nemo-12b-q4",
    "refuses": "phi3-mini-q8",
    "dies": "phi3-medium-q8",
    "breaks": "llama3.1-70b-q4",
    "waits": "qwen2.5-32b-q4",
    "waits-late": "qwen2.5-72b-q4",
}
BEHAVIOURS = {model: name for name, model in MODELS.items()}


class ActingEngine(FakeEngine):
    """Behaves as the agent's model says, and marks in the project what runs."""

    def up(self, stack: str, *, config: Path | None = None, report: Report, **_: Any) -> Result:
        spec = self._read(stack, config)
        assert isinstance(spec, AgentSpec)
        report(Event(task=f"preview {stack}", state="started"))
        report(Event(task="Deployment", state="running", detail="0 of 1 ready"))
        acts = BEHAVIOURS[spec.model]
        if acts == "fails":
            raise Failed("the model server isn't ready after 20 min", "see agent status")
        if acts == "refuses":
            raise Refused("a policy forbids it", "ask for another model")
        if acts == "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        if acts == "breaks":
            raise KeyError("oops")
        if acts == "waits-late":  # Ctrl-C comes before it has begun to listen
            os.kill(os.getpid(), signal.SIGINT)
        if acts in ("waits", "waits-late"):
            self._wait(stack, report)
        step = Step(urn="u", type="t", name="n", op=Op.SAME if acts == "same" else Op.CREATE)
        return Result(stack=stack, steps=(step,), outputs={}, seconds=1.0)

    def _wait(self, stack: str, report: Report) -> None:
        """Until Ctrl-C, as a real engine waits: in a handler of its own."""
        asked = threading.Event()
        before = signal.signal(signal.SIGINT, lambda _signal, _frame: asked.set())
        (self.project / f"{stack}.waiting").touch()
        report(Event(task="Deployment", state="running", detail="0 of 1 ready"))
        try:
            assert asked.wait(60)
        finally:
            signal.signal(signal.SIGINT, before)
        raise Interrupted("stopped on request", "run the same command again")


def engine_for(folder: Path) -> ActingEngine:
    return ActingEngine(folder)


class Roomy(EmbeddedEnvironment):
    """Has a cluster with empty pools."""

    @property
    def client(self) -> Client:
        names = ("l40s", "a100-40", "a100-80", "h100", "cpu", "weights")
        return client(*(node_pool(name, 4, 0) for name in names))


class Full(EmbeddedEnvironment):
    """Its pools have no room."""

    @property
    def client(self) -> Client:
        return client(*(node_pool(name, 4, 4) for name in ("l40s", "h100", "cpu")))


class Stopped(Roomy):
    """Ctrl-C comes while its cluster is asked."""

    @property
    def client(self) -> Client:
        os.kill(os.getpid(), signal.SIGINT)
        return super().client


class WithoutPools(EmbeddedEnvironment):
    """Has a cluster without any pool."""

    @property
    def client(self) -> Client:
        return client()


def build(environment: Environment, request: Request, report: Report) -> None:
    """Behaves as the model's name says, and counts in the project how often it began."""
    folder = environment.project
    with (folder / f"{request.model}.builds").open("a") as log:
        log.write(f"{environment.name}\n")
    report(Event(task="download", state="running", detail="1 GiB of 4 GiB"))
    if request.model == "fails":
        raise Failed("building it failed: no space left", "run the same command again")
    if request.model == "waits":
        threading.Event().wait(60)
    time.sleep(0.3)
    (folder / f"{request.model}.store").touch()


def job(folder: Path, name: str, acts: str, store: str = "") -> Job:
    stack = StackName.of_agent(name, "local")
    values = {"model": MODELS[acts], "context": "16k", "owner": "me"}
    change = change_of(folder, stack, values, running=None)
    return Job(stack=stack, prepared=Prepared(change=change), store=store)


def tools(folder: Path, kind: type[Environment] = Roomy) -> Tools:
    at = kind(folder, read_environment(folder, "local"))
    return Tools(environment=at, engine_for=engine_for, build=build)


def run(
    folder: Path, *jobs: Job, parallel: int = 2, kind: type[Environment] = Roomy
) -> tuple[dict[str, Outcome], list[Job], list[tuple[str, News | Outcome]]]:
    told: list[tuple[str, News | Outcome]] = []
    outcomes, left = run_jobs(
        jobs,
        tools(folder, kind),
        parallel=parallel,
        watch=lambda name, said: told.append((name, said)),
    )
    return {each.agent: each for each in outcomes}, left, told


def test_one_agent_that_fails_is_refused_or_dies_stops_no_other(tmp_path: Path) -> None:
    folder = project(tmp_path)
    acting = ("works", "fails", "refuses", "dies", "breaks", "same", "works")
    jobs = [job(folder, f"a{number}-{acts}", acts) for number, acts in enumerate(acting)]
    outcomes, left, _ = run(folder, *jobs, parallel=2)
    assert {name.partition("-")[2] or name: each.ending for name, each in outcomes.items()} == {
        "works": "done",
        "fails": "failed",
        "refuses": "refused",
        "dies": "failed",
        "breaks": "failed",
        "same": "unchanged",
    }
    assert list(outcomes) == [each.stack.agent for each in jobs]
    assert not left
    assert outcomes["a0-works"].changes == {"create": 1}
    assert "isn't ready after 20 min" in outcomes["a1-fails"].message
    assert outcomes["a2-refuses"].hint == "ask for another model"
    assert "ended with -9" in outcomes["a3-dies"].message
    assert "internal error: KeyError" in outcomes["a4-breaks"].message


def test_what_succeeds_becomes_the_config_and_what_is_refused_does_not(tmp_path: Path) -> None:
    folder = project(tmp_path)
    jobs = [job(folder, "good", "works"), job(folder, "bad", "refuses")]
    run(folder, *jobs)
    assert read_agent(folder, jobs[0].stack).model == MODELS["works"]
    assert not stack_file(folder, jobs[1].stack).exists()


def test_news_say_how_far_each_is(tmp_path: Path) -> None:
    folder = project(tmp_path)
    _, _, told = run(folder, job(folder, "one", "works"))
    phases = [said.phase for _name, said in told if isinstance(said, News)]
    assert phases[0] == "checking"
    assert isinstance(told[-1][1], Outcome)


def test_agents_are_destroyed_by_the_same_workers(tmp_path: Path) -> None:
    folder = project(tmp_path)
    stacks = [StackName.of_agent(name, "local") for name in ("one", "two", "three")]
    outcomes, _, _ = run(folder, *(Job(stack=stack, delete_data=True) for stack in stacks))
    assert [each.changes for each in outcomes.values()] == [{"delete": 1}] * 3


def test_ctrl_c_stops_what_runs_between_two_steps_and_begins_nothing_else(tmp_path: Path) -> None:
    folder = project(tmp_path)
    jobs = [job(folder, f"a{number}", "waits") for number in range(4)]

    def press() -> None:
        deadline = time.monotonic() + 60
        while len(list(folder.glob("*.waiting"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=press).start()
    outcomes, left, _ = run(folder, *jobs, parallel=2)
    assert [each.ending for each in outcomes.values()] == ["interrupted", "interrupted"]
    assert [each.stack.agent for each in left] == ["a2", "a3"]
    # An interrupted change is taken up by the next command.
    assert change_of(folder, jobs[0].stack, {}, running=None).interrupted


def test_a_change_waits_for_room_and_stops_waiting_on_ctrl_c(tmp_path: Path) -> None:
    folder = project(tmp_path)
    told: list[News] = []

    def watch(_name: str, said: News | Outcome) -> None:
        if isinstance(said, News):
            told.append(said)
            if said.phase == "waiting for room":
                os.kill(os.getpid(), signal.SIGINT)

    outcomes, _ = run_jobs(
        [job(folder, "one", "works")],
        tools(folder, Full),
        parallel=1,
        watch=watch,
    )
    assert [each.ending for each in outcomes] == ["interrupted"]
    assert "before anything was changed" in outcomes[0].message
    assert "pool l40s of environment local is full" in told[-1].detail
    assert not stack_file(folder, StackName.of_agent("one", "local")).exists()


def test_only_a_lack_of_room_is_waited_for(tmp_path: Path) -> None:
    folder = project(tmp_path)
    outcomes, _, told = run(folder, job(folder, "one", "works"), kind=WithoutPools)
    assert outcomes["one"].ending == "refused"
    assert "has no pool l40s in its cluster" in outcomes["one"].message
    assert "waiting for room" not in {said.phase for _, said in told if isinstance(said, News)}


def test_ctrl_c_that_comes_before_the_engine_listens_stops_it_all_the_same(tmp_path: Path) -> None:
    folder = project(tmp_path)
    outcomes, _, _ = run(folder, job(folder, "one", "waits-late"))
    assert outcomes["one"].ending == "interrupted"


def test_ctrl_c_while_it_is_checked_deploys_nothing(tmp_path: Path) -> None:
    folder = project(tmp_path)
    outcomes, _, _ = run(folder, job(folder, "one", "works"), kind=Stopped)
    assert outcomes["one"].ending == "interrupted"
    assert not stack_file(folder, StackName.of_agent("one", "local")).exists()


def test_a_store_is_built_once_before_all_the_agents_that_need_it(tmp_path: Path) -> None:
    folder = project(tmp_path)
    names = ("a", "b", "c")
    jobs = [job(folder, name, "works", store="shared") for name in names]
    outcomes, _, told = run(folder, *jobs, job(folder, "free", "same"), parallel=4)
    assert {name: each.ending for name, each in outcomes.items()} == {
        **dict.fromkeys(names, "done"),
        "free": "unchanged",
    }
    assert (folder / "shared.builds").read_text() == "local\n"
    for name in names:
        phases = [said.phase for whose, said in told if whose == name and isinstance(said, News)]
        assert [phase for phase, _ in groupby(phases)][:3] == ["weights", "queued", "checking"]


def test_a_build_that_fails_fails_only_the_agents_that_need_it(tmp_path: Path) -> None:
    folder = project(tmp_path)
    jobs = [
        job(folder, "a", "works", store="fails"),
        job(folder, "b", "works", store="fails"),
        job(folder, "c", "works", store="other"),
        job(folder, "d", "works"),
    ]
    outcomes, left, _ = run(folder, *jobs, parallel=1)
    assert {name: each.ending for name, each in outcomes.items()} == {
        "a": "failed",
        "b": "failed",
        "c": "done",
        "d": "done",
    }
    assert not left
    assert (outcomes["b"].agent, outcomes["b"].message) == (
        "b",
        "building it failed: no space left",
    )
    assert (folder / "fails.builds").read_text() == "local\n"


def test_ctrl_c_ends_the_wait_for_a_build(tmp_path: Path) -> None:
    folder = project(tmp_path)
    jobs = [job(folder, name, "works", store="waits") for name in ("a", "b")]

    def press() -> None:
        deadline = time.monotonic() + 60
        while not (folder / "waits.builds").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=press).start()
    began = time.monotonic()
    outcomes, _, _ = run(folder, *jobs)
    assert [each.ending for each in outcomes.values()] == ["interrupted", "interrupted"]
    assert time.monotonic() - began < 30
    assert not stack_file(folder, jobs[0].stack).exists()


@pytest.mark.parametrize("parallel", [1, 5])
def test_no_more_run_at_a_time_than_asked_for(tmp_path: Path, parallel: int) -> None:
    folder = project(tmp_path)
    running, most = set(), [0]
    lock = threading.Lock()

    def watch(name: str, said: News | Outcome) -> None:
        with lock:
            running.add(name) if isinstance(said, News) else running.discard(name)
            most[0] = max(most[0], len(running))

    jobs = [job(folder, f"a{number}", "works") for number in range(8)]
    outcomes, _ = run_jobs(jobs, tools(folder), parallel=parallel, watch=watch)
    assert len(outcomes) == 8
    assert 1 <= most[0] <= parallel
