"""Killed in the middle: whatever the moment, running the command again ends where it should."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.e2e.conftest import Moltghost
from tests.e2e.test_main_job import remaining

pytestmark = pytest.mark.e2e

# Seconds after which the command is killed: while it plans, previews, creates and waits.
# Steps inside the engine are enumerated in test_engine.py; this is the whole command.
MOMENTS = (0.6, 1.4, 1.9, 2.2, 2.5, 2.8, 3.2, 4.5)
SOME = (1.4, 2.2, 4.5)


def killed_after(some: tuple[float, ...], every: tuple[float, ...]) -> pytest.MarkDecorator:
    """Some of the moments in `make test`, every one in `make test-long`."""
    cases = [pytest.param(some, id="some"), pytest.param(every, id="all", marks=pytest.mark.long)]
    return pytest.mark.parametrize("moments", cases)


@pytest.fixture(scope="module")
def whole(moltghost: Moltghost) -> set[str]:
    """What an agent has that was deployed without a crash, its names made comparable."""
    moltghost.deploy("calm", "llama3.1-8b-q4")
    return generic(remaining(moltghost, "agent-calm"))


def generic(found: set[str]) -> set[str]:
    """Objects without the hashes that a Deployment, an agent's name or a config gives them."""
    names = (each.split("/") for each in found)
    return {f"{kind}/{name.split('-')[0]}" for kind, name in names if kind != "Pod"}


@killed_after(SOME, MOMENTS)
def test_a_deploy_killed_at_any_moment_is_finished_by_the_next_one(
    moltghost: Moltghost, whole: set[str], moments: tuple[float, ...]
) -> None:
    command = ("deploy", "stormy", "--model", "llama3.1-8b-q4", "--yes")
    moltghost.deployed.append("stormy")
    for moment in moments:
        process = moltghost.start(*command)
        time.sleep(moment)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    moltghost(*command)
    assert generic(remaining(moltghost, "agent-stormy")) == whole
    [status] = [each for each in moltghost.json("agent", "list") if each["agent"] == "stormy"]
    assert status["ready"]
    assert not list((moltghost.project / ".moltghost/pending").iterdir())
    # The tokens were generated once: a crash never leaves pods with another one than the state's.
    secrets = moltghost.cluster.client.list("v1", "Secret", namespace="agent-stormy")
    assert sorted(each["metadata"]["name"] for each in secrets) == [
        "gate-token-1",
        "gateway-token-1",
    ]


@killed_after(SOME[:2], MOMENTS[:5])
def test_a_destroy_killed_at_any_moment_is_finished_by_the_next_one(
    moltghost: Moltghost, moments: tuple[float, ...]
) -> None:
    moltghost.deploy("fading", "llama3.1-8b-q4")
    command = ("agent", "destroy", "fading", "--delete-data", "--yes")
    for moment in moments:
        process = moltghost.start(*command)
        time.sleep(moment)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    if "fading" in str(moltghost.json("agent", "list")) or moltghost.cluster.client.get(
        "v1", "Namespace", "agent-fading"
    ):
        moltghost(*command)
    assert moltghost.cluster.client.get("v1", "Namespace", "agent-fading") is None


def test_an_update_killed_while_it_waits_leaves_the_old_config_and_up_finishes_it(
    moltghost: Moltghost,
) -> None:
    moltghost.deploy("halfway", "llama3.1-8b-q4")
    file = moltghost.project / "Pulumi.halfway.local.yaml"
    moltghost.cluster.embedded.set_simulated_ready_delay(30)
    try:
        process = moltghost.start("agent", "update", "halfway", "--model", "qwen2.5-7b-q4", "--yes")
        time.sleep(8)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    finally:
        moltghost.cluster.embedded.set_simulated_ready_delay(1)
    assert "llama3.1-8b-q4" in file.read_text()
    moltghost("up", "halfway.local", "--yes")
    assert "model: qwen2.5-7b-q4" in file.read_text()
    [status] = [each for each in moltghost.json("agent", "list") if each["agent"] == "halfway"]
    assert (status["model"], status["ready"]) == ("qwen2.5-7b", True)
