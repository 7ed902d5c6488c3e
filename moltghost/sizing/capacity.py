"""The questions the other way round: what given GPUs, or a given price, can hold.

"Fits" means what it means for a placement: every GPU has room for its share, margin included. What
the node around the GPUs has too little of (system memory, disk) is not looked at; `size` does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from moltghost.errors import Refused
from moltghost.models.catalogue import kv_bytes_per_element, models
from moltghost.models.facts import Model
from moltghost.models.hardware import gpu_kind
from moltghost.models.hardware_facts import GpuKind
from moltghost.models.names import ModelChoice
from moltghost.sizing.footprint import Load, largest_need
from moltghost.sizing.kv_cache import CELL_PADDING, UNQUANTIZED
from moltghost.sizing.placement import Option, weigh
from moltghost.sizing.request import (
    GPU_WISHES,
    MOST_GPUS,
    MOST_SLOTS,
    Pool,
    SizingRequest,
    default_pools,
)
from moltghost.sizing.weights import layout

_CENT = Decimal("0.01")
_GPUS = re.compile(r"(?:(?P<count>\d{1,3})\s*x\s*)?(?P<kind>[a-z][a-z0-9-]*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Gpus:
    """`count` cards of one kind that share a model's layers."""

    card: GpuKind
    count: int = 1

    def __str__(self) -> str:
        return f"{self.count} x {self.card.kind}"

    def hold(self, choice: ModelChoice, load: Load) -> bool:
        """Whether every GPU has room for its share and the margin."""
        return self.free_bytes(choice, load) >= 0

    def free_bytes(self, choice: ModelChoice, load: Load) -> int:
        """What the fullest GPU has left; negative where it has too little."""
        weights = layout(choice.model, choice.quantization)
        need = largest_need(weights, choice.model.shape, load, self.count)
        return self.card.free_at_cuda_init_bytes - need


@dataclass(frozen=True, slots=True)
class QuantizationFit:
    """What some GPUs can do with one quantization of a model.

    Attributes:
        largest_context: KV cache type -> most tokens in one slot; None where not even the shortest
            context fits. The engine's step is 256 tokens.
        slots: most slots of the context asked for; 0 where it doesn't fit.
        free_bytes: what the fullest GPU has left with one slot of that context; negative: lacks.
    """

    quantization: str
    file_bytes: int
    largest_context: dict[str, int | None]
    slots: int
    free_bytes: int


@dataclass(frozen=True, slots=True)
class Affordable:
    """The best quantization of a model that some budget places."""

    choice: ModelChoice
    option: Option
    usd_per_hour: Decimal


def parse_gpus(text: str) -> Gpus:
    """GPUs of `l40s`, `4xl40s` or `2 x h100`.

    Raises:
        Refused: the text doesn't name any GPUs.
    """
    match = _GPUS.fullmatch(text.strip())
    count = int(match["count"] or 1) if match else 0
    if match is None or not count:
        raise Refused(f"{text!r} doesn't name any GPUs", "write them like l40s or 2xh100")
    if count > MOST_GPUS:
        raise Refused(f"a model is split over {MOST_GPUS} GPUs at most", f"ask for {MOST_GPUS}")
    kind = match["kind"].lower()
    if kind in GPU_WISHES:
        raise Refused(f"{kind} is more than one card", f"choose {' or '.join(GPU_WISHES[kind])}")
    return Gpus(gpu_kind(kind), count)


def largest_context(choice: ModelChoice, gpus: Gpus, load: Load) -> int | None:
    """Most tokens per slot that fit, in the engine's steps; None where none does.

    None too where the engine can't serve the model with so many slots, or not with that cache.

    Args:
        choice: the model.
        gpus: where it is to fit.
        load: slots and cache type; its context is not looked at.
    """
    most = choice.model.max_context
    if load.kv_cache != UNQUANTIZED and not choice.model.takes_quantized_kv(load.parallel):
        return None
    if choice.model.one_slot and load.parallel > 1:
        return None
    if gpus.hold(choice, replace(load, context=most)):
        return most
    steps = _last(
        most // CELL_PADDING,
        lambda n: gpus.hold(choice, replace(load, context=n * CELL_PADDING)),
    )
    return steps * CELL_PADDING or None


def most_slots(choice: ModelChoice, gpus: Gpus, load: Load) -> int:
    """Most slots of `load`'s context that fit; 0 where not even one does."""
    model = choice.model
    limits = [1 if model.one_slot else MOST_SLOTS]
    if load.kv_cache != UNQUANTIZED and model.slots_with_quantized_kv:
        limits.append(model.slots_with_quantized_kv)
    return _last(min(limits), lambda n: gpus.hold(choice, replace(load, parallel=n)))


def best_quantization(
    model: Model, gpus: Gpus, load: Load, among: Sequence[str] | None = None
) -> ModelChoice | None:
    """The largest of a model's files, or of some of them, that fits; None where none does."""
    wanted = model.quantizations if among is None else among
    fitting = (c for c in _largest_first(model) if c.quantization in wanted and gpus.hold(c, load))
    return next(fitting, None)


def what_fits(
    model: Model, gpus: Gpus, load: Load, quantizations: Iterable[str] | None = None
) -> tuple[QuantizationFit, ...]:
    """What some GPUs can do with each quantization of a model, largest file first."""
    wanted = set(model.quantizations if quantizations is None else quantizations)
    return tuple(
        QuantizationFit(
            quantization=choice.quantization,
            file_bytes=layout(model, choice.quantization).file_bytes,
            largest_context={
                cache: largest_context(choice, gpus, replace(load, kv_cache=cache))
                for cache in kv_bytes_per_element()
            },
            slots=most_slots(choice, gpus, load),
            free_bytes=gpus.free_bytes(choice, load),
        )
        for choice in _largest_first(model)
        if choice.quantization in wanted
    )


def models_within(
    usd_per_hour: Decimal,
    request: SizingRequest,
    pools: Sequence[Pool] | None = None,
    among: Iterable[Model] | None = None,
) -> tuple[Affordable, ...]:
    """For each model the best quantization whose placement costs no more than that.

    Args:
        usd_per_hour: what the agent may pay: the node when dedicated, else its GPUs.
        request: how it is served; its model is not looked at. Models with a shorter context than
            it asks for are left out.
        pools: the environment's GPU pools; the product's four by default.
        among: models to look at; the catalogue's by default.
    """
    pools = default_pools() if pools is None else pools
    candidates = models() if among is None else among
    found = (
        _affordable(model, usd_per_hour, request, pools)
        for model in candidates
        if model.max_context >= request.context
    )
    return tuple(each for each in found if each)


def _affordable(
    model: Model, limit: Decimal, request: SizingRequest, pools: Sequence[Pool]
) -> Affordable | None:
    for choice in _largest_first(model):
        weighing = weigh(request, choice, pools)
        for option in sorted((o for o in weighing.options if o.eligible), key=weighing.rank):
            price = option.pays(request.dedicated)
            # Prices are shown in whole cents, and so typed again.
            if price.quantize(_CENT) <= limit:
                return Affordable(choice, option, price)
    return None


def _largest_first(model: Model) -> list[ModelChoice]:
    choices = [ModelChoice(model, quantization) for quantization in model.quantizations]
    return sorted(choices, key=lambda c: -layout(model, c.quantization).file_bytes)


def _last(most: int, holds: Callable[[int], bool]) -> int:
    """The largest n up to `most` that holds; 0 where not even 1 does. Holding ends only once."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        if holds(middle):
            low = middle
        else:
            high = middle - 1
    return low
