"""Caches and states against what llama.cpp logged on other people's machines."""

from dataclasses import replace

import pytest

from moltghost.models import Shape, models
from moltghost.models.shape import Mixer
from moltghost.sizing.kv_cache import (
    checkpoint_bytes,
    layer_bytes,
    padded_cells,
    state_bytes,
    window_cells,
)
from moltghost.units import MIB

SHAPES = {model.id: model.shape for model in models()}
# Model, tokens per slot, slots, ubatch, cache type, what, MiB as logged. Public logs of 2026, each
# with its number in the index that it was found by. Copies: with speculative drafting the engine
# keeps more states (llama-memory-recurrent.cpp, n_rs_seq); we never ask for it.
LOGGED = [
    ("qwen3.8-27b", 24576, 1, 512, "f16", "full", 1536.00),  # 68664296548
    ("qwen3.8-27b", 24576, 1, 512, "f16", "conv", 5.62),
    ("qwen3.8-27b", 24576, 1, 512, "f16", "state", 144.00),
    ("qwen3.5-27b", 8192, 1, 512, "f16", "full", 512.00),  # 61561819241
    ("qwen3.5-27b", 262144, 1, 512, "f16", "full", 16384.00),  # 57918538511
    ("qwen3.5-27b", 262144, 1, 512, "f16", "7 copies", 1047.38),
    ("qwen3.5-27b", 8192, 1, 512, "f16", "3 copies", 448.88),  # 67225578011
    ("qwen3.5-9b", 33792, 4, 512, "f16", "full", 4224.00),  # 59045670747
    ("qwen3.5-9b", 33792, 4, 512, "f16", "conv", 9.00),
    ("qwen3.5-9b", 33792, 4, 512, "f16", "state", 192.00),
    ("qwen3.5-4b", 4096, 1, 512, "f16", "conv", 2.25),  # 57488598479, 67369886488
    ("qwen3.5-4b", 4096, 1, 512, "f16", "state", 48.00),
    ("qwen3.6-35b-a3b", 32768, 1, 512, "f16", "full", 640.00),  # 60824103497
    ("qwen3.6-35b-a3b", 32768, 1, 512, "f16", "1 copies", 62.81),
    ("qwen3.5-35b-a3b", 4096, 4, 512, "f16", "conv", 11.25),  # 52911601095
    ("qwen3.5-35b-a3b", 4096, 4, 512, "f16", "state", 240.00),
    ("qwen3.6-35b-a3b", 262144, 1, 512, "q8_0", "full", 2720.00),  # 70384146194, Ollama's own
    ("gpt-oss-20b", 131072, 1, 2048, "f16", "full", 3072.00),  # 59932672849
    ("gpt-oss-20b", 131072, 1, 2048, "f16", "window", 54.00),
    ("gpt-oss-120b", 65536, 1, 512, "f16", "full", 2304.00),  # 63116515353
    ("gemma4-12b", 8192, 1, 512, "f16", "full", 128.00),  # 67663730134
    ("gemma4-12b", 8192, 1, 512, "q8_0", "full", 68.00),  # 57750453327
    ("gemma4-31b", 32768, 1, 512, "f16", "full", 2560.00),  # 58666081054
    ("gemma4-31b", 262144, 1, 512, "q8_0", "full", 10880.00),  # 53253709029
    ("gemma4-e4b", 32768, 1, 512, "f16", "full", 512.00),  # 55602817075
]
# The same of servers whose slots share their cells: one window of all their tokens.
UNIFIED = [
    ("gpt-oss-120b", 4, 512, "f16", 1024, 36.00),  # 63116515353
    ("gemma4-12b", 4, 512, "q8_0", 4608, 765.00),  # 57750453327
    ("gemma4-31b", 4, 512, "f16", 4608, 3600.00),  # 58666081054
    ("gemma4-12b", 4, 2048, "f16", 6144, 1920.00),  # 67663730134
]


