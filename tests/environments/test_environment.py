"""What an environment is, whichever its provider: its class, its client, what it loads."""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from moltghost import paths
from moltghost.environments import embedded_cluster
from moltghost.environments.aws import AwsEnvironment
from moltghost.environments.embedded import EmbeddedEnvironment
from moltghost.environments.environment import Environment, agent_stacks
from moltghost.environments.factory import open_environment
from moltghost.environments.own_cluster import OwnClusterEnvironment
from moltghost.errors import Refused
from moltghost.progress import silent
from tests.aws import projects
from tests.examples import EXAMPLES
from tests.kube.api_server import failure, kubeconfig_text, serving
from tests.kube.clusters import client, namespace
from tests.lifecycle.projects import FakeEngine, project


@pytest.fixture
def prod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with environment `prod` on AWS."""
    monkeypatch.setenv("MOLTGHOST_STATE", str(tmp_path / "state"))
    return projects.project(tmp_path)


def own_cluster(folder: Path) -> Environment:
    """Environment `local` of a project, in a cluster of the user's."""
    spec = f"{{kind: cloud, provider: embedded, kubeconfig: {folder / 'theirs'}}}"
    made = project(folder)
    (made / "Pulumi.local.yaml").write_text(f"config: {{moltghost:spec: {spec}}}\n")
    return open_environment(made, "local")


def test_the_cloud_comes_up_before_the_platform(tmp_path: Path) -> None:
    stacks = open_environment(project(tmp_path), "local").stacks
    assert [str(stack) for stack in stacks] == ["local", "platform.local"]


def test_a_name_that_is_no_environment_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="environment name 'Dev' is not a valid name"):
        open_environment(project(tmp_path), "Dev")


def test_each_kind_of_config_has_its_class(tmp_path: Path, prod: Path) -> None:
    for name in ("ours", "theirs"):
        (tmp_path / name).mkdir()
    assert isinstance(open_environment(project(tmp_path / "ours"), "local"), EmbeddedEnvironment)
    assert isinstance(own_cluster(tmp_path / "theirs"), OwnClusterEnvironment)
    assert isinstance(open_environment(prod, "prod"), AwsEnvironment)


def test_a_users_own_cluster_is_not_ours_to_start_or_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def touched(*_: object, **__: object) -> None:
        raise AssertionError("the embedded cluster was touched")

    for name in ("bring_up", "remove_cluster"):
        monkeypatch.setattr(f"moltghost.environments.embedded_cluster.{name}", touched)
    theirs = own_cluster(tmp_path)
    theirs.start(silent)
    theirs.require_started()
    assert theirs.end().removed == ()
    assert theirs.kubectl() is None
    with pytest.raises(Refused, match="its cluster is one that you brought"):
        theirs.bucket()


def test_a_users_kubeconfig_that_is_missing_is_the_users_to_make(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="theirs isn't there") as refused:
        _ = own_cluster(tmp_path).client
    assert refused.value.hint == "create the file, or name another in Pulumi.local.yaml"


def test_what_goes_to_another_process_has_the_plans_and_no_open_client(tmp_path: Path) -> None:
    here = open_environment(project(tmp_path), "local")
    vars(here)["client"] = threading.Lock()  # as a client, it can't be pickled
    there = pickle.loads(pickle.dumps(here))  # noqa: S301 our own
    assert (there.project, there.platform) == (here.project, here.platform)
    assert "client" not in vars(there)


@pytest.mark.parametrize(
    ("name", "loaded"), [("local", ["boto3", "moltghost.aws"]), ("dev", ["moltghost.local"])]
)
def test_an_environment_loads_nothing_of_the_other_providers(name: str, loaded: list[str]) -> None:
    program = (
        "import sys; from pathlib import Path; "
        "from moltghost.cli.commands import agent_chat, agents, environments, fleet, stacks; "
        "from moltghost.environments.factory import open_environment; "
        f"opened = open_environment(Path(), {name!r}); opened.platform; opened.hints; "
        f"opened.cost_at_most(); print([name for name in {loaded} if name in sys.modules])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program],
        cwd=EXAMPLES,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert ran.stdout.strip() == "[]"


def test_a_cluster_that_does_not_run_is_said_with_how_to_start_it(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="the cluster of environment local isn't running") as refused:
        _ = open_environment(project(tmp_path), "local").client
    assert str(paths.kubeconfig()) in refused.value.message
    assert refused.value.hint == "moltghost up local"


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
            _ = open_environment(prod, "prod").client
    assert said in refused.value.message
    assert "admins and deployers of Pulumi.prod.yaml are let in" in refused.value.hint


def test_credentials_that_cannot_be_had_are_not_told_as_a_network_that_does_not_reach(
    prod: Path,
) -> None:
    api = "client.authentication.k8s.io/v1beta1"
    asked = {"apiVersion": api, "command": "no-such-program", "installHint": "get it there"}
    write_kubeconfig(kubeconfig_text("http://127.0.0.1:9", exec=asked))
    with pytest.raises(Refused, match="prod can't be asked: no credentials for") as refused:
        _ = open_environment(prod, "prod").client
    assert refused.value.hint == "get it there"


def test_an_environment_goes_only_after_its_agents(tmp_path: Path) -> None:
    engine = FakeEngine(tmp_path, known=["local", "platform.local", "a.local", "b.local", "c.dev"])
    assert [str(stack) for stack in agent_stacks(engine, "local")] == ["a.local", "b.local"]
    with pytest.raises(Refused, match="environment local still has agents or their data: a, b"):
        open_environment(project(tmp_path), "local").require_no_agents(engine)
    engine.known = ["local", "platform.local", "c.dev"]
    open_environment(tmp_path, "local").require_no_agents(engine)


def test_the_embedded_cluster_goes_only_after_the_stacks_of_other_projects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = [("moltghost", "platform.local"), ("team-b", "theirs.local")]
    monkeypatch.setattr(embedded_cluster, "recorded_stacks", lambda: recorded)
    environment = open_environment(project(tmp_path), "local")
    engine = FakeEngine(tmp_path, known=["local", "platform.local"])
    with pytest.raises(Refused, match=r"stacks of other projects: theirs\.local of team-b"):
        environment.require_no_agents(engine)
    recorded.pop()
    environment.require_no_agents(engine)


def test_a_cluster_that_was_brought_is_asked_for_agents_of_other_projects(tmp_path: Path) -> None:
    engine, environment = FakeEngine(tmp_path, known=["local"]), own_cluster(tmp_path / "mine")
    environment.client = client(namespace("theirs", "team-b"))
    with pytest.raises(Refused, match="local still has agents or their data: theirs"):
        environment.require_no_agents(engine)
    environment.client = client()
    environment.require_no_agents(engine)
