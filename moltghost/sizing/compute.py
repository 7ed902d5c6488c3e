"""Batch size, compute buffers and workspace, with flash attention on (the default on CUDA).

Formulas: llama.cpp b10488, the build that Ollama 0.33 pins. For Llama shapes with an f16 cache the
buffer is exact to 0.1 MiB against that engine; with a quantized cache, or where heads * head_dim is
not the hidden width, it is off by -10 % to +6 %, which the planning margin covers.
"""

from __future__ import annotations

from moltghost.models.facts import Shape
from moltghost.sizing.kv_cache import padded_cells
from moltghost.units import MIB

# What a CUDA process takes before it allocates: 594 MiB on an H100 (nvidia-smi less the buffers of
# the log); not measured on L40S and A100.
CUDA_CONTEXT_BYTES = 600 * MIB
# GGML_SCHED_MAX_COPIES: with several GPUs the scheduler keeps this many input copies on each.
PIPELINE_COPIES = 4
# Ollama server/sched.go automaticGenerationBatch: (tokens over all slots are above, batch).
_BATCHES = ((32768, 2048), (4096, 1024), (0, 512))
_MASK_BYTES, _ACTIVATION_BYTES, _F16_BYTES = 2, 4, 2


def batch_tokens(context: int, parallel: int) -> int:
    """Tokens per batch and ubatch that Ollama starts llama-server with.

    Ollama steps this down when its own prediction is near the memory it sees; the plan ignores
    that, because a smaller batch only needs less.
    """
    return next(batch for above, batch in _BATCHES if context * parallel > above)


def buffer_bytes(shape: Shape, *, context: int, parallel: int, ubatch: int, gpus: int) -> int:
    """Compute buffer on each GPU.

    One GPU: attention mask (f16) + activations. Several: `PIPELINE_COPIES` times the mask and the
    layer input, + activations (unslothai/unsloth#7637, llama.cpp#24355). The mask is taken over the
    tokens of all slots, which is an upper bound.
    """
    mask = padded_cells(context) * parallel * ubatch * _MASK_BYTES
    attention = shape.heads * shape.head_dim + shape.kv_width
    widest = max(shape.ffn * max(shape.experts_used, 1), attention)
    activations = ubatch * _ACTIVATION_BYTES * (4 * shape.hidden + 3 * widest)
    if gpus == 1:
        return mask + activations
    layer_input = ubatch * shape.hidden * _ACTIVATION_BYTES
    return PIPELINE_COPIES * (mask + layer_input) + activations


def kv_workspace_bytes(shape: Shape, *, context: int, parallel: int, kv_cache: str) -> int:
    """Where flash attention turns one layer's quantized K and V back to f16 (llama.cpp#23446).

    It is allocated outside the compute buffer, on each GPU; none for an f16 cache.
    """
    if kv_cache == "f16":
        return 0
    return 2 * shape.kv_width * padded_cells(context) * parallel * _F16_BYTES
