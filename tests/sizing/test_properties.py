"""What must hold for any request, whatever the numbers."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from moltghost.errors import Refused
from moltghost.models import ModelChoice, find_model, gpu_kinds, models
from moltghost.models.catalogue import kv_bytes_per_element
from moltghost.sizing import SizingRequest, default_pools, parse_gpus, size
from moltghost.sizing.footprint import FIT_TARGET_BYTES, Load, footprint, largest_need, split
from moltghost.sizing.weights import layout

CACHES = sorted(kv_bytes_per_element(), key=lambda c: kv_bytes_per_element()[c])
MOST_GPUS = 8

choices = st.sampled_from(
    [ModelChoice(model, quantization) for model in models() for quantization in model.quantizations]
)
loads = st.builds(
    Load,
    context=st.integers(1, 131072),
    parallel=st.integers(1, 16),
    kv_cache=st.sampled_from(CACHES),
)
gpu_counts = st.integers(1, MOST_GPUS)


def need(choice: ModelChoice, load: Load, gpus: int) -> int:
    """What the fullest GPU needs; Ollama's batch step-down near full memory is not planned for."""
    weights = layout(choice.model, choice.quantization)
    return largest_need(weights, choice.model.shape, load, gpus)


@settings(deadline=None, max_examples=200)
@given(choices, loads, st.integers(1, 65536), gpu_counts)
def test_more_context_never_needs_less(
    choice: ModelChoice, load: Load, more: int, gpus: int
) -> None:
    longer = replace(load, context=load.context + more)
    assert need(choice, longer, gpus) >= need(choice, load, gpus)


@settings(deadline=None, max_examples=200)
@given(choices, loads, st.integers(1, 16), gpu_counts)
def test_more_slots_never_need_less(choice: ModelChoice, load: Load, more: int, gpus: int) -> None:
    wider = replace(load, parallel=load.parallel + more)
    assert need(choice, wider, gpus) >= need(choice, load, gpus)


@settings(deadline=None, max_examples=200)
@given(choices, loads, gpu_counts)
def test_more_bits_of_weights_never_need_less(choice: ModelChoice, load: Load, gpus: int) -> None:
    model = choice.model
    # By what lies on the GPUs: gemma4-e4b's Q4_K_M has its host's embeddings in F16.
    by_size = sorted(model.quantizations, key=lambda q: layout(model, q).gpu_bytes)
    needs = [need(ModelChoice(model, q), load, gpus) for q in by_size]
    assert needs == sorted(needs)


@settings(deadline=None, max_examples=200)
@given(choices, loads, gpu_counts)
def test_more_bits_of_the_cache_never_need_less(choice: ModelChoice, load: Load, gpus: int) -> None:
    # Where few layers have a cache, rotating it can take more than its smaller type saves: what the
    # engine allocates is then more, and only that.
    shape, weights = choice.model.shape, layout(choice.model, choice.quantization)
    if not choice.model.takes_quantized_kv(load.parallel):
        return
    whole = split(weights, shape, replace(load, kv_cache="f16"), gpus)
    for cache in CACHES:
        for share, most in zip(
            split(weights, shape, replace(load, kv_cache=cache), gpus), whole, strict=True
        ):
            allowed = max(most.needed_bytes, share.allocated_bytes + FIT_TARGET_BYTES)
            assert share.needed_bytes <= allowed


@settings(deadline=None, max_examples=200)
@given(choices, loads, gpu_counts)
def test_the_engines_own_fit_target_stays_free_whatever_caps_our_margin(
    choice: ModelChoice, load: Load, gpus: int
) -> None:
    weights = layout(choice.model, choice.quantization)
    for share in split(weights, choice.model.shape, load, gpus):
        assert share.margin_bytes >= FIT_TARGET_BYTES


@settings(deadline=None, max_examples=150)
@given(choices, loads, st.integers(2, MOST_GPUS - 1))
def test_from_two_gpus_on_more_never_fit_less(choice: ModelChoice, load: Load, gpus: int) -> None:
    assert need(choice, load, gpus + 1) <= need(choice, load, gpus)


@settings(deadline=None, max_examples=200)
@given(choices, loads, gpu_counts)
def test_the_terms_add_up_to_the_total(choice: ModelChoice, load: Load, gpus: int) -> None:
    weights = layout(choice.model, choice.quantization)
    found = footprint(weights, choice.model.shape, load, gpus)
    assert found.weights_bytes == weights.gpu_bytes
    assert sum(share.layers for share in found.per_gpu) == choice.model.shape.layers
    parts = (
        found.weights_bytes
        + found.kv_cache_bytes
        + found.compute_bytes
        + found.overhead_bytes
        + found.margin_bytes
    )
    assert parts == found.total_bytes
    assert all(share.margin_bytes > 0 for share in found.per_gpu)


requests = st.builds(
    SizingRequest,
    model=choices.map(lambda c: c.name),
    context=st.integers(256, 131072),
    parallel=st.integers(1, 8),
    kv_cache=st.sampled_from(CACHES),
    gpu=st.sampled_from([None, None, "a100", *gpu_kinds()]),
    memory_gb=st.sampled_from([None, None, 48, 160]),
    dedicated=st.booleans(),
)


@settings(deadline=None, max_examples=200)
@given(requests)
def test_a_placement_called_fitting_fits_on_every_gpu(request: SizingRequest) -> None:
    try:
        found = size(request, default_pools(tuple(gpu_kinds())))
    except Refused as refused:
        assert refused.hint
        return
    assert len(found.footprint.per_gpu) == found.placement.gpu_count
    for share in found.footprint.per_gpu:
        assert share.needed_bytes <= found.placement.free_bytes_per_gpu
    on = parse_gpus(f"{found.placement.gpu_count}x{found.placement.gpu}")
    assert on.hold(find_model(found.name), request.load)


@given(choices, st.sampled_from([str.lower, str.upper, str.title]))
def test_the_full_name_names_the_choice(choice: ModelChoice, spelled: object) -> None:
    assert callable(spelled)
    assert find_model(spelled(choice.name)) == choice
