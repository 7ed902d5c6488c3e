from __future__ import annotations

import json
from itertools import product
from typing import Any

import pytest

from moltghost.config import EmbeddedCloudSpec, EnvironmentConfig, PlatformSpec, StackName
from moltghost.errors import ExitCode, Refused
from moltghost.planning.agent import plan_agent
from moltghost.planning.update import plan_change, plan_json
from tests.examples import LOCAL, STACK, agent_plan, agent_spec

# The product text's models at its Q4 (Phi-3: Q8) and 32k, by its floors and the prices of EC2:
# up to 20B the cheapest card of 24 GB or more, up to 80B of 80 GB, above 160 GB in total.
PRODUCT_MODELS = [
    ("llama3.1-8b-q4", "g6e.xlarge", 1),
    ("llama3.1-70b-q4", "p5.4xlarge", 1),
    ("llama3.1-405b-q4", "p4de.24xlarge", 4),
    ("qwen2.5-7b-q4", "g6e.xlarge", 1),
    ("qwen2.5-32b-q4", "p5.4xlarge", 1),
    ("qwen2.5-72b-q4", "p5.4xlarge", 1),
    ("mistral-nemo-12b-q4", "g6e.xlarge", 1),
    ("mixtral-8x22b-q4", "g6e.12xlarge", 4),
    ("phi3-mini-q8", "g6e.xlarge", 1),
    ("phi3-medium-q8", "g6e.xlarge", 1),
]
# OpenClaw's longest stream is 600 s; its endpoints take 15 s to leave every proxy.
DRAIN_SECONDS, LONGEST_STREAM_SECONDS = 15, 600


def local_with(**pools: dict[str, Any]) -> EnvironmentConfig:
    """The environment `local` with these pools and a `cpu` pool, unless it is given."""
    named = {"cpu": {"max_nodes": 4}, **{name.replace("_", "-"): p for name, p in pools.items()}}
    platform = PlatformSpec.model_validate({"kind": "platform", "pools": named})
    return EnvironmentConfig(
        "local", EmbeddedCloudSpec(kind="cloud", provider="embedded"), platform
    )


@pytest.mark.parametrize(("model", "instance_type", "gpus"), PRODUCT_MODELS)
def test_each_model_of_the_product_text_has_a_plan_at_32k(
    model: str, instance_type: str, gpus: int
) -> None:
    server = agent_plan(model=model).model_server
    assert (server.instance_type, server.gpu_count) == (instance_type, gpus)
    assert server.context == 32768
    assert server.spread == (gpus > 1)


@pytest.mark.parametrize(("model", "_type", "_gpus"), PRODUCT_MODELS)
def test_every_pods_share_is_what_the_model_was_sized_to(
    model: str, _type: str, _gpus: int
) -> None:
    plan = agent_plan(model=model)
    server, resources = plan.model_server, plan.sizing.resources
    assert sum(share.cpu_millis for share in server.shares) == 1000 * resources.cpu
    assert sum(share.memory_bytes for share in server.shares) == resources.memory_bytes
    disk = sum(share.ephemeral_bytes for share in server.shares)
    assert disk == resources.ephemeral_storage_bytes
    assert server.ollama_share.cpu_millis >= 1000
    assert server.weights_bytes >= plan.sizing.file_bytes


@pytest.mark.parametrize(("model", "_type", "_gpus"), PRODUCT_MODELS)
def test_budgets_leave_room_for_what_they_wait_for(model: str, _type: str, _gpus: int) -> None:
    plan = agent_plan(model=model)
    server, load = plan.model_server, plan.sizing.load
    assert server.startup_budget_seconds >= 2 * server.load_seconds
    assert server.rollout_budget_seconds > (
        load.download_seconds + load.verify_seconds + server.startup_budget_seconds
    )
    assert server.termination_grace_seconds > DRAIN_SECONDS + LONGEST_STREAM_SECONDS


def test_the_readmes_agent_runs_on_one_h100_at_6_88_dollars_an_hour() -> None:
    plan = agent_plan()
    placement = plan.sizing.placement
    assert (placement.gpu, placement.gpu_count) == ("h100", 1)
    assert (plan.model_server.pool, plan.model_server.instance_type) == ("h100", "p5.4xlarge")
    assert str(placement.node_usd_per_hour) == "6.88"
    assert plan.namespace == "agent-my-agent"
    assert plan.labels == {
        "app.kubernetes.io/managed-by": "moltghost",
        "moltghost.dev/environment": "local",
        "moltghost.dev/agent": "my-agent",
        "moltghost.dev/owner": "team-a",
    }


