"""Preflight of an environment on this machine: its pools, or that it isn't running."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from moltghost.cli.main import cli
from moltghost.errors import Refused
from moltghost.kube.pools import PoolStatus
from tests.examples import EXAMPLES
from tests.kube.clusters import pool

Preflight = Callable[..., tuple[list[dict[str, str]], int]]


@pytest.fixture
def preflight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Preflight:
    monkeypatch.setenv("MOLTGHOST_STATE", str(tmp_path))

    def run(*arguments: str) -> tuple[list[dict[str, str]], int]:
        command = ["-C", str(EXAMPLES), "preflight", "local", "--json", *arguments]
        result = CliRunner().invoke(cli, command, standalone_mode=False, catch_exceptions=False)
        return json.loads(result.output)["checks"], result.return_value or 0

    return run


def in_cluster(monkeypatch: pytest.MonkeyPatch, *pools: PoolStatus) -> None:
    monkeypatch.setattr("moltghost.environments.environment.Environment.client", None)
    monkeypatch.setattr("moltghost.lifecycle.agents.running.list_agents", lambda *_: [])
    monkeypatch.setattr(
        "moltghost.lifecycle.agents.room.require_room_for_pod", lambda *_, **__: None
    )
    for module in ("environments.pool_checks", "lifecycle.agents.room"):
        monkeypatch.setattr(
            f"moltghost.{module}.pool_statuses",
            lambda _: {pool.name: pool for pool in pools},
        )


def test_a_cluster_that_is_not_running_stops_an_agent_but_not_the_environment(
    preflight: Preflight,
) -> None:
    (found,), code = preflight()
    assert (found["id"], found["status"], code) == ("cluster", "ok", 0)

    (doubt, found), code = preflight("--agent", "my-agent")
    assert (found["id"], found["status"], code) == ("pool.h100", "blocker", 2)
    assert found["remedy"] == "moltghost up local"
    assert (doubt["id"], doubt["status"]) == ("agent", "unknown")
    assert "taken for a first deploy" in doubt["found"]


def test_a_full_pool_is_a_warning_and_one_with_room_is_ok(
    preflight: Preflight, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_cluster(
        monkeypatch,
        pool("l40s", 2, 2),
        pool("h100", 1, 1, "p5.4xlarge"),
        pool("cpu", 1, 8),
    )

    found, code = preflight()

    statuses = {each["id"]: each["status"] for each in found}
    assert statuses == {"pool.l40s": "warning", "pool.h100": "ok", "pool.cpu": "ok"}
    assert code == 0


def test_an_agent_finds_room_in_its_pool_or_is_told_the_way_out(
    preflight: Preflight, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpu = pool("cpu", 1, 8)
    in_cluster(monkeypatch, pool("h100", 1, 2), cpu)
    (found,), code = preflight("--agent", "my-agent")
    assert (found["status"], code) == ("ok", 0)

    in_cluster(monkeypatch, pool("h100", 2, 2), cpu)
    (found,), code = preflight("--agent", "my-agent")
    assert (found["status"], code) == ("blocker", 2)
    assert "raise max_nodes of h100" in found["remedy"]


def test_no_call_to_aws_is_made(preflight: Preflight, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise Refused("asked AWS")

    monkeypatch.setattr("moltghost.aws.preflight.preflight", refuse)

    assert preflight()[1] == 0
