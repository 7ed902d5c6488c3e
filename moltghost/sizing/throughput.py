"""Expected speed of one stream, as intervals from measurements, and honest about their absence."""

from __future__ import annotations

from dataclasses import dataclass

from moltghost.models.hardware import card_speeds, several_gpus_low
from moltghost.models.hardware_facts import GpuKind
from moltghost.sizing.weights import WeightLayout
from moltghost.units import GB

Interval = tuple[float, float]
PROMPT_TOKENS = 1024  # a plain question
AGENT_PROMPT_TOKENS = 7400  # OpenClaw's base prompt (NVIDIA/NemoClaw#4813)
_SMALL_PARAMETERS, _LARGE_PARAMETERS = 10 * 10**9, 24 * 10**9
_OPERATIONS_PER_PARAMETER = 2
_TERA = 10**12


@dataclass(frozen=True, slots=True)
class Speed:
    """Intervals (low, high) for one stream; None where no measurement exists to go by.

    Attributes:
        tokens_per_second: decoding, from a full context (low) to an empty one (high).
        first_token_seconds: until the first token of a prompt of `prompt_tokens`.
        agent_first_token_seconds: the same for OpenClaw's own prompt.
    """

    tokens_per_second: Interval | None
    first_token_seconds: Interval | None
    prompt_tokens: int
    agent_first_token_seconds: Interval | None
    agent_prompt_tokens: int
    basis: str


def speed(
    layout: WeightLayout, kv_bytes_per_slot: int, context: int, card: GpuKind, gpus: int
) -> Speed:
    """Expected speed.

    Decoding: share * bandwidth / (weight bytes read per token + KV bytes of the used context).
    Several GPUs with the layer split work one after the other, so one GPU's bandwidth counts.
    Prompt: 2 operations per active parameter and token.

    Args:
        layout: the model's weights.
        kv_bytes_per_slot: KV cache of one full slot.
        context: tokens per slot.
        card: the GPU kind.
        gpus: how many.
    """
    figures = card_speeds().get(card.kind)
    prompt, agent = min(PROMPT_TOKENS, context), min(AGENT_PROMPT_TOKENS, context)
    if figures is None or card.bandwidth_gb_s is None:
        return Speed(None, None, prompt, None, agent, f"no measurement on {card.name}")
    low, high = _share(layout, figures.small, figures.large)
    bandwidth = card.bandwidth_gb_s * GB
    spread = several_gpus_low() if gpus > 1 else 1.0
    decode = (
        low * spread * bandwidth / (layout.read_bytes + kv_bytes_per_slot),
        high * bandwidth / layout.read_bytes,
    )
    return Speed(
        tokens_per_second=_rounded(decode),
        first_token_seconds=_first_token(layout, prompt, figures.prefill_tflops, decode),
        prompt_tokens=prompt,
        agent_first_token_seconds=_first_token(layout, agent, figures.prefill_tflops, decode),
        agent_prompt_tokens=agent,
        basis=f"llama.cpp on {card.name}" if figures.measured else "H100's, wider: no measurement",
    )


def _share(layout: WeightLayout, small: Interval, large: Interval) -> Interval:
    dense = layout.active_parameters > layout.parameters // 2
    if dense and layout.active_parameters <= _SMALL_PARAMETERS:
        return small
    if dense and layout.active_parameters >= _LARGE_PARAMETERS:
        return large
    return min(small[0], large[0]), max(small[1], large[1])


def _first_token(layout: WeightLayout, tokens: int, tflops: Interval, decode: Interval) -> Interval:
    operations = _OPERATIONS_PER_PARAMETER * layout.active_parameters * tokens
    slow, fast = (operations / (rate * _TERA) for rate in tflops)
    return _rounded((fast + 1 / decode[1], slow + 1 / decode[0]))


def _rounded(interval: Interval) -> Interval:
    return float(f"{interval[0]:.3g}"), float(f"{interval[1]:.3g}")
