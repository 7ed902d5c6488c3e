"""`moltghost fleet`: what it prints, asks and answers; workers are tested in tests/lifecycle."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from moltghost.lifecycle.agents.change import AgentChange
from moltghost.lifecycle.fleets.jobs import Job, Outcome
from moltghost.models import find_model
from tests.cli.command import Command
from tests.kube.clusters import FakeCluster, deployment, namespace, ready_pod
from tests.lifecycle.projects import FakeEngine

FILE = """\
defaults: { owner: team-a, context: 32k }
agents:
  one: { model: llama3.1-8b-q4 }
  my-agent: { model: llama3.1-70b-q4 }
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "agents.yaml"
    path.write_text(FILE)
    return str(path)


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    """The jobs that would be carried out; the one of agent `bad` fails, `later` is never begun."""
    found: list[Job] = []

    def run_jobs(jobs: list[Job], _tools: Any, *, parallel: int, watch: Any) -> Any:
        found.extend(jobs)
        outcomes = [_outcome(job.stack.agent) for job in jobs if job.stack.agent != "later"]
        for each in outcomes:
            watch(each.agent, each)
        return outcomes, [job for job in jobs if job.stack.agent == "later"]

    monkeypatch.setattr("moltghost.cli.commands.fleet.run_jobs", run_jobs)
    return found


def _outcome(agent: str) -> Outcome:
    bad = agent == "bad"
    return Outcome(
        agent=agent,
        ending="failed" if bad else "done",
        seconds=61.25,
        changes={"create": 21},
        message="the model server isn't ready" if bad else "",
        hint="see agent status" if bad else "",
        warnings=(f"Deployment agent-{agent}/runtime names no digest",),
    )


@pytest.mark.usefixtures("deployed", "engine")
def test_a_dry_run_shows_plans_price_and_needs_and_does_nothing(
    moltghost: Command, file: str, jobs: list[Job]
) -> None:
    ran = moltghost("fleet", "apply", file, "--dry-run")
    assert ran.code == 0
    rows = {line.split()[0]: line for line in ran.out.splitlines() if line.strip()}
    assert "deploy" in rows["one"]
    assert "g6e.xlarge" in rows["one"]
    assert "as it is" in rows["my-agent"]
    assert "8.74 $/h for the model servers' nodes" in rows["price"]
    assert "now 6.88 $/h" in rows["price"]
    assert "L-DB2E81BA" in rows["l40s"]
    assert "1 in pool cpu; new nodes: 1" in rows["runtimes"]
    assert not jobs


@pytest.mark.usefixtures("deployed", "engine")
def test_a_dry_run_for_machines(moltghost: Command, file: str) -> None:
    data = moltghost("fleet", "apply", file, "--dry-run", "--json").data
    assert {each["agent"]: each["action"] for each in data["agents"]} == {
        "one": "create",
        "my-agent": "none",
    }
    assert data["nodes"] == [
        {
            "pool": "l40s",
            "instance_type": "g6e.xlarge",
            "nodes": 1,
            "surge_nodes": 0,
            "vcpus": 4,
            "quota": "L-DB2E81BA",
        }
    ]
    assert data["usd_per_hour_before"] == 6.88
    assert (data["destroy"], data["left_alone"]) == ([], [])


@pytest.mark.usefixtures("deployed", "engine", "jobs")
def test_what_is_done_is_counted_and_the_same_warnings_are_told_once(
    moltghost: Command, file: str
) -> None:
    ran = moltghost("fleet", "apply", file, "--yes")
    assert ran.code == 0
    assert ran.out.splitlines()[-1] == "2 done"
    assert "warning for 2 agents: Deployment agent-NAME/runtime names no digest" in ran.err
    assert "  1/2 one: done (1 min 01 s)" in ran.err.splitlines()


