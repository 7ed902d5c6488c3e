"""Batch size and compute buffers, as llama.cpp b10488 (the build that Ollama 0.33 pins) reserves.

The buffer is what ggml's allocator takes for the model's graph, replayed (`graph`, `allocator`),
with flash attention on, the default on CUDA. Checked against that engine on the CPU for every
catalogue model (docs/sizing.md), and against one log from a GPU: qwen3-0.6b on an H100, 264.04 MiB.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

from moltghost.models.shape import Shape
from moltghost.sizing.graph import Batch, Device, compute_bytes
from moltghost.sizing.kv_cache import UNQUANTIZED, padded_cells, window_cells
from moltghost.units import MIB

# What a CUDA process takes before it allocates: 594 MiB on an H100 (nvidia-smi less the buffers of
# the log); not measured on L40S and A100.
CUDA_CONTEXT_BYTES = 600 * MIB
# Ollama server/sched.go automaticGenerationBatch: (tokens over all slots are above, batch).
_BATCHES = ((32768, 2048), (4096, 1024), (0, 512))
_F32_BYTES = 4


@dataclass(frozen=True, slots=True)
class Buffers:
    """What each GPU reserves to compute in.

    Attributes:
        compute_bytes: the compute buffer, without the next.
        kv_workspace_bytes: what the buffer grows by because flash attention turns one layer's
            quantized K and V back to f16; 0 for an f16 cache, or where it fits beside the rest.
    """

    compute_bytes: int
    kv_workspace_bytes: int


def batch_tokens(context: int, parallel: int) -> int:
    """Tokens per batch and ubatch that Ollama starts llama-server with.

    Ollama steps this down when its own prediction is near the memory it sees; the plan ignores
    that, because a smaller batch only needs less.
    """
    return next(batch for above, batch in _BATCHES if context * parallel > above)


@cache
def buffers(
    shape: Shape, *, context: int, parallel: int, kv_cache: str, ubatch: int, gpus: int
) -> Buffers:
    """The compute buffer of each of `gpus` GPUs.

    One GPU: the larger of the graph on a GPU and on the CPU alone, which the engine confirmed and
    which is larger by the layer input at most. Several: four copies of every input (mask and layer
    input above all) and the activations, and one layer input more: no log of a current build shows
    a catalogue model there, and the published rule (unslothai/unsloth#7637, llama.cpp#24355) has
    it. The engine rounds a batch up to a multiple of the slots; the plan takes the most that can
    be, so that more slots never need less.

    Args:
        shape: the architecture.
        context: tokens per slot.
        parallel: slots.
        kv_cache: `f16`, `q8_0` or `q4_0`.
        ubatch: tokens computed at once.
        gpus: how many share the layers.
    """
    batch = worst_batch(shape, context=context, parallel=parallel, kv_cache=kv_cache, ubatch=ubatch)
    whole_batch = min(ubatch, batch.cells * parallel)
    batch = replace(batch, tokens=whole_batch + parallel - 1)
    unquantized = kv_cache == UNQUANTIZED
    if gpus > 1:
        spare = batch.tokens * shape.hidden * _F32_BYTES
        plain = compute_bytes(shape, batch, Device.PIPELINE) + spare
        if unquantized:
            return Buffers(plain, 0)
        whole = compute_bytes(shape, batch, Device.PIPELINE, f16_copies=True) + spare
    else:
        plain = max(compute_bytes(shape, batch, d) for d in (Device.HOST, Device.GPU))
        if unquantized:
            return Buffers(plain, 0)
        whole = compute_bytes(shape, batch, Device.GPU, f16_copies=True)
    return Buffers(plain, max(0, whole - plain))


def worst_batch(shape: Shape, *, context: int, parallel: int, kv_cache: str, ubatch: int) -> Batch:
    """The batch for which memory is reserved: full context in every slot."""
    cells = padded_cells(context)
    tokens = min(ubatch, cells * parallel)
    return Batch(
        tokens=-(-tokens // parallel) * parallel,  # as many of each slot
        outputs=parallel,
        cells=cells,
        window_cells=window_cells(shape, context, ubatch),
        streams=parallel,
        quantized=kv_cache != UNQUANTIZED,
    )
