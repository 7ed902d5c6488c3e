"""The compute graph that llama.cpp reserves memory for, as far as the allocator sees it.

One function per block of a layer, in the order in which llama.cpp b10488 executes it: the classes
of src/models/*.cpp, and src/llama-graph.cpp (`build_qkv`, `build_attn`, `build_ffn`,
`build_moe_ffn`, `build_inp_embd`). Flash attention is on. Weights and KV cache have buffers of
their own and are left out. Layers of a kind are alike, so a few of them show the peak.
"""

from __future__ import annotations

from moltghost.models.shape import Mixer, Shape, ShortConv
from moltghost.sizing.allocator import Tensor
from moltghost.sizing.graph_attention import attention
from moltghost.sizing.graph_feed_forward import feed_forward
from moltghost.sizing.graph_nodes import F32, I32, Batch, Device, Nodes, Rows, Span
from moltghost.sizing.graph_recurrent import recurrent

__all__ = ["Batch", "Device", "compute_bytes", "layers_that_show"]

# Enough: the peak repeats from layer to layer, or is in the last. Where layers differ there is one
# more than they take to come round again.
_LAYERS = 4


def compute_bytes(shape: Shape, batch: Batch, device: Device, *, f16_copies: bool = False) -> int:
    """The compute buffer of one device.

    Args:
        shape: the architecture.
        batch: what is computed at once.
        device: what computes it.
        f16_copies: flash attention keeps a layer's quantized K and V as f16 behind its result, as
            it does on CUDA (ggml-cuda/fattn.cu, `ggml_cuda_flash_attn_ext_get_alloc_size`).
    """
    nodes = Nodes(shape, batch, device, f16_copies=f16_copies and batch.quantized)
    _Graph(nodes).build()
    return nodes.peak_bytes()


