from decimal import Decimal

import pytest

from moltghost.errors import Refused
from moltghost.models import find_model, models
from moltghost.sizing import (
    SizingRequest,
    best_quantization,
    largest_context,
    models_within,
    most_slots,
    parse_gpus,
    size,
    what_fits,
)
from moltghost.sizing.footprint import Load
from moltghost.sizing.request import MOST_SLOTS

LLAMA = find_model("llama3.1-70b-q4")
STEP = 256


@pytest.mark.parametrize(
    ("text", "kind", "count"),
    [
        ("l40s", "l40s", 1),
        ("4xl40s", "l40s", 4),
        ("2 x H100", "h100", 2),
        ("8Xa100-80", "a100-80", 8),
    ],
)
def test_gpus_are_read_as_they_are_written(text: str, kind: str, count: int) -> None:
    found = parse_gpus(text)
    assert (found.card.kind, found.count) == (kind, count)
    assert parse_gpus(str(found)) == found


@pytest.mark.parametrize("text", ["", "0xl40s", "x", "4x", "two l40s", "l40s h100"])
def test_what_names_no_gpus_is_refused(text: str) -> None:
    with pytest.raises(Refused, match=r"doesn't name any GPUs|no GPU kind"):
        parse_gpus(text)


@pytest.mark.parametrize("cache", ["f16", "q8_0", "q4_0"])
@pytest.mark.parametrize("gpus", ["l40s", "2xl40s", "h100"])
def test_the_largest_context_fits_and_the_next_step_does_not(gpus: str, cache: str) -> None:
    on = parse_gpus(gpus)
    found = largest_context(LLAMA, on, Load(1, kv_cache=cache))
    assert found is not None
    assert on.hold(LLAMA, Load(found, kv_cache=cache))
    if found < LLAMA.model.max_context:
        assert found % STEP == 0
        assert not on.hold(LLAMA, Load(found + STEP, kv_cache=cache))


def test_a_model_that_is_too_big_has_no_context() -> None:
    assert largest_context(find_model("llama3.1-405b-q4"), parse_gpus("l40s"), Load(1)) is None


def test_the_model_itself_limits_the_context() -> None:
    assert largest_context(find_model("qwen2.5-7b-q4"), parse_gpus("h100"), Load(1)) == 32768


def test_one_slot_more_than_the_most_does_not_fit() -> None:
    on = parse_gpus("h100")
    found = most_slots(LLAMA, on, Load(8192))
    assert found > 1
    assert on.hold(LLAMA, Load(8192, parallel=found))
    assert not on.hold(LLAMA, Load(8192, parallel=found + 1))
    assert most_slots(LLAMA, parse_gpus("l40s"), Load(131072)) == 0


def test_the_engines_own_limit_of_slots_counts() -> None:
    phi = find_model("phi3-medium-q8")
    assert most_slots(phi, parse_gpus("h100"), Load(4096, kv_cache="q8_0")) == 1
    assert most_slots(phi, parse_gpus("h100"), Load(4096)) > 1


def test_no_more_slots_are_told_than_an_agent_may_have() -> None:
    small = find_model("gemma3-270m-q4")
    assert most_slots(small, parse_gpus("h100"), Load(1024)) == MOST_SLOTS
    with pytest.raises(Refused, match="1 to 64 slots, 65 were asked for"):
        size(SizingRequest("gemma3-270m-q4", context=1024, parallel=MOST_SLOTS + 1))


def test_a_cache_that_the_engine_aborts_on_has_no_context() -> None:
    phi, on = find_model("phi3-medium-q8").model, parse_gpus("h100")
    for row in what_fits(phi, on, Load(4096, parallel=2)):
        assert row.largest_context["q8_0"] is row.largest_context["q4_0"] is None
    assert what_fits(phi, on, Load(4096))[0].largest_context["q8_0"]


@pytest.mark.parametrize(
    ("text", "says"),
    [("17xh100", "over 16 GPUs at most"), ("a100", "more than one card")],
)
def test_gpus_that_no_model_is_on_are_refused(text: str, says: str) -> None:
    with pytest.raises(Refused, match=says):
        parse_gpus(text)


def test_a_price_buys_what_the_table_says_it_costs() -> None:
    """In whole cents, and the wider split that nobody measured where nothing else is so cheap."""
    cheapest = models_within(Decimal("1.86"), SizingRequest("", context=32768))
    assert {each.usd_per_hour for each in cheapest} == {Decimal("1.861")}
    wide = models_within(Decimal("21.99"), SizingRequest("", context=32768))
    [largest] = [each for each in wide if each.choice.model.id == "llama3.1-405b"]
    assert (largest.option.kind.type, largest.option.gpu_count) == ("p4d.24xlarge", 8)


def test_the_best_quantization_is_the_largest_file_that_fits() -> None:
    best = best_quantization(LLAMA.model, parse_gpus("h100"), Load(32768))
    assert best is not None
    assert best.quantization == "Q6_K"
    assert best_quantization(LLAMA.model, parse_gpus("a100-40"), Load(32768)) is None


def test_what_fits_has_a_row_for_each_quantization_and_agrees_with_its_parts() -> None:
    on = parse_gpus("l40s")
    rows = what_fits(LLAMA.model, on, Load(8192))
    assert [r.quantization for r in rows] == ["F16", "Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q4_K_S"]
    for row in rows:
        assert (row.slots > 0) == (row.free_bytes >= 0)
        contexts = [row.largest_context[c] or 0 for c in ("f16", "q8_0", "q4_0")]
        assert contexts == sorted(contexts)


def test_models_within_a_price_are_placed_at_no_more() -> None:
    request = SizingRequest("", context=32768)
    found = models_within(Decimal("7"), request)
    names = {each.choice.model.id: each for each in found}
    assert "llama3.1-405b" not in names
    assert "gemma2-9b" not in names  # its context is shorter
    assert names["llama3.1-70b"].choice.quantization == "Q6_K"
    for each in found:
        assert each.usd_per_hour <= 7
        placement = size(SizingRequest(each.choice.name, context=32768)).placement
        assert placement.node_usd_per_hour == each.usd_per_hour
        assert placement.instance_type == each.option.kind.type


def test_a_price_below_every_node_buys_nothing() -> None:
    assert models_within(Decimal("0.5"), SizingRequest("", context=8192), among=models()) == ()


def test_a_model_that_ollama_serves_alone_has_one_slot() -> None:
    choice = find_model("qwen3.5-9b")
    gpus = parse_gpus("h100")
    assert most_slots(choice, gpus, Load(8192)) == 1
    assert largest_context(choice, gpus, Load(8192, parallel=2)) is None
    assert most_slots(find_model("gemma4-12b"), gpus, Load(8192)) > 1


def test_the_best_of_some_quantizations_is_one_of_them() -> None:
    model = find_model("qwen3.5-9b").model
    best = best_quantization(model, parse_gpus("h100"), Load(8192), ("Q4_K_M", "Q6_K"))
    assert best is not None
    assert best.quantization == "Q6_K"
