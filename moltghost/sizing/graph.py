"""The compute graph that llama.cpp reserves memory for, as far as the allocator sees it.

One function per block of a layer, in the order in which llama.cpp b10488 executes it: src/models/
{llama,qwen2,qwen3,gemma2,gemma3,phi3}.cpp and src/llama-graph.cpp (`build_qkv`, `build_attn`,
`build_ffn`, `build_moe_ffn`, `build_inp_embd`). Flash attention is on. Weights and KV cache have
buffers of their own and are left out. Layers are alike, so a few of them show the peak.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from moltghost.models.facts import Shape
from moltghost.sizing.allocator import Tensor, peak_bytes

_F32, _F16, _I32, _I64 = 4, 2, 4, 8
# GGML_SCHED_MAX_COPIES: with several GPUs the scheduler keeps this many copies of each input of a
# GPU, so that batches can follow one another (ggml/src/ggml-backend.cpp).
PIPELINE_COPIES = 4
_CUDA_ALIGNMENT, _HOST_ALIGNMENT = 128, 32
# Enough: the peak repeats from layer to layer, or is in the last. With a sliding window there is
# one more than its pattern has: a layer which sees everything is then among those before the last.
_LAYERS = 4
_ROTATION = 64  # a quantized cache is rotated by Hadamard matrices of this size and multiples


class Device(Enum):
    """What runs the graph.

    Attributes:
        HOST: the CPU alone: every input lies in the buffer from the start.
        GPU: one GPU; inputs come from the host at the start.
        PIPELINE: one of several GPUs.
    """

    HOST = "host"
    GPU = "gpu"
    PIPELINE = "pipeline"


@dataclass(frozen=True, slots=True)
class Batch:
    """The worst case that is reserved.

    Attributes:
        tokens: of one ubatch, over all slots.
        outputs: rows of logits: one per slot.
        cells: KV cells that one slot's attention spans.
        window_cells: the same in layers with a sliding window.
        streams: slots, each with cells of its own.
        quantized: the cache is not f16: keys and values are rotated on their way in.
    """

    tokens: int
    outputs: int
    cells: int
    window_cells: int
    streams: int
    quantized: bool


@dataclass(frozen=True, slots=True)
class _Span:
    """What attention over so many cells needs: its mask, and rotations of keys and values."""

    cells: int
    mask: Tensor
    keys: Tensor | None = None
    values: Tensor | None = None


@dataclass(frozen=True, slots=True)
class _Rows:
    """How many tokens a layer's second half computes, and what their layout is called."""

    layout: str
    count: int


def compute_bytes(shape: Shape, batch: Batch, device: Device, *, f16_copies: bool = False) -> int:
    """The compute buffer of one device.

    Args:
        shape: the architecture.
        batch: what is computed at once.
        device: what computes it.
        f16_copies: flash attention keeps a layer's quantized K and V as f16 behind its result, as
            it does on CUDA (ggml-cuda/fattn.cu, `ggml_cuda_flash_attn_ext_get_alloc_size`).
    """
    graph = _Graph(shape, batch, device, f16_copies=f16_copies and batch.quantized)
    graph.build()
    alignment = _HOST_ALIGNMENT if device is Device.HOST else _CUDA_ALIGNMENT
    return peak_bytes(graph.inputs, graph.nodes, alignment=alignment)


