"""The tables of docs/sizing.md that are computed.

    python -m tests.sizing.tables

rewrites them; a test compares, so that they can't drift from the code.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from moltghost.models import gpu_kind, models
from moltghost.models.hardware import card_speeds
from moltghost.sizing import SizingRequest, size
from moltghost.sizing.weights import layout
from moltghost.units import GB
from tests.sizing.engine import (
    golden_answers,
    golden_points,
    our_cache_mib,
    our_compute_mib,
    our_weights_mib,
)
from tests.sizing.measurements import measurement_table, parser_table

DOCS = Path(__file__).parents[2] / "docs" / "sizing.md"
BEGIN, END = "<!-- begin {} (python -m tests.sizing.tables) -->", "<!-- end {} -->"
CARD = "a100-80"


@dataclass(frozen=True)
class Claim:
    """A row of the product text's performance table, for A100."""

    label: str
    model: str
    tokens_per_second: int
    first_token_seconds: float
    seconds_for_1k: int


CLAIMS = (
    Claim("7B Q4", "mistral-7b-q4", 150, 0.2, 8),
    Claim("70B Q4", "llama3.1-70b-q4", 45, 0.8, 25),
    Claim("405B Q4", "llama3.1-405b-q4", 12, 2.5, 90),
)


def bound(model: str) -> float:
    """Tokens per second at one GPU's whole bandwidth: no split by layers can be faster."""
    found = size(SizingRequest(model, gpu=CARD, context=8192))
    record = next(m for m in models() if m.id == found.model)
    bandwidth = gpu_kind(CARD).bandwidth_gb_s
    assert bandwidth
    return bandwidth * GB / layout(record, found.quantization).read_bytes


def judged(claim: Claim) -> str:
    """What one GPU's bandwidth, and what was measured, say to a claim."""
    found = size(SizingRequest(claim.model, gpu=CARD, context=8192)).speed.tokens_per_second
    assert found
    if claim.tokens_per_second > bound(claim.model):
        return "impossible with layers split: beyond one GPU's whole bandwidth"
    if claim.tokens_per_second > found[1]:
        share = claim.tokens_per_second / bound(claim.model)
        best = max(card_speeds()[CARD].large)
        return f"would take {share:.0%} of the bandwidth; the best measured share is {best:.0%}"
    return "plausible at the upper end"


def performance_table() -> str:
    lines = [
        "| model | text: tokens/s | predicted | one GPU's bound | judgement "
        "| text: first token | predicted (1024 tokens) | text: 1K tokens | predicted |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for claim in CLAIMS:
        found = size(SizingRequest(claim.model, gpu=CARD, context=8192))
        rate, first = found.speed.tokens_per_second, found.speed.first_token_seconds
        assert rate
        assert first
        whole = first[0] + 1024 / rate[1], first[1] + 1024 / rate[0]
        lines.append(
            f"| {claim.label} on {found.placement.gpu_count} x {CARD} "
            f"| {claim.tokens_per_second}+ | {rate[0]:.3g} to {rate[1]:.3g} "
            f"| {bound(claim.model):.3g} | {judged(claim)} "
            f"| {claim.first_token_seconds:g} s | {first[0]:.2g} to {first[1]:.2g} s "
            f"| {claim.seconds_for_1k} s | {whole[0]:.2g} to {whole[1]:.3g} s |"
        )
    return "\n".join(lines)


def agreement_table() -> str:
    """Our numbers against the engine's, the largest difference per model."""
    lines = [
        "| model | quantizations | points | weights, MiB | KV cache, MiB | compute, MiB "
        "| engine aborts |",
        "|---|---|---|---|---|---|---|",
    ]
    for model in models():
        golden = golden_answers()[model.id]
        weights = [
            our_weights_mib(model, quantization) - mib
            for quantization, mib in golden["weights_mib"].items()
        ]
        points = list(golden_points(model))
        cache = [our_cache_mib(model, p) - a.cache for p, a in points if a.cache is not None]
        compute = [
            our_compute_mib(model, p) - a.compute for p, a in points if a.compute is not None
        ]
        each = len(points) // len(golden["answers"])
        lines.append(
            f"| {model.id} | {len(weights)} | {len(weights) * each} | {most(weights):.2f} "
            f"| {most(cache):.3f} | {most(compute):.3f} "
            f"| {len(weights) * (each - len(compute) // len(golden['answers'])) or ''} |"
        )
    return "\n".join(lines)


def most(differences: list[float]) -> float:
    return max(abs(difference) for difference in differences)


TABLES: dict[str, Callable[[], str]] = {
    "engine": agreement_table,
    "measurements": measurement_table,
    "gguf-parser": parser_table,
    "performance": performance_table,
}


def written(text: str) -> str:
    """A document with its tables as they are now."""
    for name, table in TABLES.items():
        begin, end = BEGIN.format(name), END.format(name)
        head, found, rest = text.partition(begin)
        assert found, f"docs/sizing.md has no {begin}"
        _, _, tail = rest.partition(end)
        text = f"{head}{begin}\n{table()}\n{end}{tail}"
    return text


if __name__ == "__main__":
    DOCS.write_text(written(DOCS.read_text()))
