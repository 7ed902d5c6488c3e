"""Answers for the models that the catalogue began with stay what they were."""

import json
from pathlib import Path
from typing import Any

import pytest

from moltghost.errors import Refused
from moltghost.models import ModelChoice, models
from moltghost.sizing import SizingRequest, size

FIRST: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).parent / "golden" / "first_models.json").read_text()
)["models"]
# Where a source said that an answer was wrong: llama-server keeps checkpoints of windows in system
# memory (32 of a slot, common/common.h l.613 of llama.cpp b10488), which weren't counted.
CHECKPOINTS = ("gemma2-9b", "gemma2-27b")
MEMORY = 6


def answer(choice: ModelChoice, context: int, slots: int, cache: str) -> list[object] | str:
    try:
        found = size(
            SizingRequest(choice.name, context=context, parallel=slots, kv_cache=cache),
            choice=choice,
        )
    except Refused as refused:
        return refused.message
    need = found.footprint
    return [
        found.file_bytes,
        need.weights_bytes,
        need.kv_cache_bytes,
        need.compute_bytes,
        need.total_bytes,
        f"{found.placement.instance_type} {found.placement.gpu_count}",
        found.resources.memory_bytes,
        found.resources.ephemeral_storage_bytes,
        list(found.speed.tokens_per_second or ()),
    ]


def test_the_first_models_are_all_there() -> None:
    assert len(FIRST) == 28
    assert set(FIRST) <= {model.id for model in models()}


@pytest.mark.parametrize("model", [m for m in models() if m.id in FIRST], ids=lambda m: m.id)
def test_no_answer_of_the_first_models_changed(model: Any) -> None:
    for key, before in FIRST[model.id].items():
        quantization, context, cache, slots = key.split("/")
        now = answer(ModelChoice(model, quantization), int(context), int(slots), cache)
        if model.id in CHECKPOINTS and int(slots) > 1 and isinstance(now, list):
            assert now[MEMORY] >= before[MEMORY], key
            now[MEMORY] = before[MEMORY]
        assert now == before, key
