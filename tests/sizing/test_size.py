import json
from decimal import Decimal

import pytest

from moltghost.errors import ExitCode, Refused
from moltghost.models import ModelChoice, find_model, gpu_kind
from moltghost.models.catalogue import models
from moltghost.sizing import (
    Pool,
    Sizing,
    SizingRequest,
    default_pools,
    size,
    size_build,
    size_build_on_machine,
)
from moltghost.sizing.jobs import BUILD_MEMORY_BYTES
from moltghost.sizing.tensors import tensors
from moltghost.sizing.weights import layout
from moltghost.units import GB, GIB

PRODUCT_MODELS = [
    ("llama3.1-8b-q4", 1, "l40s", "g6e.xlarge", "1.861"),
    ("llama3.1-70b-q4", 1, "h100", "p5.4xlarge", "6.88"),
    ("llama3.1-405b-q4", 4, "a100-80", "p4de.24xlarge", "27.44705"),
    ("qwen2.5-7b-q4", 1, "l40s", "g6e.xlarge", "1.861"),
    ("qwen2.5-32b-q4", 1, "h100", "p5.4xlarge", "6.88"),
    ("qwen2.5-72b-q4", 1, "h100", "p5.4xlarge", "6.88"),
    ("mistral-nemo-12b-q4", 1, "l40s", "g6e.xlarge", "1.861"),
    ("mixtral-8x22b-q4", 4, "l40s", "g6e.12xlarge", "10.49264"),
    ("phi3-mini-q8", 1, "l40s", "g6e.xlarge", "1.861"),
    ("phi3-medium-q8", 1, "l40s", "g6e.xlarge", "1.861"),
]


def sized(model: str, **request: object) -> Sizing:
    return size(SizingRequest(model, **request))  # type: ignore[arg-type]


def told(sizing: Sizing) -> str:
    return " ".join(sizing.why)


@pytest.mark.parametrize(("model", "gpus", "kind", "node", "price"), PRODUCT_MODELS)
def test_each_model_of_the_product_text_gets_the_cheapest_node_that_fits(
    model: str, gpus: int, kind: str, node: str, price: str
) -> None:
    placement = sized(model).placement
    assert (placement.gpu_count, placement.gpu) == (gpus, kind)
    assert placement.instance_type == node
    assert placement.node_usd_per_hour == Decimal(price)


def test_every_gpu_of_a_placement_has_room_for_its_share_and_the_margin() -> None:
    for model, *_ in PRODUCT_MODELS:
        for dedicated in (True, False):
            found = sized(model, dedicated=dedicated)
            assert len(found.footprint.per_gpu) == found.placement.gpu_count
            for share in found.footprint.per_gpu:
                assert share.needed_bytes <= found.placement.free_bytes_per_gpu


def test_gpu_and_memory_asked_for_decide_the_cards() -> None:
    found = sized("llama3.1-70b-q4", gpu="h100", memory_gb=160)
    assert (found.placement.gpu_count, found.placement.instance_type) == (2, "p5.48xlarge")
    assert found.placement.node_usd_per_hour == Decimal("55.04")
    assert found.placement.usd_per_hour == Decimal("13.76")
    assert (found.cost.idle_gpu_count, found.cost.idle_usd_per_hour) == (6, Decimal("41.28"))
    assert "Idle GPUs: 6 of 8, $41.28/h of the price." in found.why


def test_memory_asked_for_never_replaces_the_arithmetic() -> None:
    found = sized("llama3.1-405b-q4", gpu="h100", memory_gb=160)
    assert found.placement.gpu_count == 4


def test_a_gpu_asked_for_replaces_the_floor() -> None:
    assert sized("qwen2.5-32b-q4", gpu="l40s").placement.instance_type == "g6e.xlarge"
    assert sized("qwen2.5-32b-q4", memory_gb=48).placement.instance_type == "g6e.xlarge"


