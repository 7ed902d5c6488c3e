"""What to say when nothing fits: by how much, and what would make it fit, with numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from moltghost.errors import Refused
from moltghost.models.hardware import gpu_kinds
from moltghost.models.hardware_facts import GpuKind
from moltghost.models.names import ModelChoice
from moltghost.sizing.explanations import gpus, reason, where
from moltghost.sizing.footprint import largest_need
from moltghost.sizing.kv_cache import UNQUANTIZED
from moltghost.sizing.placement import Option, Verdict, Weighing, weigh
from moltghost.sizing.request import MOST_GPUS, Pool, SizingRequest, default_pools
from moltghost.sizing.weights import layout

_CONTEXT_STEP = 1024
_SMALLER_CACHE = "q8_0"


def refusal(weighing: Weighing, pools: Sequence[Pool]) -> Refused:
    """The error for a request that fits nowhere."""
    request, choice = weighing.request, weighing.choice
    head = f"{choice.name} with {request.context} tokens of context fits no pool"
    if request.gpu or request.memory_gb:
        head += " under " + _asked(request)
    found = tuple(remedies(weighing, pools))
    return Refused(
        f"{head}. {_closest(weighing)}",
        "what would fit:\n  " + "\n  ".join(found) if found else "a smaller model would fit",
    )


def remedies(weighing: Weighing, pools: Sequence[Pool]) -> Iterator[str]:
    """Changes to the request, or to the pools, with what each would cost."""
    request, choice = weighing.request, weighing.choice
    yield from list(_alone(request, choice, pools)) or _together(request, choice, pools)
    everywhere = weigh(request, choice, default_pools(tuple(gpu_kinds())))
    if chosen := everywhere.chosen:
        yield f"a pool that the environment lacks: {where(chosen, dedicated=request.dedicated)}"
    yield from _more_gpus(everywhere)


def _alone(request: SizingRequest, choice: ModelChoice, pools: Sequence[Pool]) -> Iterator[str]:
    """Changes of which each suffices."""
    for smaller in _smaller(choice):
        if line := _line(smaller.quantization, request, smaller, pools):
            yield line
            break
    if request.kv_cache == UNQUANTIZED and choice.model.takes_quantized_kv(request.parallel):
        changed = replace(request, kv_cache=_SMALLER_CACHE)
        yield from _lines(f"a {_SMALLER_CACHE} KV cache", changed, choice, pools)
    if request.parallel > 1:
        yield from _lines("one slot", replace(request, parallel=1), choice, pools)
    if context := largest_context(request, choice, pools):
        changed = replace(request, context=context)
        yield from _lines(f"a context of {context} tokens", changed, choice, pools)
    if request.gpu or request.memory_gb:
        changed = replace(request, gpu=None, memory_gb=None)
        free = f"without {_asked(request)} (of an agent: {_auto(request)})"
        yield from _lines(free, changed, choice, pools)


def _together(request: SizingRequest, choice: ModelChoice, pools: Sequence[Pool]) -> Iterator[str]:
    """The fewest slots less, then the largest file, that fit with a smaller cache."""
    for slots in dict.fromkeys((request.parallel, 1)):
        changed = replace(request, parallel=slots)
        if request.kv_cache == UNQUANTIZED and choice.model.takes_quantized_kv(changed.parallel):
            changed = replace(changed, kv_cache=_SMALLER_CACHE)
        for smaller in (choice, *_smaller(choice)):
            words = f"{smaller.quantization} with a {changed.kv_cache} KV cache"
            words += " and one slot" if slots < request.parallel else ""
            if line := _line(words, changed, smaller, pools):
                yield line
                return


def _more_gpus(everywhere: Weighing) -> Iterator[str]:
    """How many GPUs would hold it, of each kind of which no node has enough."""
    counts: list[str] = []
    for kind in dict.fromkeys(o.card.kind for o in everywhere.options):
        options = [o for o in everywhere.options if o.card.kind == kind]
        if all(o.verdict is Verdict.GPU_MEMORY for o in options):
            most = max(option.kind.gpu_count for option in options)
            counts += _enough(everywhere, options[0].card, most)
    if counts:
        yield f"more GPUs than any EC2 type has: {', '.join(counts)}"


def _enough(weighing: Weighing, card: GpuKind, beyond: int) -> Iterator[str]:
    """The fewest cards above a number that hold it; at most one per layer and the output."""
    shape, load = weighing.choice.model.shape, weighing.request.load
    for count in range(beyond + 1, min(shape.layers + 1, MOST_GPUS) + 1):
        if largest_need(weighing.weights, shape, load, count) <= card.free_at_cuda_init_bytes:
            yield f"{count} x {card.kind}"
            return


def largest_context(
    request: SizingRequest, choice: ModelChoice, pools: Sequence[Pool]
) -> int | None:
    """The largest context below the request's, in steps of 1024, that some pool takes.

    None where that is nothing, or less than who asks can use.
    """
    low, high = 0, request.context // _CONTEXT_STEP
    while low < high:
        middle = (low + high + 1) // 2
        if weigh(replace(request, context=middle * _CONTEXT_STEP), choice, pools).chosen:
            low = middle
        else:
            high = middle - 1
    found = low * _CONTEXT_STEP
    return found if found >= max(1, request.min_context) else None


def _smaller(choice: ModelChoice) -> list[ModelChoice]:
    """The model in smaller quantizations, largest first."""
    model = choice.model
    size = layout(model, choice.quantization).file_bytes
    sizes = {q: layout(model, q).file_bytes for q in model.quantizations}
    smaller = sorted((q for q in sizes if sizes[q] < size), key=lambda q: -sizes[q])
    return [ModelChoice(model, quantization) for quantization in smaller]


def _lines(
    what: str, request: SizingRequest, choice: ModelChoice, pools: Sequence[Pool]
) -> Iterator[str]:
    if line := _line(what, request, choice, pools):
        yield line


def _line(
    what: str, request: SizingRequest, choice: ModelChoice, pools: Sequence[Pool]
) -> str | None:
    chosen = weigh(request, choice, pools).chosen
    return f"{what}: {where(chosen, dedicated=request.dedicated)}" if chosen else None


def _closest(weighing: Weighing) -> str:
    reachable = [
        o for o in weighing.options if o.verdict not in (Verdict.NO_POOL, Verdict.NOT_ASKED)
    ]
    if not reachable:
        return "No pool has a GPU of that kind"
    closest = min(reachable, key=_distance)
    return f"Closest: {closest.kind.type} ({gpus(closest)}), {reason(weighing, closest)}"


def _distance(option: Option) -> tuple[int, int, str]:
    return option.missing_bytes, len(option.shortfalls), option.kind.type


def _auto(request: SizingRequest) -> str:
    """What takes back options that an agent keeps from one update to the next."""
    names = {"--gpu": request.gpu, "--memory": request.memory_gb}
    return " ".join(f"{name} auto" for name, value in names.items() if value)


def _asked(request: SizingRequest) -> str:
    asked = [f"--gpu {request.gpu}"] if request.gpu else []
    asked += [f"--memory {request.memory_gb}gb"] if request.memory_gb else []
    return " ".join(asked)
