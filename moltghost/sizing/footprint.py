"""GPU memory that a model takes: each term on each GPU, and their sums.

Layers are split as llama.cpp's layer split does it: contiguous, in equal numbers, the output matrix
counted as one more layer after the last. The planning margin is apart from the estimate:
`FIT_TARGET` is what the engine itself wants to stay free, `safety` is ours.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

from moltghost.models.shape import Shape
from moltghost.sizing import compute, kv_cache
from moltghost.sizing.kv_cache import UNQUANTIZED
from moltghost.sizing.weights import WeightLayout
from moltghost.units import MIB

# llama-server --fit leaves this much free on every device (LLAMA_ARG_FIT_TARGET's default).
FIT_TARGET_BYTES = 1024 * MIB
# A judgement, not a fit: at least 1 GiB or 7 % of KV and compute, wherever no measurement of a
# current build exists: several GPUs, long contexts, several slots, a quantized cache. A quantized
# cache is never planned with more than f16 would need (docs/decisions/0027).
SAFETY_BYTES = 1024 * MIB
SAFETY_PERCENT = 7
LONG_CONTEXT = 131072
# A judgement: the vision tower's own compute buffer, on the first GPU. Gemma 3's is 4096 patches
# attending to one another in 16 heads, 1024 MiB as F32; no log of a current build was found.
VISION_COMPUTE_BYTES = 1024 * MIB


@dataclass(frozen=True, slots=True)
class Load:
    """How a model is served: what its memory depends on beside its weights.

    Attributes:
        context: tokens per slot.
        parallel: slots.
        kv_cache: `f16`, `q8_0` or `q4_0`.
    """

    context: int
    parallel: int = 1
    kv_cache: str = "f16"

    @property
    def batch(self) -> int:
        """Tokens per batch, as Ollama chooses."""
        return compute.batch_tokens(self.context, self.parallel)


@dataclass(frozen=True, slots=True)
class GpuShare:
    """What one GPU holds, in bytes.

    Attributes:
        layers: layers on it (without the output matrix).
        margin_bytes: memory the plan leaves free: the engine's fit target and our safety term.
    """

    layers: int
    weights_bytes: int
    kv_cache_bytes: int
    compute_bytes: int
    kv_workspace_bytes: int
    cuda_context_bytes: int
    margin_bytes: int

    @property
    def allocated_bytes(self) -> int:
        """What the engine allocates: to compare with memory that is free at CUDA's start."""
        return (
            self.weights_bytes + self.kv_cache_bytes + self.compute_bytes + self.kv_workspace_bytes
        )

    @property
    def needed_bytes(self) -> int:
        """Allocations and margin: must not exceed what is free at CUDA's start."""
        return self.allocated_bytes + self.margin_bytes


@dataclass(frozen=True, slots=True)
class Footprint:
    """GPU memory over all GPUs of the model, in bytes.

    Attributes:
        overhead_bytes: CUDA contexts and the workspace of a quantized cache.
        total_bytes: the sum of all terms, margin included.
        host_bytes: embeddings that stay in system memory.
    """

    weights_bytes: int
    kv_cache_bytes: int
    compute_bytes: int
    overhead_bytes: int
    margin_bytes: int
    total_bytes: int
    cuda_context_bytes: int
    kv_workspace_bytes: int
    host_bytes: int
    per_gpu: tuple[GpuShare, ...]


def split(layout: WeightLayout, shape: Shape, load: Load, gpus: int) -> tuple[GpuShare, ...]:
    """What each of `gpus` GPUs holds."""
    shares = _shares(layout, shape, load, gpus)
    if load.kv_cache == UNQUANTIZED:
        return shares
    whole = _shares(layout, shape, replace(load, kv_cache=UNQUANTIZED), gpus)
    return tuple(
        replace(share, margin_bytes=_capped_margin(share, at_most.needed_bytes))
        for share, at_most in zip(shares, whole, strict=True)
    )


