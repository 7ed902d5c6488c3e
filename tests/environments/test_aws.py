"""An environment on AWS goes in order, after its agents, and EC2 is asked at the end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from moltghost import paths
from moltghost.aws.leftovers import Leftovers
from moltghost.environments.environment import Environment
from moltghost.errors import Failed, Refused
from moltghost.lifecycle.layers import take_down
from moltghost.progress import silent
from tests.aws import projects
from tests.kube.clusters import FakeCluster
from tests.lifecycle.projects import FakeEngine, environment

KUBECONFIG = json.dumps({"users": [{"name": "p", "user": {"exec": {"command": "aws"}}}]})


class Engine(FakeEngine):
    def outputs(self, stack: str, *, show_secrets: bool = False) -> dict[str, Any]:
        return {"kubeconfig": KUBECONFIG} if stack == "prod" else {}


class World:
    """The engine, the cluster and EC2, and the order in which they were asked."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.project = projects.project(folder)
        self.engine = Engine(folder, known=["prod", "platform.prod"])
        self.cluster = FakeCluster()
        self.left = Leftovers(region="us-east-1")
        self.drained: list[int] = []
        aws = "moltghost.environments.aws"
        monkeypatch.setattr(f"{aws}.drain_pools", self._drain)
        monkeypatch.setattr(f"{aws}.find_leftovers", lambda *_: self.left)

    @property
    def environment(self) -> Environment:
        return environment(self.project, self.cluster, "prod")

    def _drain(self, *_: Any, timeout_seconds: float) -> list[str]:
        assert timeout_seconds > 1800  # the pools' terminationGracePeriod
        self.drained.append(len(self.engine.destroyed))
        return ["ip-10-40-0-9"]

    def require(self) -> None:
        self.environment.require_no_agents(self.engine)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("MOLTGHOST_STATE", str(tmp_path / "state"))
    return World(tmp_path, monkeypatch)


def test_pools_are_drained_before_the_platform_and_the_platform_goes_before_the_cloud(
    world: World,
) -> None:
    world.require()
    went = take_down(world.environment, world.engine, silent)
    assert world.drained == [0]
    assert world.engine.destroyed == [("platform.prod", "refuse"), ("prod", "keep")]
    assert went.removed[0] == "node ip-10-40-0-9"
    assert "docs/runbooks/aws-remove.md" in went.kept


def test_an_agent_that_this_engine_does_not_know_keeps_its_environment(world: World) -> None:
    labels = {"moltghost.dev/environment": "prod", "moltghost.dev/agent": "theirs"}
    world.cluster.items.append(
        {"kind": "Namespace", "metadata": {"name": "agent-theirs", "labels": labels}}
    )
    with pytest.raises(Refused, match="still has agents or their data: theirs"):
        world.require()
    assert world.engine.destroyed == []


def test_an_agent_of_this_engine_keeps_its_environment(world: World) -> None:
    world.engine.known.append("mine.prod")
    with pytest.raises(Refused, match="environment prod still has agents or their data: mine"):
        world.require()


def test_an_environment_that_the_engine_does_not_have_is_not_called_gone(world: World) -> None:
    world.engine.known.clear()
    with pytest.raises(Refused, match="engine fake has no stack of environment prod") as refused:
        world.require()
    assert "pulumi destroy --stack platform.prod" in refused.value.hint


def test_after_a_failure_of_the_platform_the_cloud_layer_goes_alone(world: World) -> None:
    world.engine.known.remove("platform.prod")
    world.require()
    take_down(world.environment, world.engine, silent)
    assert world.drained == []
    assert world.engine.destroyed == [("prod", "keep")]


def test_a_machine_that_is_left_is_a_failure_with_the_command_that_ends_it(world: World) -> None:
    world.left = Leftovers(region="us-east-1", instances=("i-0123",))
    with pytest.raises(Failed, match="prod has left 1 EC2 instances, which cost: i-0123") as failed:
        take_down(world.environment, world.engine, silent)
    assert "terminate-instances --region us-east-1 --instance-ids i-0123" in failed.value.hint


def test_disks_that_are_left_are_said(world: World) -> None:
    world.left = Leftovers(region="us-east-1", volumes=("vol-1", "vol-2"))
    went = take_down(world.environment, world.engine, silent)
    assert [note for note in went.notes if note.startswith("2 disks are left")]


def test_the_kubeconfig_is_written_private_and_holds_no_token(world: World) -> None:
    path = world.environment.kubeconfig(world.engine)
    assert path == paths.state_home() / "kubeconfigs" / "prod.yaml"
    assert path.stat().st_mode & 0o777 == 0o600
    assert json.loads(path.read_text()) == json.loads(KUBECONFIG)


@pytest.mark.parametrize(
    ("known", "message"),
    [([], "stack prod isn't up"), (["prod"], "stack prod has no output kubeconfig")],
)
def test_without_the_cloud_stack_there_is_no_kubeconfig(
    world: World, known: list[str], message: str
) -> None:
    engine = FakeEngine(world.project, known=known)
    with pytest.raises(Refused, match=message) as refused:
        world.environment.kubeconfig(engine)
    assert "moltghost up prod" in refused.value.hint
