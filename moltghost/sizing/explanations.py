"""Sentences: why a candidate isn't the placement, why the placement is, why nothing is."""

from __future__ import annotations

from decimal import Decimal

from moltghost.models.facts import Fitness, Model
from moltghost.models.hardware import gpu_kind
from moltghost.sizing.footprint import largest_need
from moltghost.sizing.placement import WIDEST_MEASURED_SPLIT, Option, Verdict, Weighing
from moltghost.units import GIB, MIB

_TIGHT_PERCENT = 5


def usd(amount: Decimal) -> str:
    """`$6.88/h`."""
    return f"${amount:.2f}/h"


def gib(count: int) -> str:
    """`42.5 GiB`."""
    return f"{count / GIB:.1f} GiB"


def lacking(count: int) -> str:
    """`6.4 GiB too little`; in MiB where GiB would read as nothing."""
    amount = gib(count) if count >= GIB // 10 else f"{-(-count // MIB)} MiB"
    return f"{amount} too little"


def gpus(option: Option) -> str:
    """`4 x a100-80`."""
    return f"{option.gpu_count} x {option.card.kind}"


def where(option: Option, *, dedicated: bool) -> str:
    """`p4de.24xlarge (4 x a100-80) at $27.45/h`."""
    return f"{option.kind.type} ({gpus(option)}) at {usd(option.pays(dedicated))}"


def too_big(weighing: Weighing, kind: str, count: int) -> str | None:
    """Why `count` GPUs of a kind can't hold the model, None where they can."""
    card = gpu_kind(kind)
    need = largest_need(weighing.weights, weighing.choice.model.shape, weighing.request.load, count)
    if need <= card.free_at_cuda_init_bytes:
        return None
    each = "the GPU" if count == 1 else "the fullest GPU"
    return (
        f"{each} would need {gib(need)} and has {gib(card.free_at_cuda_init_bytes)} free, "
        f"{lacking(need - card.free_at_cuda_init_bytes)}"
    )


def reason(weighing: Weighing, option: Option) -> str:
    """Why a candidate isn't the placement; `chosen` for the one that is."""
    request, chosen = weighing.request, weighing.chosen
    match option.verdict:
        case Verdict.NOT_ASKED:
            return f"{request.gpu} was asked for"
        case Verdict.NO_POOL:
            return "no pool" if option.missing_bytes else f"no pool (would fit on {gpus(option)})"
        case Verdict.GPU_MEMORY:
            return f"GPU memory: {too_big(weighing, option.card.kind, option.gpu_count)}"
        case Verdict.NODE:
            return "; ".join(str(shortfall) for shortfall in option.shortfalls)
        case Verdict.FLOOR:
            floor = weighing.floor
            return (
                f"{gpus(option)} would hold it, but a model {floor.size_class} gets "
                f"{floor.gpu_memory_gb} GB and this node has {_nominal(option)} GB"
            )
        case Verdict.ASKED_MEMORY:
            return f"{request.memory_gb} GB were asked for and this node has {_nominal(option)} GB"
        case Verdict.NO_PRICE:
            return "not offered on demand in the region of the prices"
    if chosen is None or option is chosen:
        return "chosen"
    return _not_chosen(weighing, option, chosen)


def _not_chosen(weighing: Weighing, option: Option, chosen: Option) -> str:
    dedicated = weighing.request.dedicated
    more = option.pays(dedicated) - chosen.pays(dedicated)
    if more > 0:
        return f"costs {usd(more)} more"
    if more == 0:
        return "costs the same for a larger node"
    if option.gpu_count > WIDEST_MEASURED_SPLIT:
        return (
            f"costs {usd(-more)} less, but a split over {option.gpu_count} GPUs has not been "
            f"measured; --gpu {option.card.kind} takes it"
        )
    return f"a smaller card of the kind asked for fits ({chosen.card.kind})"


def _nominal(option: Option) -> int:
    return option.kind.gpu_count * option.card.nominal_gb


def why(weighing: Weighing, chosen: Option, bare: Weighing, everywhere: Weighing) -> list[str]:
    """Why the placement is what it is.

    Args:
        weighing: the request weighed, with its placement.
        chosen: that placement.
        bare: the same without the floor.
        everywhere: the same with a pool of every GPU kind.
    """
    sentences = [_choice(weighing, chosen)]
    sentences += _defaulted(weighing) + unfit(weighing.choice.model) + _named_gpus(weighing)
    sentences += _floor(weighing, chosen, bare.chosen)
    sentences += _narrower(weighing, chosen) + _elsewhere(weighing, chosen, everywhere.chosen)
    return sentences + _idle(weighing, chosen) + _estimates(chosen)