def test_a100_means_the_smaller_one_that_fits() -> None:
    assert sized("llama3.1-70b-q4", gpu="a100").placement.gpu == "a100-40"
    assert sized("llama3.1-405b-q4", gpu="a100", context=131072).placement.gpu == "a100-80"


def test_the_answer_says_what_the_floor_excluded_and_what_that_would_cost() -> None:
    found = sized("qwen2.5-32b-q4")
    assert "without that floor it would fit g6e.xlarge (1 x l40s) at $1.86/h" in told(found)
    rejected = next(c for c in found.candidates if c.instance_type == "g6e.xlarge")
    assert not rejected.fits
    assert "80 GB and this node has 48 GB" in rejected.reason


def test_405b_says_why_two_h100_cannot_hold_it() -> None:
    found = sized("llama3.1-405b-q4")
    assert "2 x NVIDIA H100 80 GB, the usual for its class, can't hold it" in told(found)
    assert "46.2 GiB too little" in told(found)


def test_a_wider_split_than_was_ever_measured_is_named_but_not_taken_unasked() -> None:
    found = sized("llama3.1-405b-q4")
    assert "p4d.24xlarge (8 x a100-40) at $21.96/h would fit too" in told(found)
    asked = sized("llama3.1-405b-q4", gpu="a100-40")
    assert (asked.placement.gpu_count, asked.placement.instance_type) == (8, "p4d.24xlarge")


def test_a_wide_split_is_taken_where_nothing_narrower_fits() -> None:
    assert sized("llama3.1-405b-q4", context=131072).placement.gpu_count == 5


def test_a_shared_agent_is_chosen_by_the_price_of_its_gpus() -> None:
    found = sized("llama3.1-70b-q4", dedicated=False)
    assert found.placement.instance_type == "p4de.24xlarge"
    assert found.cost.usd_per_hour == found.placement.usd_per_hour == Decimal("3.43088")


def test_every_other_candidate_has_a_reason_and_types_without_a_pool_say_so() -> None:
    found = sized("llama3.1-70b-q4")
    reasons = {c.instance_type: c.reason for c in found.candidates}
    assert len(reasons) == 20
    assert all(reasons.values())
    assert reasons["p5.4xlarge"] == "chosen"
    assert reasons["p5.48xlarge"] == "costs $48.16/h more"
    assert reasons["g7e.2xlarge"] == "no pool (would fit on 1 x rtx-pro-6000)"
    assert "44.1 GiB free" in reasons["g6e.xlarge"]


def test_only_the_environments_pools_count() -> None:
    pools = (Pool("big", "h100", ("p5.48xlarge",)),)
    placement = size(SizingRequest("llama3.1-70b-q4"), pools).placement
    assert (placement.instance_type, placement.pool) == ("p5.48xlarge", "big")


def test_an_environment_without_pools_takes_nothing() -> None:
    with pytest.raises(Refused, match="No pool has a GPU of that kind"):
        size(SizingRequest("llama3.1-8b-q4"), ())


def test_a_node_with_too_little_system_memory_is_rejected_by_how_much() -> None:
    found = sized("llama3.1-70b-q4", context=8192, gpu="l40s")
    assert found.placement.instance_type == "g6e.2xlarge"
    small = next(c for c in found.candidates if c.instance_type == "g6e.xlarge")
    assert "system memory: needs 48 GiB" in small.reason


def test_a_model_too_big_for_every_pool_is_refused_with_the_ways_out_priced() -> None:
    with pytest.raises(Refused, match=r"21\.7 GiB too little") as refused:
        sized("llama3.1-405b-f16")
    assert refused.value.exit_code is ExitCode.REFUSED
    assert "Q8_0: p4de.24xlarge (6 x a100-80) at $27.45/h" in refused.value.hint
    assert "p5en.48xlarge (6 x h200)" in refused.value.hint


