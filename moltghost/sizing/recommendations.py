"""What to take for an agent: the catalogue's recommended models, with where each would run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from moltghost.models.catalogue import models
from moltghost.models.facts import Fitness, Model
from moltghost.models.hardware import gpu_kind
from moltghost.models.names import ModelChoice
from moltghost.sizing.capacity import Gpus, best_quantization
from moltghost.sizing.footprint import Load
from moltghost.sizing.placement import Option, weigh
from moltghost.sizing.request import GPU_WISHES, Pool, SizingRequest, default_pools

# Ollama advises so many tokens for agents (ollama@fb30760 docs/context-length.mdx).
AGENT_CONTEXT = 65536
# Not worth its price to an agent: twice the memory of Q8_0, half the speed.
_FULL_PRECISION = ("F16",)


@dataclass(frozen=True, slots=True)
class Recommendation:
    """A recommended model on the cheapest node that takes it.

    Attributes:
        context: tokens of its one slot.
    """

    choice: ModelChoice
    context: int
    option: Option


def recommended_models() -> tuple[Model, ...]:
    """The recommended models, best first."""
    found = [m for m in models() if m.agents.verdict is Fitness.RECOMMENDED]
    return tuple(sorted(found, key=lambda m: m.agents.rank or 0))


def recommend(gpu: str | None, pools: Sequence[Pool] | None = None) -> tuple[Recommendation, ...]:
    """Recommended models that run for an agent, best first.

    Args:
        gpu: only what one GPU of this kind holds, each in the largest quantization that fits;
            None: any node, in the default quantization.
        pools: the environment's GPU pools; the product's four by default.

    Raises:
        Refused: there is no such GPU kind.
    """
    pools = default_pools() if pools is None else pools
    kinds = GPU_WISHES.get(gpu.lower(), (gpu,)) if gpu else ()
    cards = [gpu_kind(kind) for kind in kinds]
    found = []
    for model in recommended_models():
        context = min(AGENT_CONTEXT, model.max_context)
        choice: ModelChoice | None = ModelChoice(model, model.default_quantization)
        if cards:
            sizes = [q for q in model.quantizations if q not in _FULL_PRECISION]
            choice = best_quantization(model, Gpus(cards[-1]), Load(context), sizes)
        if choice is None:
            continue
        request = SizingRequest(choice.name, context=context, gpu=gpu)
        option = weigh(request, choice, pools).chosen
        if option and (option.gpu_count == 1 or not cards):
            found.append(Recommendation(choice, context, option))
    return tuple(found)
