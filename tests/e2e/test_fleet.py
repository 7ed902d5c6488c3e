"""A fleet on a real cluster: deployed, updated, destroyed, with failures in the middle."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from moltghost.config import StackName
from moltghost.lifecycle.agents.stack_files import lock_file
from moltghost.locks import held
from tests.e2e.conftest import Moltghost
from tests.e2e.test_main_job import node_of

pytestmark = pytest.mark.e2e

# Agents with the instance types that sizing decides; the platform's pools have room for them.
FIRST = {
    "crew-0": ("llama3.1-8b-q4", "g6e.xlarge"),
    "crew-1": ("qwen2.5-7b-q4", "g6e.xlarge"),
    "crew-2": ("mistral-nemo-12b-q4", "g6e.xlarge"),
    "crew-3": ("llama3.1-70b-q4", "p5.4xlarge"),
    "crew-4": ("phi3-mini-q8", "g6e.xlarge"),
    "crew-5": ("phi3-medium-q8", "g6e.xlarge"),
}
THEN = {
    **FIRST,
    "crew-0": ("qwen2.5-7b-q4", "g6e.xlarge"),
    "crew-3": ("qwen2.5-32b-q4", "p5.4xlarge"),
}


def write(moltghost: Moltghost, agents: dict[str, tuple[str, str]], **more: Any) -> str:
    file = moltghost.project / "agents.yaml"
    described = {name: {"model": model} for name, (model, _type) in agents.items()}
    defaults = {"owner": "team-a", "context": "32k"}
    file.write_text(json.dumps({"environment": "local", "defaults": defaults, "agents": described}))
    return str(file)


def apply(moltghost: Moltghost, file: str, *options: str) -> dict[str, str]:
    """Apply a file; what became of each agent."""
    told = json.loads(moltghost("fleet", "apply", file, *options, "--yes", "--json", timeout=400))
    return {each["agent"]: each["outcome"] for each in told["agents"]}


def listed(moltghost: Moltghost) -> dict[str, dict[str, Any]]:
    return {each["agent"]: each for each in moltghost.json("agent", "list")}


def placed(moltghost: Moltghost, agents: dict[str, tuple[str, str]]) -> None:
    """Every agent is ready, with its model, on the type that its plan says."""
    found = listed(moltghost)
    for name, (model, instance_type) in agents.items():
        assert found[name]["ready"], found[name]
        assert model.startswith(found[name]["model"]), found[name]
        labels = node_of(moltghost, name)["metadata"]["labels"]
        assert labels["node.kubernetes.io/instance-type"] == instance_type


@pytest.fixture(autouse=True, scope="module")
def roomy(moltghost: Moltghost) -> None:
    """Room for what one test leaves to Karpenter, which takes a minute, and for the next test."""
    file = moltghost.project / "Pulumi.platform.local.yaml"
    text = file.read_text()
    assert "l40s: { max_nodes: 8 }" in text
    file.write_text(text.replace("l40s: { max_nodes: 8 }", "l40s: { max_nodes: 32 }"))
    moltghost("up", "platform.local", "--yes")


def test_a_fleet_is_deployed_updated_pruned_and_destroyed_and_nothing_is_left(
    moltghost: Moltghost,
) -> None:
    moltghost.deployed += FIRST
    file = write(moltghost, FIRST)
    plan = json.loads(moltghost("fleet", "apply", file, "--dry-run", "--json"))
    assert {each["instance_type"]: each["nodes"] for each in plan["nodes"]} == {
        "g6e.xlarge": 5,
        "p5.4xlarge": 1,
    }
    assert listed(moltghost) == {}

    assert set(apply(moltghost, file).values()) == {"done"}
    placed(moltghost, FIRST)
    assert set(apply(moltghost, file).values()) == {"unchanged"}

    changed = apply(moltghost, write(moltghost, THEN), "--parallel", "2")
    assert {name for name, ending in changed.items() if ending == "done"} == {"crew-0", "crew-3"}
    placed(moltghost, THEN)

    few = {name: THEN[name] for name in ("crew-0", "crew-1")}
    apply(moltghost, write(moltghost, few))
    assert set(listed(moltghost)) == set(THEN)
    pruned = apply(moltghost, write(moltghost, few), "--prune", "--delete-data")
    assert {name for name, ending in pruned.items() if ending == "done"} == set(THEN) - set(few)
    assert set(listed(moltghost)) == set(few)

    moltghost("fleet", "destroy", write(moltghost, few), "--delete-data", "--yes")
    homes = [each["metadata"]["name"] for each in moltghost.cluster.client.list("v1", "Namespace")]
    assert not [name for name in homes if name.startswith("agent-crew-")]
    assert not list((moltghost.cluster.state / "projects/moltghost/stacks").glob("crew-*.json"))


def test_one_agent_that_somebody_else_is_changing_stops_no_other_and_the_next_run_goes_on(
    moltghost: Moltghost,
) -> None:
    names = ("team-a", "team-b", "team-c")
    moltghost.deployed += names
    file = write(moltghost, dict.fromkeys(names, ("llama3.1-8b-q4", "g6e.xlarge")))
    stack = StackName.of_agent("team-b", "local")

    with held(lock_file(moltghost.project, stack), "agent team-b", "update"):
        process = moltghost.start("fleet", "apply", file, "--yes")
        out, _ = process.communicate(timeout=400)

    assert process.returncode == 1
    assert "team-b: refused: agent team-b is being changed by another process: update" in out
    assert "2 done, 1 refused" in out
    assert set(listed(moltghost)) == {"team-a", "team-c"}
    assert not list(moltghost.project.glob("Pulumi.team-b.*"))
    assert apply(moltghost, file) == {
        "team-a": "unchanged",
        "team-b": "done",
        "team-c": "unchanged",
    }


def test_a_fleet_that_is_killed_or_applied_by_two_at_once_ends_whole(moltghost: Moltghost) -> None:
    agents = {f"storm-{number}": ("phi3-mini-q8", "g6e.xlarge") for number in range(4)}
    moltghost.deployed += agents
    file = write(moltghost, agents)
    first = moltghost.start("fleet", "apply", file, "--yes")
    time.sleep(4)
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()

    both = [moltghost.start("fleet", "apply", file, "--yes", "--json") for _ in range(2)]
    told = [process.communicate(timeout=300)[0] for process in both]

    outcomes = [
        {each["agent"]: each for each in json.loads(text)["agents"]} for text in told if text
    ]
    for ended in outcomes:
        for each in ended.values():
            assert each["outcome"] in ("done", "unchanged", "refused"), each
            if each["outcome"] == "refused":
                assert "changed by" in each["error"]["message"], each
    # Workers of the killed command may have gone on for a moment; then everything is whole.
    assert set(apply(moltghost, file).values()) <= {"done", "unchanged"}
    placed(moltghost, agents)
    assert not list(Path(moltghost.project / ".moltghost/pending").glob("Pulumi*"))
    assert set(apply(moltghost, file).values()) == {"unchanged"}


def test_ctrl_c_stops_a_fleet_between_two_steps_and_the_same_command_goes_on(
    moltghost: Moltghost,
) -> None:
    agents = {f"pause-{number}": ("phi3-mini-q8", "g6e.xlarge") for number in range(3)}
    moltghost.deployed += agents
    file = write(moltghost, agents)
    moltghost.cluster.embedded.set_simulated_ready_delay(60)
    try:
        process = moltghost.start("fleet", "apply", file, "--parallel", "2", "--yes")
        deadline = time.monotonic() + 60
        while len(listed(moltghost).keys() & agents.keys()) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    finally:
        moltghost.cluster.embedded.set_simulated_ready_delay(1)
    assert process.returncode == 1
    assert "2 interrupted, 1 not begun" in out
    assert set(apply(moltghost, file).values()) == {"done"}
    placed(moltghost, agents)
