from __future__ import annotations

from pathlib import Path

import pytest

from moltghost import paths
from moltghost.config import EmbeddedCloudSpec, EnvironmentConfig, read_environment
from moltghost.errors import Refused
from moltghost.lifecycle.environments import (
    agent_stacks,
    connect,
    is_embedded,
    layer_stacks,
    refuse_while_agents,
)
from tests.aws import projects
from tests.examples import LOCAL
from tests.kube.api_server import failure, kubeconfig_text, serving
from tests.lifecycle.projects import FakeEngine, project


def test_the_cloud_comes_up_before_the_platform() -> None:
    assert [str(stack) for stack in layer_stacks("dev")] == ["dev", "platform.dev"]


def test_a_name_that_is_no_environment_is_refused() -> None:
    with pytest.raises(Refused, match="environment name 'Dev' is not a valid name"):
        layer_stacks("Dev")


def test_a_users_own_cluster_is_not_ours_to_start_or_stop() -> None:
    theirs = EmbeddedCloudSpec(
        kind="cloud", provider="embedded", kubeconfig="/home/me/.kube/config"
    )
    assert is_embedded(LOCAL)
    assert not is_embedded(EnvironmentConfig("local", theirs, LOCAL.platform))


def test_a_cluster_that_does_not_run_is_said_with_how_to_start_it(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="the cluster of environment local isn't running") as refused:
        connect(project(tmp_path), "local")
    assert str(paths.kubeconfig()) in refused.value.message
    assert refused.value.hint == "moltghost up local"


@pytest.fixture
def prod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with environment `prod` on AWS."""
    monkeypatch.setenv("MOLTGHOST_STATE", str(tmp_path / "state"))
    return projects.project(tmp_path)


def write_kubeconfig(text: str) -> None:
    """Put it where `moltghost kubeconfig prod` writes it."""
    folder = paths.state_home() / "kubeconfigs"
    folder.mkdir(parents=True)
    (folder / "prod.yaml").write_text(text)


@pytest.mark.parametrize(
    ("status", "said"),
    [(401, "Unauthorized"), (403, 'namespaces "kube-system" is forbidden: User "me" cannot get')],
)
def test_a_cluster_that_does_not_let_us_in_refuses_with_what_to_do(
    prod: Path, status: int, said: str
) -> None:
    with serving() as server:
        server.answers += [failure(status, "Forbidden", said)]
        write_kubeconfig(kubeconfig_text(server.url))
        with pytest.raises(Refused, match="environment prod doesn't let you in") as refused:
            connect(prod, "prod")
    assert said in refused.value.message
    assert "admins and deployers of Pulumi.prod.yaml are let in" in refused.value.hint


def test_credentials_that_cannot_be_had_are_not_told_as_a_network_that_does_not_reach(
    prod: Path,
) -> None:
    api = "client.authentication.k8s.io/v1beta1"
    asked = {"apiVersion": api, "command": "no-such-program", "installHint": "get it there"}
    write_kubeconfig(kubeconfig_text("http://127.0.0.1:9", exec=asked))
    with pytest.raises(Refused, match="prod can't be asked: no credentials for") as refused:
        connect(prod, "prod")
    assert refused.value.hint == "get it there"


def test_an_environment_goes_only_after_its_agents(tmp_path: Path) -> None:
    engine = FakeEngine(tmp_path, known=["local", "platform.local", "a.local", "b.local", "c.dev"])
    assert [str(stack) for stack in agent_stacks(engine, "local")] == ["a.local", "b.local"]
    with pytest.raises(Refused, match="environment local still has agents or their data: a, b"):
        refuse_while_agents(engine, "local")
    refuse_while_agents(engine, "prod")


def test_the_repositorys_local_environment_is_embedded(tmp_path: Path) -> None:
    assert is_embedded(read_environment(project(tmp_path), "local"))