class _Graph:
    """Collects tensors in the order of execution."""

    def __init__(self, shape: Shape, batch: Batch, device: Device, *, f16_copies: bool) -> None:
        self.shape = shape
        self.batch = batch
        self.device = device
        self.f16_copies = f16_copies
        # Gemma scales embedding and query, and has norms behind attention and feed-forward.
        self.gemma = shape.architecture in ("gemma2", "gemma3")
        self.rotated = batch.quantized and shape.head_dim % _ROTATION == 0
        self.inputs: list[Tensor] = []
        self.nodes: list[Tensor] = []
        self.cache = Tensor(0)  # has a buffer of its own; here only what is stored in it shows

    def build(self) -> None:
        tokens = self.batch.tokens
        state = self._embedding()
        self.position = self._input(tokens * _I32)
        self.full = self._span(self.batch.cells)
        self.window = self._span(self.batch.window_cells) if self.shape.sliding_window else None
        self.output_rows = self._input(self.batch.outputs * _I32)
        if self.gemma:
            state = self._in_place(state)
        window = self.shape.sliding_window
        period = window.pattern if window else 1  # after so many, layers come round again
        layers = min(self.shape.layers, max(_LAYERS, period + 1))
        for layer in range(layers):
            state = self._layer(state, layer, last=layer == layers - 1)
        normed = self._norm(state)
        self._new(self.batch.outputs * self.shape.vocab, "logits", normed).kept = True

    def _is(self, architecture: str) -> bool:
        return self.shape.architecture == architecture

    def _input(self, size_bytes: int, layout: str = "input") -> Tensor:
        """An input of the graph, where the device needs it."""
        if self.device is Device.PIPELINE:
            copies = [Tensor(size_bytes, layout, kept=True) for _ in range(PIPELINE_COPIES)]
            self.inputs += copies
            return copies[0]
        tensor = Tensor(size_bytes, layout)
        (self.inputs if self.device is Device.HOST else self.nodes).append(tensor)
        return tensor

    def _new(self, elements: int, layout: str, *sources: Tensor, more_bytes: int = 0) -> Tensor:
        tensor = Tensor(elements * _F32 + more_bytes, layout, sources)
        self.nodes.append(tensor)
        return tensor

    def _in_place(self, *sources: Tensor, layout: str = "") -> Tensor:
        """The result of an operation that may overwrite a source; it is as large as the first."""
        first = sources[0]
        tensor = Tensor(first.size_bytes, layout or first.layout, sources, in_place=True)
        self.nodes.append(tensor)
        return tensor

    def _view(self, of: Tensor) -> Tensor:
        tensor = Tensor(0, None, (of,), view_of=of.view_of or of)
        self.nodes.append(tensor)
        return tensor

    def _embedding(self) -> Tensor:
        size = self.batch.tokens * self.shape.hidden
        if self.device is not Device.HOST:
            # Looked up on the host, where the matrix is; its result is an input of the GPU.
            return self._input(size * _F32, "hidden")
        tokens = self._input(self.batch.tokens * _I32)
        self._input(size * _F32)  # embeddings given as vectors: reserved, not used
        return self._new(size, "hidden", tokens)

    def _span(self, cells: int) -> _Span:
        tokens = self.batch.tokens
        for _ in range(2):  # where keys and values are stored
            self._input(tokens * _I64)
        mask = self._input(cells * tokens * _F16)
        if not self.rotated:
            return _Span(cells, mask)
        side = _ROTATION
        while self.shape.head_dim % (2 * side) == 0:
            side *= 2
        keys = self._input(side * side * _F32)
        return _Span(cells, mask, keys, self._input(_ROTATION * _ROTATION * _F32))

    def _layer(self, state: Tensor, layer: int, *, last: bool) -> Tensor:
        window = self.shape.sliding_window
        span = self.window if self.window and window and window.limits(layer) else self.full
        residual = state
        attended = self._attention(self._norm(state), span)
        rows = _Rows("hidden", self.batch.tokens)
        if last:
            rows = _Rows("output", self.batch.outputs)
            size = rows.count * self.shape.hidden
            attended = self._new(size, rows.layout, attended, self.output_rows)
            residual = self._new(size, rows.layout, residual, self.output_rows)
        if self.gemma:
            attended = self._norm(attended)
        middle = self._in_place(attended, residual)
        build = self._experts if self.shape.experts else self._feed_forward
        forward = build(self._norm(middle), rows)
        if self.gemma:
            forward = self._norm(forward)
        return self._in_place(forward, middle)

    def _norm(self, source: Tensor) -> Tensor:
        return self._in_place(self._in_place(source))

    def _attention(self, normed: Tensor, span: _Span) -> Tensor:
        shape, tokens = self.shape, self.batch.tokens
        query, key, value = (self._fused if self._is("phi3") else self._separate)(normed, span)
        for stored in (key, value):
            self.nodes.append(Tensor(0, None, (self._view(stored),), view_of=self.cache))
        copies = 0
        if self.f16_copies:
            copies = 2 * shape.kv_width * span.cells * self.batch.streams * _F16
        width = shape.heads * shape.head_dim
        seen = self._view(self._view(query))
        attended = self._view(
            self._new(tokens * width, "attended", seen, span.mask, more_bytes=copies)
        )
        attended = self._rotate(attended, width, span.values)
        return self._new(tokens * shape.hidden, "hidden", attended)

    def _separate(self, normed: Tensor, span: _Span) -> tuple[Tensor, Tensor, Tensor]:
        shape = self.shape
        width, kv_width = shape.heads * shape.head_dim, shape.kv_width
        query = self._roped(self._projected(normed, width), width)
        if self.gemma:
            query = self._in_place(query)
        query = self._rotate(query, width, span.keys)
        value = self._rotate(self._projected(normed, kv_width), kv_width, span.values)
        key = self._roped(self._projected(normed, kv_width), kv_width)
        return query, self._rotate(key, kv_width, span.keys), value

    def _fused(self, normed: Tensor, span: _Span) -> tuple[Tensor, Tensor, Tensor]:
        """One matrix for query, key and value (Phi-3)."""
        shape, tokens = self.shape, self.batch.tokens
        width, kv_width = shape.heads * shape.head_dim, shape.kv_width
        fused = self._new(tokens * (width + 2 * kv_width), "fused", normed)
        query = self._in_place(self._roped(self._view(fused), width))
        query = self._rotate(query, width, span.keys)
        value = self._view(fused)
        if span.values:  # a rotation wants a contiguous source
            value = self._new(tokens * kv_width, "value", value)
        value = self._rotate(value, kv_width, span.values)
        key = self._rotate(self._roped(self._view(fused), kv_width), kv_width, span.keys)
        return query, key, value

    def _projected(self, normed: Tensor, width: int) -> Tensor:
        made = self._new(self.batch.tokens * width, "flat", normed)
        return self._view(self._in_place(made) if self.shape.qkv_bias else made)

    def _roped(self, source: Tensor, width: int) -> Tensor:
        size = self.batch.tokens * width
        if not self.shape.qk_norm:
            return self._new(size, "heads", source, self.position)
        normed = self._in_place(self._new(size, "heads", source))
        return self._in_place(normed, self.position)

    def _rotate(self, source: Tensor, width: int, rotation: Tensor | None) -> Tensor:
        if rotation is None:
            return source
        flat = self._view(source)
        return self._view(self._new(self.batch.tokens * width, "rotated", rotation, flat))

    def _feed_forward(self, normed: Tensor, rows: _Rows) -> Tensor:
        shape, size = self.shape, self.shape.ffn * rows.count
        if self._is("phi3"):
            joined = self._new(size, "ffn", self._new(2 * size, "both", normed))
        else:
            gate = self._new(size, "ffn", normed)
            joined = self._new(size, "ffn", gate, self._new(size, "ffn", normed))
        return self._new(shape.hidden * rows.count, rows.layout, joined)

    def _experts(self, normed: Tensor, rows: _Rows) -> Tensor:
        shape, used = self.shape, max(self.shape.experts_used, 1) * rows.count
        logits = self._new(shape.experts * rows.count, "expert", normed)
        chances = self._in_place(logits)
        flat = self._view(chances)
        selected = self._view(self._new(shape.experts * rows.count, "order", chances))
        weights = self._view(self._new(used, "weights", flat, selected))
        total = self._view(self._new(rows.count, "total", weights))
        shares = self._view(self._new(used, "weights", weights, total))
        source = self._view(normed)
        gate = self._new(shape.ffn * used, "ffn", source, selected)
        up = self._new(shape.ffn * used, "ffn", source, selected)
        joined = self._new(shape.ffn * used, "ffn", gate, up)
        experts = self._in_place(self._new(shape.hidden * used, "down", joined, selected), shares)
        first, *others = [self._view(experts) for _ in range(max(shape.experts_used, 1))]
        result = self._new(shape.hidden * rows.count, rows.layout, first, *others[:1])
        for part in others[1:]:
            result = self._in_place(result, part)
        return result