def _capped_margin(share: GpuShare, most_needed_bytes: int) -> int:
    """The margin, less what of our safety term would exceed that need."""
    return max(FIT_TARGET_BYTES, min(share.margin_bytes, most_needed_bytes - share.allocated_bytes))


def _shares(layout: WeightLayout, shape: Shape, load: Load, gpus: int) -> tuple[GpuShare, ...]:
    cache_layers = _kv_layers(shape, load)
    reserved = compute.buffers(
        shape,
        context=load.context,
        parallel=load.parallel,
        kv_cache=load.kv_cache,
        ubatch=load.batch,
        gpus=min(gpus, 2),  # several all reserve the same
    )
    shares = []
    for gpu in range(gpus):
        first, end = _layer_range(shape.layers, gpu, gpus)
        kv_bytes = sum(cache_layers[first:end])
        output = layout.output_bytes if gpu == gpus - 1 else 0
        vision = layout.vision_bytes if gpu == 0 else 0
        computed = reserved.compute_bytes + (VISION_COMPUTE_BYTES if vision else 0)
        shares.append(
            GpuShare(
                layers=end - first,
                weights_bytes=sum(layout.layer_bytes[first:end]) + output + vision,
                kv_cache_bytes=kv_bytes,
                compute_bytes=computed,
                kv_workspace_bytes=reserved.kv_workspace_bytes,
                cuda_context_bytes=compute.CUDA_CONTEXT_BYTES,
                margin_bytes=FIT_TARGET_BYTES + _safety(load, gpus, kv_bytes + computed),
            )
        )
    return tuple(shares)


def footprint(layout: WeightLayout, shape: Shape, load: Load, gpus: int) -> Footprint:
    """The whole model over `gpus` GPUs, with the share of each."""
    shares = split(layout, shape, load, gpus)
    weights = sum(s.weights_bytes for s in shares)
    kv_bytes = sum(s.kv_cache_bytes for s in shares)
    buffers = sum(s.compute_bytes for s in shares)
    workspace = sum(s.kv_workspace_bytes for s in shares)
    context = sum(s.cuda_context_bytes for s in shares)
    margin = sum(s.margin_bytes for s in shares)
    return Footprint(
        weights_bytes=weights,
        kv_cache_bytes=kv_bytes,
        compute_bytes=buffers,
        overhead_bytes=context + workspace,
        margin_bytes=margin,
        total_bytes=weights + kv_bytes + buffers + workspace + context + margin,
        cuda_context_bytes=context,
        kv_workspace_bytes=workspace,
        host_bytes=layout.token_embd_bytes,
        per_gpu=shares,
    )


def largest_need(layout: WeightLayout, shape: Shape, load: Load, gpus: int) -> int:
    """Bytes that the fullest of `gpus` GPUs must have free, margin included."""
    return max(share.needed_bytes for share in split(layout, shape, load, gpus))


@cache
def _kv_layers(shape: Shape, load: Load) -> tuple[int, ...]:
    return kv_cache.layer_bytes(
        shape,
        context=load.context,
        parallel=load.parallel,
        kv_cache=load.kv_cache,
        ubatch=load.batch,
    )


def _layer_range(layers: int, gpu: int, gpus: int) -> tuple[int, int]:
    """First and end layer on a GPU: layer i goes to GPU floor(i * gpus / (layers + 1))."""
    slots = layers + 1
    return min(-(-gpu * slots // gpus), layers), min(-(-(gpu + 1) * slots // gpus), layers)


def _safety(load: Load, gpus: int, kv_and_compute_bytes: int) -> int:
    measured = (
        gpus == 1
        and load.parallel == 1
        and load.kv_cache == UNQUANTIZED
        and load.context < LONG_CONTEXT
    )
    if measured:
        return 0
    return max(SAFETY_BYTES, kv_and_compute_bytes * SAFETY_PERCENT // 100)
