"""Feed-forward blocks in the graph: `build_ffn` and `build_moe_ffn` of llama.cpp b10488."""

from __future__ import annotations

from moltghost.sizing.allocator import Tensor
from moltghost.sizing.graph_nodes import Nodes, Rows


def feed_forward(g: Nodes, state: Tensor, layer: int, rows: Rows) -> Tensor:
    """A layer's feed-forward, with its own norm before it."""
    shape = g.shape
    if not shape.has_experts(layer):
        return _dense(g, g.norm(state), shape.ffn_of(layer), rows)
    if shape.dense_beside_experts:
        return _both(g, state, layer, rows)
    normed = g.norm(state)
    found = _experts(g, normed, _chosen(g, normed, rows), rows)
    if not shape.shared_expert_ffn:
        return found
    shared = _dense(g, normed, shape.shared_expert_ffn, rows)
    if shape.traits.shared_gate:
        gate = g.in_place(g.new(rows.count, "share", normed))
        shared = g.in_place(shared, gate)
    return g.in_place(found, shared)


def _both(g: Nodes, state: Tensor, layer: int, rows: Rows) -> Tensor:
    """Gemma 4's dense feed-forward beside its experts, each with norms around it."""
    chosen = _chosen(g, g.in_place(g.norm(state)), rows)
    experts = _experts(g, g.norm(state), chosen, rows)
    dense = g.norm(_dense(g, g.norm(state), g.shape.ffn_of(layer), rows))
    return g.in_place(dense, g.norm(experts))


def _dense(g: Nodes, normed: Tensor, width: int, rows: Rows) -> Tensor:
    shape, size = g.shape, width * rows.count
    if shape.traits.fused:
        joined = g.new(size, "ffn", g.new(2 * size, "both", normed))
    elif shape.traits.gated:
        gate = g.new(size, "ffn", normed)
        joined = g.new(size, "ffn", gate, g.new(size, "ffn", normed))
    else:
        joined = g.norm(g.new(size, "ffn", normed))
    return g.new(shape.hidden * rows.count, rows.layout, joined)


def _experts(g: Nodes, normed: Tensor, chosen: tuple[Tensor, Tensor], rows: Rows) -> Tensor:
    shape = g.shape
    used = max(shape.experts_used, 1) * rows.count
    selected, shares = chosen
    source = g.view(normed)
    if shape.traits.weighs_before:
        repeated = g.new(shape.hidden * used, "down", source)
        source = g.in_place(repeated, shares)
    made = [g.new(shape.expert_width * used, "ffn", source, selected)]
    if shape.traits.gpt_oss:
        made[0] = g.in_place(made[0], selected)
    if shape.traits.gated:
        made.append(g.new(shape.expert_width * used, "ffn", source, selected))
        if shape.traits.gpt_oss:
            made[1] = g.in_place(made[1], selected)
        joined = g.new(shape.expert_width * used, "ffn", *made)
    else:
        joined = g.norm(made[0])
    experts = g.new(shape.hidden * used, "down", joined, selected)
    if shape.traits.gpt_oss:
        experts = g.in_place(experts, selected)
    if not shape.traits.weighs_before:
        experts = g.in_place(experts, shares)
    return _summed(g, experts, rows)


def _chosen(g: Nodes, normed: Tensor, rows: Rows) -> tuple[Tensor, Tensor]:
    """Which experts a token takes, and with what share of each."""
    shape, used = g.shape, max(g.shape.experts_used, 1) * rows.count
    logits = g.new(shape.experts * rows.count, "expert", normed)
    if shape.traits.weighs_before:  # chosen by what isn't a share yet
        chances = g.new(shape.experts * rows.count, "expert", logits)
        selected = g.view(g.new(shape.experts * rows.count, "order", logits))
        return selected, g.view(g.new(used, "weights", g.view(chances), selected))
    chances = g.in_place(logits)
    ordered = g.in_place(chances) if shape.router_bias else chances
    flat = g.view(chances)
    selected = g.view(g.new(shape.experts * rows.count, "order", ordered))
    weights = g.view(g.new(used, "weights", flat, selected))
    if shape.traits.gpt_oss:
        return selected, g.view(g.new(used, "weights", weights))
    total = g.view(g.new(rows.count, "total", weights))
    return selected, g.view(g.new(used, "weights", weights, total))


def _summed(g: Nodes, experts: Tensor, rows: Rows) -> Tensor:
    shape = g.shape
    first, *others = [g.view(experts) for _ in range(max(shape.experts_used, 1))]
    result = g.new(shape.hidden * rows.count, rows.layout, first, *others[:1])
    if others:
        g.expand()
    for part in others[1:]:
        result = g.in_place(result, part)
        g.expand()
    return result
