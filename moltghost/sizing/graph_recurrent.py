"""Recurrent layers in the graph: src/models/{delta-net-base,mamba-base,lfm2}.cpp of llama.cpp."""

from __future__ import annotations

from moltghost.models.shape import DeltaNet, Mamba2, ShortConv
from moltghost.sizing.allocator import Tensor
from moltghost.sizing.graph_nodes import Nodes


def recurrent(g: Nodes, normed: Tensor) -> Tensor:
    """A recurrent layer; its result is as wide as the model."""
    block = g.shape.recurrent
    if isinstance(block, DeltaNet):
        g.expand()
        return _delta_net(g, normed, block)
    if isinstance(block, Mamba2):
        return _mamba(g, normed, block)
    if isinstance(block, ShortConv):
        return _short_conv(g, normed, block)
    raise ValueError(f"{g.shape.architecture} has no recurrent layers")


def _kept(g: Nodes, elements: int) -> Tensor:
    """What a layer kept of each sequence."""
    return g.ahead(elements * g.batch.streams, "kept")


def _delta_net(g: Nodes, normed: Tensor, net: DeltaNet) -> Tensor:
    tokens, streams = g.tokens, g.batch.streams
    conv_state, state_elements = net.state_elements
    before = g.view(_kept(g, conv_state))
    mixed = g.view(g.view(g.new(tokens * net.conv_width, "mixed", normed)))
    joined = g.new(conv_state * streams + tokens * net.conv_width, "joined", before, mixed)
    g.store(joined)
    g.expand()
    state = g.view(_kept(g, state_elements))
    convolved = g.in_place(g.new(tokens * net.conv_width, "convolved", joined))
    query = g.new(tokens * net.key_width, "query", g.view(convolved))
    key = g.new(tokens * net.key_width, "key", g.view(convolved))
    value = g.view(convolved)
    decay = g.view(g.new(tokens * net.v_heads, "raw", normed))
    decay = g.in_place(g.in_place(g.new(tokens * net.v_heads, "decay", decay)))
    beta = g.new(tokens * net.v_heads, "beta", g.view(g.new(tokens * net.v_heads, "raw", normed)))
    elements = tokens * net.value_width + state_elements * streams
    result = g.new(elements, "result", query, key, value, g.view(decay), beta, state)
    g.store(result)
    g.expand()
    found = g.norm_of_view(g.view(result), tokens * net.value_width, "value")
    gate = g.view(g.new(tokens * net.value_width, "gate", normed))
    gate = g.new(tokens * net.value_width, "value", gate)
    found = g.view(g.in_place(found, gate))
    return g.view(g.new(tokens * g.shape.hidden, "hidden", found))


def _mamba(g: Nodes, normed: Tensor, block: Mamba2) -> Tensor:
    tokens, streams = g.tokens, g.batch.streams
    conv_state, state_elements = block.state_elements
    before = g.view(_kept(g, conv_state))
    width = block.inner + block.conv_width + block.heads
    projected = g.new(tokens * width, "projected", g.view(normed))
    mixed = g.view(g.view(projected))
    joined = g.new(conv_state * streams + tokens * block.conv_width, "joined", before, mixed)
    g.store(joined)
    g.expand()
    convolved = g.norm(g.new(tokens * block.conv_width, "convolved", joined))
    step = g.in_place(g.new(tokens * block.heads, "step", g.view(projected)))
    seen = g.view(convolved)
    elements = tokens * block.inner + state_elements * streams
    result = g.new(elements, "result", seen, step, g.view(convolved), g.view(convolved))
    g.store(g.new(0, "waiting", g.cache))
    g.store(result)
    g.expand()
    gate = g.new(tokens * block.inner, "inner", g.view(projected))
    skipped = g.new(tokens * block.inner, "inner", seen)
    found = g.in_place(skipped, g.view(result))
    found = g.view(g.new(tokens * block.inner, "inner", gate, found))
    found = g.norm_of_view(found, tokens * block.inner, "inner")
    return g.view(g.new(tokens * g.shape.hidden, "hidden", g.view(found)))


def _short_conv(g: Nodes, normed: Tensor, block: ShortConv) -> Tensor:
    tokens, streams, hidden = g.tokens, g.batch.streams, g.shape.hidden
    conv_state, _ = block.state_elements
    before = g.view(_kept(g, conv_state))
    chunks = g.new(3 * tokens * hidden, "chunks", g.view(normed))
    mixed = g.view(g.new(tokens * hidden, "mixed", g.view(chunks), g.view(chunks)))
    joined = g.new(conv_state * streams + tokens * hidden, "joined", before, mixed)
    g.store(joined)
    g.expand()
    convolved = g.new(tokens * hidden, "convolved", joined)
    found = g.in_place(convolved, g.view(chunks))
    return g.view(g.new(tokens * hidden, "hidden", found))