def hint(model: str, **request: object) -> list[str]:
    with pytest.raises(Refused, match="fits no pool") as refused:
        sized(model, **request)
    return [line.strip() for line in refused.value.hint.splitlines()]


def test_where_no_node_has_enough_gpus_the_hint_says_how_many_would_do() -> None:
    assert "more GPUs than any EC2 type has: 9 x l40s" in hint(
        "llama3.1-405b-q4", context=131072, gpu="l40s"
    )


def test_a_few_bytes_too_little_are_not_said_to_be_nothing() -> None:
    with pytest.raises(Refused, match=r"has 44\.1 GiB free, 2 MiB too little"):
        sized("llama3.1-405b-q4", context=131072, gpu="l40s")


def test_changes_that_help_only_together_are_said_together_with_their_price() -> None:
    found = hint("llama3.1-405b-f16", context=131072, parallel=8)
    assert found[1] == ("Q4_K_M with a q8_0 KV cache: p4de.24xlarge (8 x a100-80) at $27.45/h")
    followed = sized("llama3.1-405b-q4_K_M", context=131072, parallel=8, kv_cache="q8_0")
    assert (followed.placement.gpu_count, followed.placement.gpu) == (8, "a100-80")
    with_one_slot = hint("llama3.1-405b-f16", context=131072, parallel=64)
    assert "Q8_0 with a q8_0 KV cache and one slot: p4de.24xlarge" in with_one_slot[1]


def test_a_context_too_long_for_a_card_is_refused_with_the_longest_that_fits() -> None:
    pools = (Pool("l40s", "l40s", ("g6e.2xlarge",)),)
    request = SizingRequest("llama3.1-70b-q4", context=32768, memory_gb=48)
    with pytest.raises(Refused, match="GPU memory") as refused:
        size(request, pools)
    assert "a context of 11264 tokens: g6e.2xlarge (1 x l40s)" in refused.value.hint
    longest = size(SizingRequest("llama3.1-70b-q4", context=11264, memory_gb=48), pools)
    assert longest.placement.instance_type == "g6e.2xlarge"


def test_no_context_is_proposed_that_who_asks_cannot_use() -> None:
    pools = (Pool("l40s", "l40s", ("g6e.2xlarge",)),)
    request = SizingRequest("llama3.1-70b-q4", context=32768, memory_gb=48, min_context=16384)
    with pytest.raises(Refused, match="GPU memory") as refused:
        size(request, pools)
    assert "a context of" not in refused.value.hint


def test_options_that_an_agent_keeps_are_taken_back_by_auto() -> None:
    assert any(
        "without --gpu l40s (of an agent: --gpu auto): " in line
        for line in hint("llama3.1-405b-q4", context=131072, gpu="l40s")
    )


@pytest.mark.parametrize(
    ("gpus", "surge", "vcpu"),
    [
        ({"model": "llama3.1-405b-q4"}, "0", 0),  # 4 and 4 of a p4de's 8
        ({"model": "llama3.1-70b-q4"}, "6.88", 16),
        ({"model": "llama3.1-405b-q4", "dedicated": False}, "27.45", 96),
    ],
)
def test_a_surge_costs_nothing_where_a_node_of_its_own_has_room_for_both(
    gpus: dict[str, object], surge: str, vcpu: int
) -> None:
    cost = sized(**gpus).cost  # type: ignore[arg-type]  # a model and options
    assert (round(cost.surge_usd_per_hour, 2), cost.surge_vcpu) == (Decimal(surge), vcpu)