@pytest.mark.usefixtures("deployed", "engine")
def test_a_store_that_is_missing_is_named_and_built_for_the_agents_that_need_it(
    moltghost: Command, file: str, jobs: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(_environment: object, change: AgentChange) -> Any:
        choice = find_model(change.new.model)
        is_there = choice.model.id == "llama3.1-70b"
        return None if is_there else SimpleNamespace(choice=choice, can_be_built=True)

    monkeypatch.setattr("moltghost.lifecycle.fleets.plan.missing_of", missing)
    ran = moltghost("fleet", "apply", file, "--yes")
    assert "built first, once each: llama3.1-8b-q4_K_M" in ran.out
    assert {each.name: each.store for each in jobs} == {"one": "llama3.1-8b-q4_K_M", "my-agent": ""}


@pytest.mark.usefixtures("cluster", "engine", "jobs")
def test_a_failure_and_what_was_never_begun_make_exit_code_1(
    moltghost: Command, tmp_path: Path
) -> None:
    path = tmp_path / "agents.yaml"
    path.write_text(FILE.replace("one:", "bad:").replace("my-agent:", "later:"))
    ran = moltghost("fleet", "apply", str(path), "--yes")
    assert ran.code == 1
    assert "bad: failed: the model server isn't ready\n  hint: see agent status" in ran.out
    assert "1 failed, 1 not begun" in ran.out
    data = moltghost("fleet", "apply", str(path), "--yes", "--json").data
    assert (data["failed"], data["not_begun"]) == (1, ["later"])
    assert data["agents"][0]["error"]["hint"] == "see agent status"


@pytest.mark.usefixtures("engine")
def test_agents_that_are_not_in_the_file_are_left_alone_unless_pruned(
    moltghost: Command, deployed: FakeCluster, file: str, jobs: list[Job]
) -> None:
    deployed.items += [deployment("stray"), ready_pod("p", agent="stray"), namespace("stray")]
    ran = moltghost("fleet", "apply", file, "--yes")
    assert "1 agent that the file doesn't have: left alone" in ran.out
    assert [job.stack.agent for job in jobs] == ["one", "my-agent"]
    jobs.clear()

    ran = moltghost("fleet", "apply", file, "--prune", "--yes")
    assert "1 agent destroyed: 6.88 $/h less" in ran.out
    [destroyed, rest] = ran.out.split("\nstray ")[1].splitlines()[:2]
    assert (destroyed.endswith("namespace and"), rest.strip()[-11:]) == (True, "volume stay")
    assert [(job.stack.agent, job.prepared is None, job.delete_data) for job in jobs] == [
        ("one", False, False),
        ("my-agent", False, False),
        ("stray", True, False),
    ]
    jobs.clear()
    moltghost("fleet", "apply", file, "--prune", "--delete-data", "--yes")
    assert jobs[-1].delete_data


@pytest.mark.usefixtures("deployed", "engine")
def test_nobody_is_asked_without_a_terminal(moltghost: Command, file: str, jobs: list[Job]) -> None:
    ran = moltghost("fleet", "apply", file)
    assert ran.code == 2
    assert "add --yes to go ahead without" in ran.err
    assert not jobs


@pytest.mark.usefixtures("cluster", "engine")
def test_data_is_deleted_only_of_what_is_pruned(moltghost: Command, file: str) -> None:
    ran = moltghost("fleet", "apply", file, "--delete-data", "--yes")
    assert (ran.code, "add --prune" in ran.err) == (2, True)


@pytest.mark.usefixtures("deployed", "engine")
def test_only_the_files_agents_that_are_deployed_are_destroyed(
    moltghost: Command, file: str, jobs: list[Job]
) -> None:
    assert moltghost("fleet", "destroy", file, "--delete-data", "--yes").code == 0
    assert [(job.stack.agent, job.prepared, job.delete_data) for job in jobs] == [
        ("my-agent", None, True)
    ]


@pytest.mark.usefixtures("cluster")
def test_to_destroy_what_is_not_there_is_refused(
    moltghost: Command, engine: FakeEngine, file: str
) -> None:
    ran = moltghost("fleet", "destroy", file, "--yes")
    assert ran.code == 2
    assert "none of the 2 agents in" in ran.err
    assert not engine.destroyed


def test_a_broken_file_is_refused_before_the_cluster_is_asked(
    moltghost: Command, tmp_path: Path
) -> None:
    path = tmp_path / "agents.yaml"
    path.write_text("agents: {one: {model: 7}}\n")
    ran = moltghost("fleet", "apply", str(path), "--yes")
    assert ran.code == 2
    assert "agents.one: context: is missing" in ran.err
