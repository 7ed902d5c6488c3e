from __future__ import annotations

import json

import pytest

from moltghost import paths
from moltghost.environments.embedded import EmbeddedEnvironment
from tests.cli.command import Command
from tests.kube.clusters import FakeCluster
from tests.lifecycle.projects import FakeEngine, files


def test_a_plan_needs_no_cluster_and_changes_nothing(moltghost: Command) -> None:
    before = files(moltghost.project)
    ran = moltghost("plan", "my-agent.local")
    assert ran.code == 0
    for text in ("llama3.1-70b", "Q4_K_M", "1 x h100", "p5.4xlarge", "6.88 $/h", "5,022 $/month"):
        assert text in ran.out
    assert files(moltghost.project) == before


def test_a_plan_in_json_has_the_keys_that_scripts_rely_on(moltghost: Command) -> None:
    data = moltghost("plan", "my-agent.local", "--json").data
    assert {"sizing", "stack", "environment", "agent", "update"} <= set(data)
    assert data["sizing"]["placement"]["instance_type"] == "p5.4xlarge"
    footprint = data["sizing"]["footprint"]
    assert all(isinstance(v, int) for k, v in footprint.items() if k.endswith("_bytes"))


def test_a_plan_names_the_image_that_holds_another_version(moltghost: Command) -> None:
    assert "ollama 0.17.4-cpu for 0.33.3" in moltghost("plan", "my-agent.local").out
    data = moltghost("plan", "my-agent.local", "--json").data
    assert data["substitutes"]["ollama"] == {
        "reference": "moltghost.local/ollama:0.17.4-cpu",
        "stands_for": "docker.io/ollama/ollama:0.33.3",
    }


def test_an_environments_plan_says_what_its_pools_cost_at_most(moltghost: Command) -> None:
    ran = moltghost("plan", "local")
    assert ran.code == 0
    for name in ("l40s", "a100-40", "a100-80", "h100", "cpu", "weights"):
        assert f"\n{name} " in f"\n{ran.out}"
    # Four p5.48xlarge at 55.04.
    assert "220.16" in ran.out
    assert json.loads(moltghost("plan", "platform.local", "--json").out)["environment"] == "local"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("plan", "nobody.local"), "there is no agent nobody in local"),
        (("plan", "prod"), "Pulumi.prod.yaml isn't there"),
        (("plan", "A.b.c"), "is not a valid name"),
        (("up", "prod", "--yes"), "Pulumi.prod.yaml isn't there"),
        (("up", "nobody.local", "--yes"), "there is no agent nobody in local"),
        (("up", "local"), "can't ask for confirmation: not a terminal"),
        (("down", "local"), "can't ask for confirmation: not a terminal"),
        (("down", "my-agent.local", "--yes"), "my-agent.local isn't an environment"),
        (("preview", "local"), "the cluster of environment local isn't running"),
        (("local", "kubeconfig"), "the embedded cluster isn't running"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_a_refusal_says_why_and_changes_nothing(
    arguments: tuple[str, ...], message: str, moltghost: Command, engine: FakeEngine
) -> None:
    before = files(moltghost.project)
    ran = moltghost(*arguments)
    assert ran.code == 2
    assert message in ran.err
    assert "hint: " in ran.err
    assert files(moltghost.project) == before
    assert (engine.ups, engine.destroyed) == ([], [])


def test_an_environment_with_agents_does_not_go_down(
    moltghost: Command, engine: FakeEngine
) -> None:
    engine.known += ["local", "platform.local", "my-agent.local"]
    ran = moltghost("down", "local", "--yes")
    assert ran.code == 2
    assert "environment local still has agents or their data: my-agent" in ran.err
    assert "moltghost agent destroy NAME --delete-data" in ran.err
    assert engine.destroyed == []


def test_up_of_an_environment_says_what_it_will_do_before_it_asks(
    moltghost: Command, engine: FakeEngine
) -> None:
    ran = moltghost("up", "local")
    assert "at most $/h" in ran.out
    assert "costs nothing while it is empty" in ran.out


def test_up_of_a_users_own_cluster_starts_no_embedded_one(
    moltghost: Command, engine: FakeEngine
) -> None:
    config = (
        "config: {moltghost:spec: {kind: cloud, provider: embedded, kubeconfig: /x/kubeconfig}}\n"
    )
    (moltghost.project / "Pulumi.local.yaml").write_text(config, encoding="utf-8")
    ran = moltghost("up", "local", "--yes", "--json")
    assert ran.code == 0
    assert [each["stack"] for each in ran.data] == ["local", "platform.local"]
    assert not paths.kubeconfig().exists()


def test_up_of_one_layer_is_one_stack(
    moltghost: Command, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EmbeddedEnvironment, "start", lambda *_: None)
    ran = moltghost("up", "platform.local", "--yes", "--json")
    assert [each["stack"] for each in ran.data] == ["platform.local"]


def test_a_cluster_that_is_not_well_is_exit_code_1(moltghost: Command) -> None:
    ran = moltghost("local", "status")
    assert ran.code == 1
    assert "the embedded cluster isn't running" in ran.out


def test_taking_down_what_is_not_there_is_done_already(moltghost: Command) -> None:
    ran = moltghost("local", "down")
    assert ran.code == 0
    assert "nothing was there" in ran.out


def test_taking_down_only_what_is_recorded_of_a_cluster_asks_too(moltghost: Command) -> None:
    record = paths.stacks_home("moltghost") / "local.json"
    root = {"type": "pulumi:pulumi:Stack", "outputs": {"kubeconfig": str(paths.kubeconfig())}}
    record.parent.mkdir(parents=True)
    record.write_text(json.dumps({"deployment": {"resources": [root]}}))

    ran = moltghost("local", "down")
    assert ran.code == 2
    assert "can't ask for confirmation" in ran.err
    assert record.exists()

    ran = moltghost("local", "down", "--yes", "--json")
    assert ran.data == {"removed": ["record of stack local of moltghost"]}
    assert not record.exists()


def test_a_preview_says_what_up_would_change(
    moltghost: Command, engine: FakeEngine, deployed: FakeCluster
) -> None:
    assert "nothing to change; 1 unchanged" in moltghost("preview", "my-agent.local").out
    engine.applied.clear()
    assert "1 changed" in moltghost("preview", "my-agent.local", "--diff").out
    [data] = moltghost("preview", "my-agent.local", "--json").data
    assert (data["stack"], data["changes"]) == ("my-agent.local", True)
    assert engine.ups == []