class _Graph:
    """Puts the blocks of a model after one another."""

    def __init__(self, nodes: Nodes) -> None:
        self.nodes = nodes
        self.shape = nodes.shape
        self.batch = nodes.batch
        self.window: Span | None = None
        self.embedded: Tensor | None = None
        self.looked_up: Tensor | None = None
        self.own: Tensor | None = None

    def build(self) -> None:
        g, shape, traits = self.nodes, self.shape, self.shape.traits
        state = self._embedding()
        self._look_up_own()
        g.expand()
        if shape.recurrent:
            g.input(self.batch.streams * I32)  # which state is whose
        if not traits.no_positions:
            g.position = g.input(g.tokens * I32 * traits.position_values)
        self.full = g.span(self.batch.cells, shape.full_head_dim or shape.head_dim)
        if shape.sliding_window:
            self.window = g.span(self.batch.window_cells, shape.head_dim)
        if traits.rope_skips and traits.weighs_before:
            g.scale = g.input(g.tokens * F32)
        self.output_rows = g.input(self.batch.outputs * I32)
        if traits.gemma:
            state = g.in_place(state)
        self.embedded = state
        picked = layers_that_show(shape)
        for layer in picked:
            state = self._layer(state, layer, last=layer == picked[-1])
        state = g.norm(state)
        if traits.late_rows:
            state = self._rows(state, "output")
        g.new(self.batch.outputs * shape.vocab, "logits", state).kept = True

    def _embedding(self) -> Tensor:
        g, size = self.nodes, self.nodes.tokens * self.shape.hidden
        if g.device is not Device.HOST:
            # Looked up on the host, where the matrix is; its result is an input of the GPU.
            return g.input(size * F32, "hidden")
        tokens = g.input(g.tokens * I32)
        g.input(size * F32)  # embeddings given as vectors: reserved, not used
        return g.new(size, "hidden", tokens)

    def _look_up_own(self) -> None:
        """Gemma's embeddings that each layer has of its own."""
        g, elements = self.nodes, self.nodes.tokens * self._own_width
        if not elements:
            return
        if g.device is Device.HOST:
            rows = g.view(g.new(elements, "rows", g.input(g.tokens * I32)))
            self.looked_up = g.new(elements, "layers", rows)
        else:
            self.looked_up = g.input(elements * F32, "layers")

    @property
    def _own_width(self) -> int:
        return self.shape.per_layer_embedding * self.shape.layers

    def _project_own(self) -> Tensor:
        g, elements = self.nodes, self.nodes.tokens * self._own_width
        assert self.embedded  # noqa: S101 set before the first layer
        assert self.looked_up  # noqa: S101 looked up before the first layer
        made = g.view(g.in_place(g.new(elements, "made", self.embedded)))
        made = g.norm_of_view(made, elements, "layers")
        joined = g.in_place(g.in_place(made, self.looked_up))
        return g.new(elements, "turned", g.view(joined))

    def _rows(self, of: Tensor, layout: str) -> Tensor:
        """The rows that are answered."""
        return self.nodes.new(self.batch.outputs * self.shape.hidden, layout, of, self.output_rows)

    def _layer(self, state: Tensor, layer: int, *, last: bool) -> Tensor:
        g, shape, traits = self.nodes, self.shape, self.shape.traits
        residual = state
        kind = shape.mixer(layer)
        rows = Rows("hidden", g.tokens)
        if kind is Mixer.NONE:
            return g.in_place(feed_forward(g, state, layer, rows), residual)
        found = self._mixed(g.norm(state), layer, kind)
        if last and not traits.late_rows:
            rows = Rows("output", self.batch.outputs)
            if traits.residual_first:
                residual = self._rows(residual, rows.layout)
            found = self._rows(found, rows.layout)
            if not traits.residual_first:
                residual = self._rows(residual, rows.layout)
        if traits.gemma:
            found = g.norm(found)
        if traits.residual_scale and found.view_of is not None:
            found = g.new(rows.count * shape.hidden, rows.layout, found)
        middle = self._sum(found, residual)
        if not shape.has_feed_forward(layer):
            return middle
        forward = feed_forward(g, middle, layer, rows)
        if traits.gemma:
            forward = g.norm(forward)
        result = self._sum(forward, middle)
        if shape.per_layer_embedding:
            result = self._with_own(result, rows)
        return g.in_place(result) if traits.layer_scale else result

    def _sum(self, found: Tensor, residual: Tensor) -> Tensor:
        if self.shape.traits.residual_first:
            return self.nodes.in_place(residual, found)
        return self.nodes.in_place(found, residual)

    def _mixed(self, normed: Tensor, layer: int, kind: Mixer) -> Tensor:
        if kind is Mixer.RECURRENT:
            return recurrent(self.nodes, normed)
        windowed = self.window is not None and self.shape.windowed(layer)
        span = self.window if self.window and windowed else self.full
        return attention(self.nodes, normed, layer, span)

    def _with_own(self, state: Tensor, rows: Rows) -> Tensor:
        g, shape = self.nodes, self.shape
        small = g.in_place(g.new(rows.count * shape.per_layer_embedding, "small", state))
        self.own = self.own or self._project_own()
        small = g.in_place(small, g.view(self.own))
        found = g.norm(g.new(rows.count * shape.hidden, rows.layout, small))
        return g.in_place(state, found)


def layers_that_show(shape: Shape) -> list[int]:
    """Layers whose graph has the peak of all: some from the start, and the last."""
    if shape.feed_forward_layers is not None or shape.shared_kv_layers:
        return list(range(shape.layers))
    period = shape.moe_every
    if shape.sliding_window:
        period = max(period, shape.sliding_window.pattern)
    if shape.attention_layers:
        period = max(period, 2 * (shape.attention_layers[0] + 1))
        if isinstance(shape.recurrent, ShortConv):
            period = shape.layers
    few = shape.dense_layers + max(_LAYERS, period + 1)
    last = shape.layers - 1
    return [*range(min(few, last)), last]