def test_the_smaller_card_of_a_wish_is_not_called_the_cheapest() -> None:
    first, *_ = sized("llama3.1-70b-q4", gpu="a100", dedicated=False).why
    assert "has the smallest a100 that fits; p4de.24xlarge (1 x a100-80) at $3.43/h" in first
    assert "cheapest" not in first


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"context": 1024**2}, "a context of at most 131072 tokens"),
        ({"context": 0}, "a context of at most"),
        ({"parallel": 0}, "0 were asked for"),
        ({"kv_cache": "q2"}, "no KV cache type 'q2'"),
        ({"gpu": "b200"}, "no GPU kind 'b200'"),
        ({"memory_gb": 0}, "isn't an amount of GPU memory"),
        ({"memory_gb": 9999}, "9999 GB were asked for"),
    ],
)
def test_a_wrong_request_is_refused(request_: dict[str, int], message: str) -> None:
    with pytest.raises(Refused, match=message):
        sized("llama3.1-70b-q4", **request_)


def test_system_memory_is_16_to_512_gb_in_both_readings_and_covers_the_file() -> None:
    for model, *_ in PRODUCT_MODELS:
        found = sized(model)
        assert 16 * GIB <= found.resources.memory_bytes <= 512 * GB
        assert found.resources.memory_bytes > found.file_bytes


def test_disk_holds_the_weights_twice_and_the_classs_storage() -> None:
    for model, *_ in PRODUCT_MODELS:
        found = sized(model)
        disk = found.resources.ephemeral_storage_bytes
        assert disk >= max(2 * found.file_bytes, found.floor.storage_gb * GB)


def test_json_has_every_key_that_scripts_rely_on() -> None:
    found = json.loads(json.dumps(sized("llama3.1-70b-q4").to_json()))
    assert {"model", "quantization", "context", "file_bytes", "resources", "speed"} <= set(found)
    assert found["file_bytes"] == 42520412561
    assert set(found["footprint"]) >= {
        "weights_bytes",
        "kv_cache_bytes",
        "compute_bytes",
        "overhead_bytes",
        "margin_bytes",
        "total_bytes",
    }
    placement = found["placement"]
    assert placement["usd_per_hour"] == placement["node_usd_per_hour"] == 6.88
    assert {"gpu", "gpu_count", "instance_type"} <= set(placement)
    assert set(found["candidates"][0]) >= {
        "instance_type",
        "gpu",
        "gpu_count",
        "fits",
        "reason",
        "usd_per_hour",
    }
    assert {"cpu", "memory_bytes", "ephemeral_storage_bytes"} <= set(found["resources"])


def test_the_default_pools_are_the_products_four() -> None:
    assert [p.name for p in default_pools()] == ["l40s", "a100-40", "a100-80", "h100"]
    assert default_pools()[3].instance_types == ("p5.4xlarge", "p5.48xlarge")


def test_the_measured_70b_speeds_lie_in_the_predicted_intervals() -> None:
    measured = {"l40s": 15.31, "a100-80": 24.33}
    for kind, tokens_per_second in measured.items():
        found = sized("llama3.1-70b-q4", gpu=kind, context=8192)
        assert found.speed.tokens_per_second is not None
        low, high = found.speed.tokens_per_second
        assert low <= tokens_per_second <= high


def test_a_card_nobody_measured_gets_no_speed() -> None:
    pools = default_pools(("rtx-pro-6000",))
    assert size(SizingRequest("llama3.1-70b-q4"), pools).speed.tokens_per_second is None


def test_start_up_budget_is_three_times_the_load_in_whole_minutes() -> None:
    load = sized("llama3.1-70b-q4").load
    assert (load.download_seconds, load.load_seconds) == (43, 73)
    assert load.startup_budget_seconds == 300


@pytest.mark.parametrize(
    ("model", "node"),
    [("llama3.1-8b-q4", "i4i.xlarge"), ("llama3.1-405b-q4", "i4i.2xlarge")],
)
def test_a_store_is_built_where_source_and_twice_the_output_have_room(
    model: str, node: str
) -> None:
    job = size_build(find_model(model), quantize=True)
    assert job.instance_type == node
    assert job.resources.ephemeral_storage_bytes > job.source_bytes + 2 * job.output_bytes


