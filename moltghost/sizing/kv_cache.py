"""Bytes of the KV cache, per layer, as llama.cpp allocates it."""

from __future__ import annotations

from fractions import Fraction

from moltghost.models.catalogue import kv_bytes_per_element
from moltghost.models.facts import Shape

UNQUANTIZED = "f16"
CELL_PADDING = 256  # llama.cpp pads a slot's cells to this many (src/llama-kv-cache.cpp)


def padded_cells(context: int) -> int:
    """Cells of one slot of `context` tokens."""
    return -(-context // CELL_PADDING) * CELL_PADDING


def layer_bytes(
    shape: Shape, *, context: int, parallel: int, kv_cache: str, ubatch: int
) -> tuple[int, ...]:
    """KV bytes of each layer.

    `2 * kv_heads * head_dim * B(type) * cells * slots`, with the model's own `head_dim`: it is not
    `hidden / heads` everywhere. Layers with a sliding window hold `window + ubatch` cells at most
    (gemma2); llama.cpp turns Phi-3's window off (llama.cpp#13676). Confirmed by logs: 3584 MiB for
    llama3.2-3b at 32768 f16, 34/32 bytes per element for q8_0.

    Args:
        shape: the architecture.
        context: tokens per slot.
        parallel: slots (`OLLAMA_NUM_PARALLEL`).
        kv_cache: `f16`, `q8_0` or `q4_0`.
        ubatch: tokens processed at once; it widens a sliding window.
    """
    per_cell = 2 * shape.kv_width * Fraction(kv_bytes_per_element()[kv_cache])
    return tuple(
        int(per_cell * _cells(shape, layer, context, ubatch) * parallel)
        for layer in range(shape.layers)
    )


def window_cells(shape: Shape, context: int, ubatch: int) -> int:
    """Cells per slot of a layer with a sliding window; of any layer where there is no window."""
    window = shape.sliding_window
    return padded_cells(min(context, window.tokens + ubatch) if window else context)


def _cells(shape: Shape, layer: int, context: int, ubatch: int) -> int:
    window = shape.sliding_window
    if window is None or not window.limits(layer):
        return padded_cells(context)
    return window_cells(shape, context, ubatch)
