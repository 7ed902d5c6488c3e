"""What a tired user does wrong: a clear error, exit code 2 and nothing changed."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from tests.e2e.conftest import COMMAND, Moltghost

pytestmark = pytest.mark.e2e


def stack_files(moltghost: Moltghost) -> dict[str, str]:
    return {file.name: file.read_text() for file in moltghost.project.rglob("Pulumi.*")}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model", "llama3.1-405b-f16"], "fit"),
        (["--model", "llama3.1-8b-q4", "--context", "1m"], "131072"),
        (["--model", "lama3.1-8b-q4"], "llama3.1-8b"),
        (["--model", "llama3.1-8b-q4", "--gpu", "h999"], "h999"),
        (["--model", "llama3.1-8b-q4", "--memory", "lots"], "lots"),
        (["--model", "gemma2-9b-q4", "--context", "8k"], "16000"),
        ([], "needs a model"),
    ],
)
def test_a_deploy_that_can_not_be_is_refused_and_changes_nothing(
    moltghost: Moltghost, options: list[str], message: str
) -> None:
    before = stack_files(moltghost)
    said = moltghost("deploy", "never", *options, "--yes", code=2)
    assert message in said
    assert "hint:" in said
    assert stack_files(moltghost) == before
    assert moltghost.cluster.client.get("v1", "Namespace", "agent-never") is None


def test_without_a_terminal_and_without_yes_nothing_is_deployed(moltghost: Moltghost) -> None:
    said = moltghost("deploy", "never", "--model", "llama3.1-8b-q4", code=2)
    assert "--yes" in said
    assert moltghost.cluster.client.get("v1", "Namespace", "agent-never") is None


def test_a_pool_at_its_limit_refuses_one_more_agent_and_says_which_number_to_raise(
    moltghost: Moltghost,
) -> None:
    for name in ("full-1", "full-2"):
        moltghost.deploy(name, "llama3.1-8b-q4", "--gpu", "a100-80")
    said = moltghost(
        "deploy", "full-3", "--model", "llama3.1-8b-q4", "--gpu", "a100-80", "--yes", code=2
    )
    assert "pool a100-80 of environment local is full" in said
    assert "max_nodes of a100-80 in Pulumi.platform.local.yaml" in said
    assert moltghost.cluster.client.get("v1", "Namespace", "agent-full-3") is None
    for name in ("full-1", "full-2"):
        moltghost("agent", "destroy", name, "--delete-data", "--yes")


def test_two_changes_of_one_agent_at_once_leave_one_refused_and_the_other_whole(
    moltghost: Moltghost,
) -> None:
    moltghost.deployed.append("twice")
    moltghost.cluster.embedded.set_simulated_ready_delay(15)
    try:
        first = moltghost.start("deploy", "twice", "--model", "llama3.1-8b-q4", "--yes")
        deadline = time.monotonic() + 60
        while moltghost.cluster.client.get("v1", "Namespace", "agent-twice") is None:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        said = moltghost("deploy", "twice", "--model", "qwen2.5-7b-q4", "--yes", code=2)
        assert str(first.pid) in said
        out, err = first.communicate(timeout=120)
        assert first.returncode == 0, out + err
    finally:
        moltghost.cluster.embedded.set_simulated_ready_delay(1)
    [status] = [each for each in moltghost.json("agent", "list") if each["agent"] == "twice"]
    assert (status["model"], status["ready"]) == ("llama3.1-8b", True)
    assert "llama3.1-8b-q4" in (moltghost.project / "Pulumi.twice.local.yaml").read_text()


def test_without_a_cluster_a_deploy_is_refused_with_the_command_that_starts_one(
    moltghost: Moltghost, tmp_path: Path
) -> None:
    done = subprocess.run(
        [COMMAND, "deploy", "never", "--model", "llama3.1-8b-q4", "--yes"],
        cwd=moltghost.project,
        env={**os.environ, "MOLTGHOST_STATE": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "moltghost up local" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_broken_stack_file_is_named_with_its_line(moltghost: Moltghost) -> None:
    file = moltghost.project / "Pulumi.broken.local.yaml"
    file.write_text("config:\n  moltghost:spec: {kind: agent\n    owner: [\n")
    said = moltghost("up", "broken.local", "--yes", code=2)
    assert "Pulumi.broken.local.yaml line" in said
    assert "not valid YAML" in said