def _choice(weighing: Weighing, chosen: Option) -> str:
    request = weighing.request
    what = "node" if request.dedicated else "share of a node"
    asked = [f"--gpu {request.gpu}"] if request.gpu else []
    asked += [f"--memory {request.memory_gb}gb"] if request.memory_gb else []
    narrowed = f" with {' '.join(asked)}" if asked else ""
    if _cheaper_but_wider(weighing, chosen):
        narrowed += f" on at most {WIDEST_MEASURED_SPLIT} GPUs"
    if cheaper := _cheaper_but_larger_card(weighing, chosen):
        return (
            f"{where(chosen, dedicated=request.dedicated)} has the smallest {request.gpu} that "
            f"fits; {where(cheaper, dedicated=request.dedicated)} costs less: "
            f"--gpu {cheaper.card.kind} takes it."
        )
    return (
        f"{where(chosen, dedicated=request.dedicated)} is the cheapest {what} that fits{narrowed}."
    )


def _defaulted(weighing: Weighing) -> list[str]:
    said = weighing.choice.said
    return [said] if said else []


def unfit(model: Model) -> list[str]:
    """A warning about a model that doesn't work as an agent; it is served all the same."""
    if model.agents.verdict is not Fitness.UNFIT:
        return []
    return [
        f"{model.id} is unfit for agents: {model.agents.evidence}. It is served all the same; "
        "`moltghost models --recommended` shows what to take instead."
    ]


def _named_gpus(weighing: Weighing) -> list[str]:
    floor = weighing.floor
    problem = too_big(weighing, floor.named_gpu, floor.named_count)
    if problem is None:
        return []
    card = gpu_kind(floor.named_gpu)
    return [
        f"{floor.named_count} x {card.name}, the usual for its class, can't hold it: {problem}."
    ]


def _floor(weighing: Weighing, chosen: Option, bare: Option | None) -> list[str]:
    request, floor = weighing.request, weighing.floor
    if request.gpu or request.memory_gb or bare is None or bare.kind.type == chosen.kind.type:
        return []
    return [
        f"A model {floor.size_class} gets at least {floor.gpu_memory_gb} GB of GPU memory; without "
        f"that floor it would fit {where(bare, dedicated=request.dedicated)}."
    ]


def _narrower(weighing: Weighing, chosen: Option) -> list[str]:
    option = _cheaper_but_wider(weighing, chosen)
    if option is None:
        return []
    return [
        f"{where(option, dedicated=weighing.request.dedicated)} would fit too, but no model split "
        f"over more than {WIDEST_MEASURED_SPLIT} GPUs has been measured; --gpu {option.card.kind} "
        "takes it."
    ]


def _cheaper_but_wider(weighing: Weighing, chosen: Option) -> Option | None:
    dedicated = weighing.request.dedicated
    wider = (
        o
        for o in weighing.options
        if o.eligible
        and not weighing.request.gpu
        and o.gpu_count > WIDEST_MEASURED_SPLIT >= chosen.gpu_count
        and o.pays(dedicated) < chosen.pays(dedicated)
    )
    return min(wider, key=weighing.rank, default=None)


def _cheaper_but_larger_card(weighing: Weighing, chosen: Option) -> Option | None:
    """Of a wish such as `a100`, which is for the smaller card that fits."""
    dedicated = weighing.request.dedicated
    cheaper = (
        o
        for o in weighing.options
        if o.eligible
        and weighing.request.gpu
        and o.card.kind != chosen.card.kind
        and o.pays(dedicated) < chosen.pays(dedicated)
    )
    return min(cheaper, key=lambda option: option.pays(dedicated), default=None)


def _elsewhere(weighing: Weighing, chosen: Option, best: Option | None) -> list[str]:
    dedicated = weighing.request.dedicated
    if best is None or best.pays(dedicated) >= chosen.pays(dedicated):
        return []
    return [f"{where(best, dedicated=dedicated)} would fit too; the environment has no such pool."]


def _idle(weighing: Weighing, chosen: Option) -> list[str]:
    idle = chosen.kind.gpu_count - chosen.gpu_count
    if not (weighing.request.dedicated and idle):
        return []
    cost = chosen.pays(dedicated=True) - chosen.pays(dedicated=False)
    return [f"Idle GPUs: {idle} of {chosen.kind.gpu_count}, {usd(cost)} of the price."]


def _estimates(chosen: Option) -> list[str]:
    free = chosen.card.free_at_cuda_init_bytes
    tight = (free - chosen.needed_bytes) * 100 < free * _TIGHT_PERCENT
    if not (chosen.card.free_is_estimate and tight):
        return []
    return [f"It is tight, and the memory free on a {chosen.card.name} is an estimate."]
