"""Every public measurement scored: predicted, measured, error.

The planning margin is no part of a prediction. `tables` writes the result to docs/sizing.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moltghost.models import ModelChoice, Shape, find_model
from moltghost.sizing.compute import CUDA_CONTEXT_BYTES
from moltghost.sizing.footprint import GpuShare, Load, split
from moltghost.sizing.tensors import tensors
from moltghost.sizing.weights import layout, layout_of
from moltghost.units import GIB, MIB

GOLDEN = Path(__file__).parent / "golden" / "measurements_public.json"
# Not in the catalogue, but measured; its source states the shape.
QWEN3_06B = Shape("qwen3", 28, 1024, 16, 8, 128, 3072, 151936, tied_embeddings=True, qk_norm=True)
CURRENT = "current"
# Points whose number is an old program's estimate instead of a measurement.
ESTIMATES = ("m24",)
# Why a point falls below what its source says. Nothing else may.
UNDER = {
    "m24": "an estimate by the old Go code, without flash attention, no memory measured",
}
NEVER_VALIDATED = (
    "any L40S, and A100 with a catalogue model",
    "a quantized KV cache on a GPU, and its workspace there",
    "several slots on a GPU",
    "a catalogue model on several GPUs with a current build, and any split over more than 4",
    "any 405B model on any hardware",
)


@dataclass(frozen=True)
class Score:
    """One measured quantity against ours, in MiB. The measured one is an interval."""

    point: str
    what: str
    predicted: float
    low: float
    high: float
    note: str

    @property
    def error_percent(self) -> float:
        """Against the nearest end of the interval; 0 inside it."""
        if self.low <= self.predicted <= self.high:
            return 0.0
        nearest = self.low if self.predicted < self.low else self.high
        return (self.predicted / nearest - 1) * 100

    @property
    def under(self) -> bool:
        return self.predicted < self.low

    @property
    def row(self) -> str:
        measured = f"{self.low:.0f} to {self.high:.0f}"
        if self.high - self.low < 1.5:
            measured = f"{(self.low + self.high) / 2:.2f}"
        error = "inside" if self.error_percent == 0 else f"{self.error_percent:+.2f} %"
        return (
            f"| {self.point} | {self.what} | {self.predicted:.2f} | {measured} | {error} "
            f"| {self.note} |"
        )


def points() -> list[dict[str, Any]]:
    """The public points as their source has them."""
    found: list[dict[str, Any]] = json.loads(GOLDEN.read_text())["measurements"]
    return found


def predicted(point: dict[str, Any]) -> tuple[GpuShare, ...]:
    """What we say each GPU allocates at that point."""
    load = Load(point["context"], point["parallel"], point["kv_type"])
    if point["model"] == "qwen3-0.6b":
        table = tuple(tensors(QWEN3_06B, point["quant"]))
        return split(layout_of(table, tied=True), QWEN3_06B, load, point["gpu_count"])
    model = find_model(point["model"].replace("mistral-7b-v0.2-class", "mistral-7b")).model
    choice = ModelChoice(model, point["quant"])
    weights = layout(model, choice.quantization)
    return split(weights, model.shape, load, point["gpu_count"])


def scores(point: dict[str, Any]) -> Iterator[Score]:
    """What of a point can be compared; older builds only in weights and KV cache."""
    shares = predicted(point)
    name = f"{point['id']}: {point['model']} {point['quant']}, {point['context']}"
    used, measured = "not used", point["components_mib"] or {}
    current = point["compute_rule"].startswith(CURRENT)
    if current or point["id"] in ESTIMATES:
        context = 0 if "ollama ps" in point["quantity"] else CUDA_CONTEXT_BYTES
        note = "gave the CUDA context" if point["id"] == "m18" else used
        note = UNDER.get(point["id"], note)
        total = sum(s.allocated_bytes + context for s in shares)
        yield Score(
            name,
            "total with the CUDA context" if context else "total of the buffers",
            total / MIB,
            point["measured_bytes_min"] / MIB,
            point["measured_bytes_max"] / MIB,
            f"{note}; {point['gpu']}",
        )
    for key, found in (("model", "weights_bytes"), ("kv", "kv_cache_bytes")):
        parts = [device[key] for device in measured.values() if key in device]
        if parts:
            total = sum(getattr(s, found) for s in shares)
            label = {"model": "weights", "kv": "KV cache"}[key]
            yield Score(name, label, total / MIB, sum(parts) - 0.01, sum(parts) + 0.01, used)
    if current and measured:
        parts = [device["compute"] for device in measured.values()]
        total = sum(s.compute_bytes for s in shares)
        yield Score(name, "compute", total / MIB, sum(parts) - 0.01, sum(parts) + 0.01, used)


def measurement_table() -> str:
    """The table of docs/sizing.md."""
    lines = [
        "| point | what | predicted MiB | measured MiB | error | use |",
        "|---|---|---|---|---|---|",
    ]
    for point in points():
        lines += [score.row for score in scores(point)]
    lines += ["", "Never validated by any measurement:", ""]
    lines += [f"- {each}" for each in NEVER_VALIDATED]
    return "\n".join(lines)


# gguf-parser's README rows whose model is in the catalogue: (our name, context, row's label).
PARSER_ROWS = (
    ("llama3.3-70b-q4_K_M", 131072, "llama3.3 (70B Q4_K_M)"),
    ("llama3.3-70b-q4_K_M", 2048, "llama3.3 (70B Q4_K_M) --ol-usage"),
    ("qwen2.5-72b-q4_K_M", 32768, "Qwen2.5-72B-Instruct Q4_K_M"),
    ("qwen2.5-7b-q8", 131072, "Qwen2.5-7B-Instruct Q8_0"),
    ("qwen2.5-7b-q4_K_M", 131072, "DeepSeek-R1-Distill-Qwen-7B Q4_K_M"),
    ("qwen2.5-7b-f16", 131072, "DeepSeek-R1-Distill-Qwen-7B F16"),
    ("llama3.1-8b-q5", 8192, "Meta-Llama-3-8B-Instruct Q5_K_M"),
    ("llama3.1-70b-q4_K_M", 1024, "Llama-3.1-70B-Instruct Q4_K_M tensor-split 8,10"),
)


def parser_rows() -> Iterator[tuple[str, int, float, float, float]]:
    """(label, context, our weights + KV, theirs in total, their rest), GiB."""
    theirs = {
        row["model"]: row["vram_gib"]
        for row in json.loads(GOLDEN.read_text())["gguf_parser_reference"]["rows"]
    }
    for name, context, label in PARSER_ROWS:
        choice = find_model(name)
        shape = choice.model.shape
        (share,) = split(layout(choice.model, choice.quantization), shape, Load(context), 1)
        ours = (share.weights_bytes + share.kv_cache_bytes) / GIB
        yield label, context, ours, theirs[label], theirs[label] - ours


def parser_table() -> str:
    """The comparison with gguf-parser."""
    lines = [
        "| gguf-parser's row | context | our weights + KV, GiB | its total, GiB | the rest, GiB |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {label} | {context} | {ours:.2f} | {theirs:.2f} | {rest:.2f} |"
        for label, context, ours, theirs, rest in parser_rows()
    ]
    return "\n".join(lines)
