"""`size`: from a request and an environment's pools to a complete answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from moltghost.models.hardware import gpu_kinds
from moltghost.models.names import ModelChoice
from moltghost.sizing import kv_cache
from moltghost.sizing.answer import Candidate, Placement, Sizing
from moltghost.sizing.cost import Cost, cost
from moltghost.sizing.cpu import size_on_cpu
from moltghost.sizing.explanations import reason, why
from moltghost.sizing.footprint import footprint
from moltghost.sizing.placement import Option, Weighing, weigh
from moltghost.sizing.remedies import refusal
from moltghost.sizing.request import Pool, SizingRequest, check, default_pools, machine_pool
from moltghost.sizing.resources import kept_bytes, load_times, resources
from moltghost.sizing.throughput import Speed, speed

_NO_FLOOR_GB = 1


def size(
    request: SizingRequest,
    pools: Sequence[Pool] | None = None,
    *,
    choice: ModelChoice | None = None,
) -> Sizing:
    """Everything that follows from a model, a context and an environment's pools.

    Args:
        request: the question.
        pools: the environment's pools; the product's four and this machine by default.
        choice: the model, where it was read from a GGUF instead of found by the request's name.

    Raises:
        Refused: the request is wrong, or it fits no pool; the hint says what would fit.
    """
    choice = check(request, choice)
    pools = (*default_pools(), machine_pool()) if pools is None else pools
    if request.on_cpu:
        return size_on_cpu(request, choice, pools)
    weighing = weigh(request, choice, pools)
    chosen = weighing.chosen
    if chosen is None:
        raise refusal(weighing, pools)
    return _answer(weighing, chosen, _why(weighing, chosen, pools))


def _why(weighing: Weighing, chosen: Option, pools: Sequence[Pool]) -> tuple[str, ...]:
    request, choice = weighing.request, weighing.choice
    bare = weigh(replace(request, memory_gb=_NO_FLOOR_GB), choice, pools)
    everywhere = weigh(request, choice, default_pools(tuple(gpu_kinds())))
    return tuple(why(weighing, chosen, bare, everywhere))


def _answer(weighing: Weighing, chosen: Option, sentences: tuple[str, ...]) -> Sizing:
    request, choice, weights = weighing.request, weighing.choice, weighing.weights
    taken = chosen.gpu_count
    return Sizing(
        model=choice.model.id,
        name=choice.name,
        quantization=choice.quantization,
        context=request.context,
        parallel=request.parallel,
        kv_cache=request.kv_cache,
        batch=request.load.batch,
        file_bytes=weights.file_bytes,
        ollama_tag=choice.file.ollama_tag,
        footprint=footprint(weights, choice.model.shape, request.load, taken),
        placement=_placement(weighing, chosen),
        candidates=tuple(_candidate(weighing, option) for option in weighing.options),
        resources=resources(
            weights.file_bytes,
            taken,
            weighing.floor.storage_gb,
            kept_bytes(choice.model.shape, request.load),
        ),
        load=load_times(weights.file_bytes),
        speed=_speed(weighing, chosen),
        cost=_cost(weighing, chosen),
        floor=weighing.floor,
        floor_applied=request.gpu is None and request.memory_gb is None,
        why=sentences,
        request=request,
    )


def _placement(weighing: Weighing, chosen: Option) -> Placement:
    return Placement(
        gpu=chosen.card.kind,
        gpu_count=chosen.gpu_count,
        instance_type=chosen.kind.type,
        pool=chosen.pool or "",
        usd_per_hour=chosen.pays(dedicated=False),
        node_usd_per_hour=chosen.pays(dedicated=True),
        node_gpu_count=chosen.kind.gpu_count,
        dedicated=weighing.request.dedicated,
        free_bytes_per_gpu=chosen.card.free_at_cuda_init_bytes,
    )


def _candidate(weighing: Weighing, option: Option) -> Candidate:
    return Candidate(
        instance_type=option.kind.type,
        gpu=option.card.kind,
        gpu_count=option.gpu_count,
        fits=option.eligible,
        verdict=option.verdict.value,
        reason=reason(weighing, option),
        usd_per_hour=option.usd_per_hour,
        node_usd_per_hour=option.kind.usd_per_hour,
        pool=option.pool,
    )


def _speed(weighing: Weighing, chosen: Option) -> Speed:
    load = weighing.request.load
    slot = kv_cache.layer_bytes(
        weighing.choice.model.shape,
        context=load.context,
        parallel=1,
        kv_cache=load.kv_cache,
        ubatch=load.batch,
    )
    return speed(weighing.weights, sum(slot), load.context, chosen.card, chosen.gpu_count)


def _cost(weighing: Weighing, chosen: Option) -> Cost:
    return cost(
        chosen.kind,
        chosen.pays(dedicated=True),
        chosen.gpu_count,
        dedicated=weighing.request.dedicated,
    )
