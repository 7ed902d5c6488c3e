"""A model that the catalogue doesn't have, from its place to an agent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from moltghost.cli.commands import models_add
from moltghost.config import read_environment
from moltghost.models import find_model
from moltghost.planning.agent import plan_agent
from tests.cli.command import Command
from tests.examples import STACK, agent_spec
from tests.kube.clusters import FakeCluster, deployment, ready_pod
from tests.lifecycle.projects import FakeEngine
from tests.models.test_capabilities import JINJA_TOOLS
from tests.registries.servers import COMMIT, Hub, Reply, hub_of, sha256, sparse_gguf

PLACE = "hf:owner/Model-GGUF:Q4_K_M"
FILE = "Tuned-8B-Q4_K_M.gguf"


@pytest.fixture
def hub(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    content = sparse_gguf(
        tmp_path_factory.mktemp("file"), find_model("llama3.1-8b-q4"), JINJA_TOOLS
    )
    monkeypatch.setenv("HF_HOME", str(tmp_path_factory.mktemp("hub")))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with hub_of({FILE: content, "Tuned-8B-Q8_0.gguf": b"x"}) as served:
        monkeypatch.setenv("HF_ENDPOINT", served.url)
        yield served


def test_add_says_what_the_model_is_and_what_to_do_with_its_record(
    hub: Hub, moltghost: Command
) -> None:
    ran = moltghost("models", "add", PLACE)
    assert ran.code == 0
    for words in (
        "models/tuned-8b-q4_k_m.json: written: review and commit it",
        "tuned-8b-q4_k_m: 8.0B llama, Q4_K, 4.6 GiB, context 128k, licence apache-2.0, tools",
        f"from {PLACE} at {COMMIT}",
        "moltghost size tuned-8b-q4_k_m says what it needs",
    ):
        assert words in ran.out
    again = moltghost("models", "add", PLACE)
    assert "models/tuned-8b-q4_k_m.json: there already, unchanged" in again.out


def test_adds_json_has_the_digests(hub: Hub, moltghost: Command) -> None:
    found = moltghost("models", "add", PLACE, "--name", "tuned", "--json").data
    content = hub.files[FILE]
    assert (found["name"], found["file"], found["written"]) == ("tuned", "models/tuned.json", True)
    assert (found["reference"], found["revision"]) == (PLACE, COMMIT)
    assert found["files"] == [{"name": FILE, "sha256": sha256(content), "bytes": len(content)}]
    assert found["tools"] is True


def test_a_record_is_listed_and_sized_as_one_of_the_catalogues_offline(
    hub: Hub, moltghost: Command
) -> None:
    moltghost("models", "add", PLACE, "--name", "tuned")
    asked = len(hub.asked)
    listed = {model["name"]: model for model in moltghost("models", "--json").data}
    assert listed["tuned"]["reference"] == PLACE
    assert listed["llama3.1-8b"]["reference"] is None
    assert "This project's own, in its folder models/: tuned." in moltghost("models").out
    own = moltghost("size", "tuned", "--json").data
    same = moltghost("size", PLACE, "--json").data
    theirs = moltghost("size", "llama3.1-8b-q4", "--json").data
    assert own["footprint"] == same["footprint"]
    assert own["placement"] == theirs["placement"]
    assert moltghost("size", "tuned", "--env", "local", "--json").data["model"] == "tuned"
    assert len(hub.asked) == asked


def test_size_reads_the_header_of_a_place_and_writes_nothing(hub: Hub, moltghost: Command) -> None:
    ran = moltghost("size", PLACE, "--json")
    assert ran.data["quantization"] == "Q4_K"
    assert not (moltghost.project / "models").exists()
    assert hub.cdn.count("GET") > 0


def test_deploy_writes_the_record_that_it_needs_and_deploys_its_name(
    hub: Hub, moltghost: Command, engine: FakeEngine, cluster: FakeCluster
) -> None:
    cluster.items += [deployment("new"), ready_pod(agent="new")]
    ran = moltghost("deploy", "new", "--model", PLACE, "--owner", "me", "--yes", "--json")
    assert ran.code == 0, ran.err
    assert "models/tuned-8b-q4_k_m.json: written: review and commit it" in ran.err
    [spec] = [spec for spec in engine.ups if spec]
    assert spec.model == "tuned-8b-q4_k_m"
    update = moltghost("agent", "update", "new", "--model", PLACE, "--context", "16k", "--yes")
    assert "written" not in update.err


def test_a_plan_of_a_record_names_where_it_is_from_and_pulumis_program_makes_the_same(
    hub: Hub, moltghost: Command
) -> None:
    moltghost("models", "add", PLACE, "--name", "tuned")
    spec = agent_spec(model="tuned")
    plan = plan_agent(STACK, spec, read_environment(moltghost.project, "local"))
    assert (plan.model_server.model, plan.model_server.quantization) == ("tuned", "Q4_K")
    assert plan.model_server.source == PLACE
    assert plan.model_server.store_url.endswith("/tuned/Q4_K")
    assert plan.model_server.supports_tools


def test_a_fleet_takes_a_record_by_its_name_and_refuses_an_unknown_place(
    hub: Hub, moltghost: Command, engine: FakeEngine, cluster: FakeCluster
) -> None:
    file = moltghost.project / "agents.yaml"
    file.write_text(
        f"defaults: {{owner: me, context: 32k}}\nagents:\n  one: {{model: '{PLACE}'}}\n"
    )
    ran = moltghost("fleet", "apply", str(file))
    assert ran.code == 2
    assert f"moltghost models add {PLACE}" in ran.err + ran.out
    moltghost("models", "add", PLACE)
    assert "can't ask for confirmation" in moltghost("fleet", "apply", str(file)).err


@pytest.mark.parametrize(
    ("arguments", "code", "message", "hint"),
    [
        (("hf:owner/Model-GGUF:Q5_K_M",), 2, "has no quantization 'Q5_K_M'", "it has Q4_K_M, Q8_0"),
        (("hf:owner/other:Q4_K_M",), 2, "no such repository or file, or it is private", "HF_TOKEN"),
        (("llama3.1-8b",), 2, "llama3.1-8b is in the catalogue already", "--model llama3.1-8b-q4"),
        (("my-model",), 2, "'my-model' doesn't say where the model is", "ollama:my-model"),
        (("../notes.md",), 2, "isn't a GGUF file: its name doesn't end in", "./FILE.gguf"),
        (("./missing.gguf",), 2, "missing.gguf: No such file", "name a GGUF file"),
        ((PLACE, "--name", "llama3.1-8b"), 2, "is a name of the catalogue", "another --name"),
    ],
)
def test_wrong_input_is_answered_with_what_to_do(
    arguments: tuple[str, ...], code: int, message: str, hint: str, hub: Hub, moltghost: Command
) -> None:
    ran = moltghost("models", "add", *arguments)
    assert ran.code == code
    assert message in ran.err
    assert hint in ran.err.partition("hint: ")[2]
    assert not (moltghost.project / "models").exists()


def test_a_deploy_that_is_refused_for_its_options_asks_nobody_and_writes_no_record(
    hub: Hub, moltghost: Command
) -> None:
    ran = moltghost("deploy", "new", "--model", PLACE, "--within", "2")
    assert ran.code == 2
    assert "--within is for the proposal" in ran.err
    assert hub.asked == []
    assert not (moltghost.project / "models").exists()


def test_a_rate_limit_and_a_broken_hub_are_failures_that_say_when(
    hub: Hub, moltghost: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.instead["/api/"] = Reply(429, {"Retry-After": "30"})
    ran = moltghost("models", "add", PLACE)
    assert ran.code == 1
    assert "in 30 seconds" in ran.err


def test_a_broken_record_is_named_by_every_command_that_needs_it(moltghost: Command) -> None:
    (moltghost.project / "models").mkdir()
    (moltghost.project / "models/x.json").write_text("{}")
    for command in (("models",), ("size", "llama3.1-8b"), ("plan", "my-agent.local")):
        ran = moltghost(*command)
        assert ran.code == 2
        assert "models/x.json isn't the record of a model" in ran.err


def test_plans_and_commands_look_models_up_by_the_project_and_never_past_it() -> None:
    """`find_model` knows the catalogue alone: a record would be unknown to who calls it."""
    rooms = Path(models_add.__file__).parents[2]
    allowed = {"lifecycle/models/add.py"}
    found = {
        str(file.relative_to(rooms))
        for room in ("planning", "lifecycle", "cli", "environments")
        for file in (rooms / room).rglob("*.py")
        if "find_model" in file.read_text()
    }
    assert found == allowed