def of_kind(shape: Shape, kind: Mixer, context: int, slots: int, ubatch: int, cache: str) -> int:
    kept = layer_bytes(shape, context=context, parallel=slots, kv_cache=cache, ubatch=ubatch)
    return sum(size for layer, size in enumerate(kept) if shape.mixer(layer) is kind)


def test_there_are_29_logged_numbers() -> None:
    assert len(LOGGED) + len(UNIFIED) == 29


@pytest.mark.parametrize(("name", "context", "slots", "ubatch", "cache", "what", "mib"), LOGGED)
def test_a_logged_cache_or_state_is_ours_to_its_last_digit(
    name: str, context: int, slots: int, ubatch: int, cache: str, what: str, mib: float
) -> None:
    shape = SHAPES[name]
    recurrent = [n for n in range(shape.layers) if shape.mixer(n) is Mixer.RECURRENT]
    conv, state = state_bytes(shape)
    if what in ("full", "window"):
        found = of_kind(shape, Mixer(what), context, slots, ubatch, cache)
    elif what == "conv":
        found = conv * len(recurrent) * slots
    elif what == "state":
        found = state * len(recurrent) * slots
    else:
        copies = int(what.split()[0])
        found = copies * of_kind(shape, Mixer.RECURRENT, context, slots, ubatch, cache)
    assert found / MIB == pytest.approx(mib, abs=0.006)


@pytest.mark.parametrize(("name", "sequences", "ubatch", "cache", "cells", "mib"), UNIFIED)
def test_a_window_of_all_slots_is_ours_to_its_last_digit(
    name: str, sequences: int, ubatch: int, cache: str, cells: int, mib: float
) -> None:
    shape = SHAPES[name]
    window = shape.sliding_window
    assert window
    shared = replace(shape, sliding_window=replace(window, tokens=window.tokens * sequences))
    assert window_cells(shared, 65536, ubatch) == cells
    assert of_kind(shared, Mixer.WINDOW, 65536, 1, ubatch, cache) / MIB == pytest.approx(mib)


def test_a_state_doesnt_grow_with_the_context_nor_shrink_with_the_cache_type() -> None:
    shape = SHAPES["qwen3.6-27b"]
    for context, cache in ((4096, "f16"), (262144, "q4_0")):
        found = of_kind(shape, Mixer.RECURRENT, context, 1, 512, cache)
        assert found / MIB == pytest.approx(149.62, abs=0.006)


def test_layers_that_share_a_cache_and_feed_forwards_keep_nothing() -> None:
    for name, kind in (("gemma4-e4b", Mixer.SHARED), ("nemotron-3-nano-30b", Mixer.NONE)):
        shape = SHAPES[name]
        assert sum(shape.mixer(layer) is kind for layer in range(shape.layers)) in (18, 23)
        assert of_kind(shape, kind, 131072, 1, 512, "f16") == 0


def test_mla_keeps_one_row_of_576_and_no_values() -> None:
    # 44928 MiB over 78 layers and 524288 cells were logged of a GLM of the same row (61313070182).
    shape = SHAPES["glm-4.7-flash"]
    found = of_kind(shape, Mixer.FULL, 524288, 1, 512, "f16")
    assert found / MIB * 78 / 47 == pytest.approx(44928)


def test_cells_are_padded_to_256() -> None:
    assert (padded_cells(1), padded_cells(256), padded_cells(257)) == (256, 256, 512)


def test_a_checkpoint_has_what_cant_be_rewound() -> None:
    def mib(name: str) -> float:
        found = checkpoint_bytes(SHAPES[name], context=65536, kv_cache="f16", ubatch=512)
        return found / MIB

    assert mib("qwen3.6-27b") == pytest.approx(149.62, abs=0.006)
    assert mib("gemma4-31b") == pytest.approx(1200.0)
    assert mib("llama3.1-8b") == mib("qwen3-30b-a3b") == 0