def test_a_finished_file_takes_as_much_room_for_itself_as_a_source() -> None:
    choice = find_model("llama3.1-8b-q4")
    job = size_build(choice, quantize=False)
    assert job.source_bytes == job.output_bytes == 4_920_753_328
    assert size_build(choice, quantize=False, source_bytes=5).source_bytes == 5


def test_on_a_machine_a_build_takes_idle_cores_and_its_largest_tensor() -> None:
    choice = find_model("gemma3-270m-q4")
    found = size_build_on_machine(choice, quantize=True)
    assert found.cpu == 0.2
    # The token embedding, 262144 x 640 elements, took Ollama 0.17.4 1 703 932 KiB.
    assert found.memory_bytes - GIB > 1_703_932 * 1024
    assert found.gpu_count == 0
    assert size_build_on_machine(choice, quantize=False).memory_bytes == GIB


def test_every_tensor_of_the_catalogue_can_be_quantized_in_the_memory_of_a_build() -> None:
    for model in models():
        if "F16" not in model.files:
            continue  # nothing is made of it: its files are finished
        largest = max(each.elements for each in tensors(model.shape, "F16"))
        job = size_build(ModelChoice(model, "Q8_0"), quantize=True)
        assert 6 * largest < job.resources.memory_bytes, model.id
        if not model.shape.experts and not model.shape.per_layer_embedding:
            assert job.resources.memory_bytes == BUILD_MEMORY_BYTES, model.id


def test_free_memory_of_a_placement_is_the_cards() -> None:
    found = sized("llama3.1-8b-q4")
    assert found.placement.free_bytes_per_gpu == gpu_kind("l40s").free_at_cuda_init_bytes


def test_more_slots_than_ollama_serves_are_refused_with_the_reason() -> None:
    with pytest.raises(Refused, match="forces one slot on every qwen35moe model, 2 were") as told_:
        sized("qwen3.6-35b-a3b", parallel=2)
    assert "--parallel 1" in told_.value.hint


def test_an_unfit_model_is_warned_of_and_served_all_the_same() -> None:
    found = sized("llama3.1-8b-q4")
    assert found.placement.instance_type == "g6e.xlarge"
    assert "llama3.1-8b is unfit for agents: Ollama's list of models" in told(found)
    assert "unfit" not in told(sized("gpt-oss-20b"))
    assert "unfit" in told(sized("gemma3-270m", gpu="none", context=8192))


def test_what_was_taken_instead_of_ollamas_is_said() -> None:
    assert "Ollama's phi3 is phi3-mini in Q4_0; Q8_0 was taken" in told(sized("phi3"))


def test_a_vision_tower_and_its_buffer_lie_on_the_first_gpu() -> None:
    found = sized("llama4-scout", gpu="l40s")
    first, second = found.footprint.per_gpu[:2]
    assert first.compute_bytes - second.compute_bytes == GIB
    text = layout(find_model("llama4-scout").model, "Q4_K_M")
    assert found.footprint.weights_bytes == text.gpu_bytes
    assert text.vision_bytes == 1_740_000_000


def test_checkpoints_and_the_prompt_cache_have_room_in_system_memory() -> None:
    # One stream of gemma4-31b keeps 1200 MiB of windows; a checkpoint every 8192 tokens.
    found = sized("gemma4-31b", gpu="h100", context=65536)
    windows = 50 * 2 * 16 * 256 * 2 * 3072  # layers, K and V, heads, width, f16, 1024 + 2048 cells
    kept = 8 * GIB + (65536 // 8192 + 3) * windows
    assert found.resources.memory_bytes == -(-(kept + 4 * GIB) // GIB) * GIB
    # A model whose cache can be rewound keeps none: its file and the process decide.
    plain = sized("qwen3-30b-a3b", gpu="h100", context=65536)
    assert plain.resources.memory_bytes == -(-(plain.file_bytes + 8 * GIB) // GIB) * GIB
