"""Bytes that a model keeps of what it has read: KV caches and recurrent states, per layer.

As llama.cpp b10488 allocates them: src/llama-kv-cache.cpp l.163-247 (attention), llama-kv-cache-
iswa.cpp l.52-81 (windows), llama-memory-recurrent.cpp l.75-106 (states), with what Ollama asks for:
a stream of its own for each slot. Held against 29 numbers of public logs and against the engine
(docs/sizing.md).
"""

from __future__ import annotations

from fractions import Fraction

from moltghost.models.catalogue import kv_bytes_per_element
from moltghost.models.shape import Mixer, Shape

UNQUANTIZED = "f16"
CELL_PADDING = 256  # llama.cpp pads a slot's cells to this many (src/llama-kv-cache.cpp)
_STATE_BYTES = 4  # states are f32, whatever the cache's type


def padded_cells(context: int) -> int:
    """Cells of one slot of `context` tokens."""
    return -(-context // CELL_PADDING) * CELL_PADDING


def layer_bytes(
    shape: Shape, *, context: int, parallel: int, kv_cache: str, ubatch: int
) -> tuple[int, ...]:
    """Bytes that each layer keeps, over all slots.

    Args:
        shape: the architecture.
        context: tokens per slot.
        parallel: slots (`OLLAMA_NUM_PARALLEL`).
        kv_cache: `f16`, `q8_0` or `q4_0`.
        ubatch: tokens processed at once; it widens a sliding window.
    """
    cells = {
        Mixer.FULL: padded_cells(context),
        Mixer.WINDOW: window_cells(shape, context, ubatch),
    }
    state = sum(state_bytes(shape)) * parallel
    found = []
    for layer in range(shape.layers):
        kind = shape.mixer(layer)
        if kind in cells:
            found.append(int(cell_bytes(shape, layer, kv_cache) * cells[kind] * parallel))
        else:
            found.append(state if kind is Mixer.RECURRENT else 0)
    return tuple(found)


def cell_bytes(shape: Shape, layer: int, kv_cache: str) -> Fraction:
    """Bytes of one token in the cache of a layer with attention.

    K and V of the model's own `head_dim`, which is not `hidden / heads` everywhere; with MLA one
    compressed row and no V (`llama_hparams::is_mla`).
    """
    width = shape.mla.cached_width if shape.mla else 2 * shape.kv_width_of(layer)
    return width * Fraction(kv_bytes_per_element()[kv_cache])


def window_cells(shape: Shape, context: int, ubatch: int) -> int:
    """Cells per slot of a layer with a sliding window; of any layer where there is no window."""
    window = shape.sliding_window
    return padded_cells(min(padded_cells(context), window.tokens + ubatch) if window else context)


def state_bytes(shape: Shape) -> tuple[int, int]:
    """Bytes of one recurrent layer and slot: of its convolution, and of its state."""
    if shape.recurrent is None:
        return 0, 0
    conv, state = shape.recurrent.state_elements
    return conv * _STATE_BYTES, state * _STATE_BYTES


def checkpoint_bytes(shape: Shape, *, context: int, kv_cache: str, ubatch: int) -> int:
    """Bytes of one checkpoint: what of a slot can't be rewound, states and windows."""
    if shape.recurrent is None and shape.sliding_window is None:
        return 0
    kept = layer_bytes(shape, context=context, parallel=1, kv_cache=kv_cache, ubatch=ubatch)
    lasting = (Mixer.RECURRENT, Mixer.WINDOW)
    return sum(size for layer, size in enumerate(kept) if shape.mixer(layer) in lasting)
