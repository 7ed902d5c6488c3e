"""`up`, `down` and `kubeconfig` of an environment on AWS, with an engine that does as told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from moltghost import paths
from moltghost.aws.leftovers import Leftovers
from tests.aws import projects
from tests.cli.command import Command
from tests.kube.clusters import FakeCluster
from tests.lifecycle.projects import FakeEngine


@pytest.fixture
def moltghost(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    engine: FakeEngine,
) -> Command:
    monkeypatch.setenv("MOLTGHOST_STATE", str(tmp_path / "state"))
    monkeypatch.setattr("moltghost.environments.aws.preflight", lambda _: [])
    monkeypatch.setattr(engine, "outputs", lambda _stack: {"kubeconfig": "{}"})
    aws = "moltghost.environments.aws"
    monkeypatch.setattr(f"{aws}.AwsEnvironment.client", FakeCluster())
    monkeypatch.setattr(f"{aws}.drain_pools", lambda *_args, **_: ["ip-10-40-0-9"])
    monkeypatch.setattr(f"{aws}.find_leftovers", _one_disk)
    return Command(projects.project(tmp_path), monkeypatch, capsys)


def _one_disk(*_: Any) -> Leftovers:
    return Leftovers(region="us-east-1", volumes=("vol-1",))


def test_up_writes_the_kubeconfig_and_the_command_prints_where(moltghost: Command) -> None:
    assert moltghost("up", "prod", "--yes", "--json").code == 0
    file = paths.state_home() / "kubeconfigs" / "prod.yaml"
    assert file.read_text() == "{}"
    assert moltghost("kubeconfig", "prod").out == f"{file}\n"


def test_down_says_what_went_what_stays_and_what_to_look_at(
    moltghost: Command, engine: FakeEngine
) -> None:
    engine.known += ["prod", "platform.prod"]
    ran = moltghost("down", "prod", "--yes")
    assert ran.code == 0
    assert "environment prod is down\n" in ran.out
    assert "the keys and the weights stay: they are protected" in ran.out
    assert "1 disks are left" in ran.out
    assert engine.destroyed == [("platform.prod", "refuse"), ("prod", "keep")]


def test_down_in_json_has_what_went_what_stays_and_notes(
    moltghost: Command, engine: FakeEngine
) -> None:
    engine.known += ["prod", "platform.prod"]
    data = json.loads(moltghost("down", "prod", "--yes", "--json").out)
    assert data["removed"][0] == "node ip-10-40-0-9"
    assert set(data) == {"removed", "kept", "notes"}


def test_a_kubeconfig_of_what_is_no_environment_is_refused(moltghost: Command) -> None:
    ran = moltghost("kubeconfig", "platform.prod")
    assert ran.code == 2
    assert "hint: moltghost kubeconfig prod" in ran.err