def test_scaled_to_160gb_of_h100_it_has_two_and_leaves_six_idle() -> None:
    plan = agent_plan(gpu="h100", memory="160gb")
    placement = plan.sizing.placement
    assert (placement.gpu, placement.gpu_count) == ("h100", 2)
    assert plan.model_server.instance_type == "p5.48xlarge"
    assert placement.node_gpu_count - placement.gpu_count == 6
    assert str(placement.node_usd_per_hour) == "55.04"
    assert any("6 of 8" in note for note in plan.notes)


def test_405b_takes_four_cards_of_80_gb_and_says_why_two_h100_cannot_hold_it() -> None:
    plan = agent_plan(model="llama3.1-405b-q4")
    assert plan.sizing.placement.gpu in {"a100-80", "h100"}
    assert plan.model_server.gpu_count == 4
    assert any("2 x" in note and "H100" in note and "can't hold it" in note for note in plan.notes)


@pytest.mark.parametrize(
    ("changes", "message", "hint"),
    [
        ({"model": "llama9-70b-q4"}, "there is no model 'llama9-70b-q4'", "moltghost models"),
        ({"context": "1m"}, "a context of at most 131072 tokens", "--context 128k or less"),
        ({"context": "8k"}, "context 8k is too short for an agent", "at least 16000 tokens"),
        ({"model": "llama3.1-405b-f16"}, "fits no pool", "what would fit"),
        ({"gpu": "b200"}, "no GPU kind 'b200'", "h100"),
        (
            {"previous": {"model": "llama9-70b-q4", "context": "32k"}},
            "there is no model 'llama9-70b-q4'",
            "moltghost models",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_a_way_out(
    changes: dict[str, Any], message: str, hint: str
) -> None:
    with pytest.raises(Refused, match=message) as refused:
        agent_plan(**changes)
    assert refused.value.exit_code == ExitCode.REFUSED
    assert hint in refused.value.hint


def test_a_model_whose_longest_context_is_too_short_for_agents_is_not_advised_a_longer_one() -> (
    None
):
    with pytest.raises(Refused, match="too short for an agent") as refused:
        agent_plan(model="gemma2-9b-q4", context="8k")
    assert "use 32k" not in refused.value.hint


def test_a_model_that_fits_no_pool_of_this_environment_is_refused() -> None:
    small = local_with(l40s={"max_nodes": 1, "instance_types": ["g6e.xlarge"]})
    assert agent_plan(small, model="llama3.1-8b-q4").model_server.instance_type == "g6e.xlarge"
    with pytest.raises(Refused, match="fits no pool"):
        agent_plan(small)


def test_a_pool_with_no_nodes_is_not_planned_for() -> None:
    with pytest.raises(Refused, match="fits no pool"):
        agent_plan(local_with(h100={"max_nodes": 0}))


def test_an_environment_without_the_runtimes_pool_is_refused_with_the_file_to_correct() -> None:
    platform = PlatformSpec.model_validate(
        {"kind": "platform", "pools": {"h100": {"max_nodes": 1}}}
    )
    bare = EnvironmentConfig("local", LOCAL.cloud, platform)
    with pytest.raises(Refused, match="environment local has no pool 'cpu'") as refused:
        agent_plan(bare)
    assert "Pulumi.platform.local.yaml" in refused.value.hint


@pytest.mark.parametrize("context", ["16000", "32k", "40000", "128k"])
def test_the_context_is_one_number_everywhere_in_the_plan(context: str) -> None:
    plan = agent_plan(context=context)
    tokens = agent_spec(context=context).context
    [model] = plan.runtime.config["models"]["providers"]["ollama"]["models"]
    assert {
        plan.sizing.context,
        plan.model_server.context,
        model["contextWindow"],
        model["contextTokens"],
        model["params"]["num_ctx"],
    } == {tokens}


@pytest.mark.parametrize(
    ("context", "max_tokens"), [("16000", 4000), ("32k", 8192), ("128k", 8192)]
)
def test_an_answer_is_at_most_a_quarter_of_the_context_and_8192_tokens(
    context: str, max_tokens: int
) -> None:
    plan = agent_plan(context=context)
    [model] = plan.runtime.config["models"]["providers"]["ollama"]["models"]
    assert plan.model_server.max_tokens == model["maxTokens"] == max_tokens


@pytest.mark.parametrize(
    ("model", "compat"),
    [("llama3.1-70b-q4", None), ("phi3-mini-q8", {"supportsTools": False})],
)
def test_a_model_without_tools_says_so_to_the_runtime(
    model: str, compat: dict[str, bool] | None
) -> None:
    [entry] = agent_plan(model=model).runtime.config["models"]["providers"]["ollama"]["models"]
    assert entry.get("compat") == compat


def test_the_runtime_asks_its_own_gate_by_its_full_name_and_nothing_else() -> None:
    config = agent_plan().runtime.config
    [provider] = config["models"]["providers"].values()
    assert provider["baseUrl"] == "http://model-server.agent-my-agent.svc.cluster.local:11434"
    assert provider["apiKey"] == "${MODEL_SERVER_TOKEN}"
    assert provider["timeoutSeconds"] == LONGEST_STREAM_SECONDS
    assert config["models"]["mode"] == "replace"
    assert config["agents"]["defaults"]["model"]["fallbacks"] == []


def test_the_model_has_the_same_name_for_the_runtime_whichever_it_is() -> None:
    aliases = {agent_plan(model=model).model_server.alias for model, *_ in PRODUCT_MODELS}
    assert aliases == {"moltghost/agent:current"}


def test_a_short_context_is_advised_against() -> None:
    assert any("advises a context of 64k or more" in note for note in agent_plan().notes)
    assert not any("advises a context" in note for note in agent_plan(context="64k").notes)


def test_what_is_simulated_is_said() -> None:
    plan = agent_plan()
    assert plan.simulated
    assert any("nodes are simulated" in note and "no container runs" in note for note in plan.notes)


def test_the_same_config_gives_the_same_plan() -> None:
    cases: list[dict[str, Any]] = [{}, {"gpu": "h100"}, {"model": "mixtral-8x22b-q4"}]
    for changes in cases:
        first, second = agent_plan(**changes), agent_plan(**changes)
        assert first == second
        assert first.model_dump_json() == second.model_dump_json()


def test_a_plan_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        agent_plan().model_server.context = 1  # type: ignore[misc]


def test_previous_is_room_in_the_walls_and_changes_nothing_else() -> None:
    alone = agent_plan()
    with_previous = agent_plan(previous={"model": "llama3.1-8b-q4", "context": "32k"})
    assert with_previous.model_server == alone.model_server
    assert with_previous.runtime == alone.runtime
    assert with_previous.isolation != alone.isolation


def test_agents_differ_in_names_only() -> None:
    one = plan_agent(STACK, agent_spec(), LOCAL)
    other = plan_agent(StackName.parse("other.local"), agent_spec(), LOCAL)
    assert one.model_server == other.model_server
    assert other.namespace == "agent-other"
    assert "agent-other.svc" in json.dumps(other.runtime.config)


def test_json_has_every_key_that_scripts_rely_on() -> None:
    plan, update = plan_change(STACK, None, agent_spec(), LOCAL)
    found = json.loads(json.dumps(plan_json(plan, update)))
    assert {"sizing", "stack", "environment", "agent", "update"} <= set(found)
    assert (found["stack"], found["environment"]) == ("my-agent.local", "local")
    assert found["sizing"]["placement"]["instance_type"] == "p5.4xlarge"
    assert found["update"]["action"] == "create"
    assert found["plan"]["model_server"]["context"] == 32768


@pytest.mark.parametrize(("sharing", "dedicated"), [("dedicated", True), ("owner", False)])
def test_a_node_of_ones_own_is_the_default_and_sharing_is_asked_for(
    sharing: str, dedicated: bool
) -> None:
    assert agent_plan(sharing=sharing).model_server.dedicated is dedicated
    assert agent_plan().model_server.dedicated


def test_stores_are_kept_apart_by_model_quantization_and_ollamas_version() -> None:
    urls = [
        agent_plan(model=model).model_server.store_url
        for model in ("llama3.1-8b-q4", "llama3.1-8b-q8", "llama3.1-70b-q4")
    ]
    assert len(set(urls)) == 3
    version = agent_plan().images.ollama_version
    assert all(f"/ollama-{version}/" in url for url in urls)


def test_every_pair_of_gpu_kind_and_memory_is_planned_or_refused_never_undersized() -> None:
    for gpu, memory in product(("l40s", "a100-40", "a100-80", "h100", "a100"), (48, 80, 160, 320)):
        try:
            placement = agent_plan(gpu=gpu, memory=f"{memory}gb").sizing.placement
        except Refused as refused:
            assert refused.hint
            continue
        assert placement.gpu.startswith(gpu)
        nominal = {"l40s": 48, "a100-40": 40, "a100-80": 80, "h100": 80}[placement.gpu]
        assert placement.gpu_count * nominal >= memory
