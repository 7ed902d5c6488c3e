"""Attention in the graph: llama.cpp b10488's `build_qkv`, `build_attn` and their callers."""

from __future__ import annotations

from moltghost.models.shape import Mixer, Mla
from moltghost.sizing.allocator import Tensor
from moltghost.sizing.graph_nodes import F16, Nodes, Span


def attention(g: Nodes, normed: Tensor, layer: int, span: Span) -> Tensor:
    """A layer's attention; its result is as wide as the model."""
    shape = g.shape
    if shape.mla:
        return _latent(g, normed, shape.mla, span)
    if shape.traits.fused:
        query, key, value = _fused(g, normed, span)
        return _project(g, _attend(g, layer, span, query, key, value))
    if shape.traits.gated_query:
        return _gated(g, normed, layer, span)
    if shape.mixer(layer) is Mixer.SHARED:
        query = _query(g, normed, layer, span)
        return _project(g, _attend(g, layer, span, query))
    query, key, value = _separate(g, normed, layer, span)
    return _project(g, _attend(g, layer, span, query, key, value))


def _attend(g: Nodes, layer: int, span: Span, query: Tensor, *stored: Tensor) -> Tensor:
    shape = g.shape
    for each in stored:
        g.store(each)
    copies = 0
    if g.f16_copies:
        copies = 2 * shape.kv_width_of(layer) * span.cells * g.batch.streams * F16
    elements = g.tokens * shape.heads * shape.head_dim_of(layer)
    seen = g.view(g.view(query))
    attended = g.view(g.new(elements, "attended", seen, span.mask, more_bytes=copies))
    g.expand()
    return g.rotate(attended, elements, span.values)


def _project(g: Nodes, attended: Tensor) -> Tensor:
    found = g.new(g.tokens * g.shape.hidden, "hidden", attended)
    return g.in_place(found) if g.shape.traits.gpt_oss else found


def _separate(g: Nodes, normed: Tensor, layer: int, span: Span) -> tuple[Tensor, Tensor, Tensor]:
    shape = g.shape
    elements = g.tokens * shape.kv_width_of(layer)
    query = _query(g, normed, layer, span)
    if shape.traits.value_norm:
        return query, *_normed_value(g, normed, layer, span)
    if shape.traits.key_first:
        key = _key(g, normed, layer, span)
        return query, key, g.rotate(_projected(g, normed, elements), elements, span.values)
    value = g.rotate(_projected(g, normed, elements), elements, span.values)
    return query, _key(g, normed, layer, span), value


def _key(g: Nodes, normed: Tensor, layer: int, span: Span) -> Tensor:
    shape = g.shape
    elements = g.tokens * shape.kv_width_of(layer)
    flat = _projected(g, normed, elements, "key", wide=shape.wide_qk_norm)
    if g.shape.traits.rope_skips and not _has_position(g, layer):
        return g.rotate(flat, elements, span.keys)
    return g.rotate(_roped(g, flat, elements, layer), elements, span.keys)


def _normed_value(g: Nodes, normed: Tensor, layer: int, span: Span) -> tuple[Tensor, Tensor]:
    """Gemma 4's key and value: values have a norm, and may be the keys."""
    shape = g.shape
    elements = g.tokens * shape.kv_width_of(layer)
    same = shape.full_k_is_v and not shape.windowed(layer)
    if same:
        both = g.new(elements, "flat", normed)
        value = g.new(elements, "value", g.view(both))
        value = g.rotate(value, elements, span.values)
        key = _roped(g, g.view(both), elements, layer)
    else:
        value = g.new(elements, "value", _projected(g, normed, elements))
        value = g.rotate(value, elements, span.values)
        key = _roped(g, _projected(g, normed, elements), elements, layer)
    return g.rotate(key, elements, span.keys), value


def _query(g: Nodes, normed: Tensor, layer: int, span: Span) -> Tensor:
    shape = g.shape
    elements = g.tokens * shape.heads * shape.head_dim_of(layer)
    flat = _projected(g, normed, elements, wide=shape.wide_qk_norm)
    query = _roped(g, flat, elements, layer)
    if shape.traits.scaled_query:
        query = g.in_place(query)
    return g.rotate(query, elements, span.keys)


def _projected(
    g: Nodes, normed: Tensor, elements: int, layout: str = "flat", *, wide: bool = False
) -> Tensor:
    made = g.new(elements, layout, normed)
    if g.shape.qkv_bias:
        made = g.in_place(made)
    return g.view(g.norm(made) if wide else made)


def _roped(g: Nodes, source: Tensor, elements: int, layer: int) -> Tensor:
    shape = g.shape
    if g.position is None:
        return source
    if not _has_position(g, layer):
        return g.new(elements, "heads", source, g.scale) if g.scale else source
    if not shape.qk_norm or shape.wide_qk_norm:
        return g.new(elements, "heads", source, g.position)
    return g.in_place(g.norm_of_view(source, elements, "heads"), g.position)


def _has_position(g: Nodes, layer: int) -> bool:
    skips = g.shape.traits.rope_skips
    return not skips or (layer + 1) % skips > 0


def _fused(g: Nodes, normed: Tensor, span: Span) -> tuple[Tensor, Tensor, Tensor]:
    """One matrix for query, key and value (Phi-3)."""
    shape, tokens = g.shape, g.tokens
    width, kv_width = shape.heads * shape.head_dim, shape.kv_width
    fused = g.new(tokens * (width + 2 * kv_width), "fused", normed)
    assert g.position  # noqa: S101 every model with fused tensors has positions
    query = g.in_place(g.new(tokens * width, "heads", g.view(fused), g.position))
    query = g.rotate(query, tokens * width, span.keys)
    value = g.view(fused)
    if span.values:  # a rotation wants a contiguous source
        value = g.new(tokens * kv_width, "value", value)
    value = g.rotate(value, tokens * kv_width, span.values)
    key = g.new(tokens * kv_width, "heads", g.view(fused), g.position)
    return query, g.rotate(key, tokens * kv_width, span.keys), value


def _gated(g: Nodes, normed: Tensor, layer: int, span: Span) -> Tensor:
    """The query's matrix gives a gate too (Qwen3-Next, Qwen3.5)."""
    shape = g.shape
    elements, kv = g.tokens * shape.heads * shape.head_dim, g.tokens * shape.kv_width
    both = g.new(2 * elements, "both", normed)
    query = g.rotate(_roped(g, g.view(both), elements, layer), elements, span.keys)
    value = g.rotate(_projected(g, normed, kv), kv, span.values)
    key = g.rotate(_roped(g, _projected(g, normed, kv), kv, layer), kv, span.keys)
    attended = _attend(g, layer, span, query, key, value)
    gate = g.in_place(g.new(elements, "gate", g.view(both)))
    return _project(g, g.in_place(gate, attended))


def _latent(g: Nodes, normed: Tensor, mla: Mla, span: Span) -> Tensor:
    """Multi-head latent attention, absorbed: one compressed head is attended to."""
    shape, tokens = g.shape, g.tokens
    heads, rank = shape.heads, mla.kv_lora_rank
    source = normed
    if mla.q_lora_rank:
        source = g.norm(g.new(tokens * mla.q_lora_rank, "compressed", normed))
    query = g.new(tokens * heads * (mla.qk_nope + mla.qk_rope), "query", source)
    absorbed = g.view(g.new(tokens * heads * rank, "absorbed", g.view(g.view(query))))
    assert g.position  # noqa: S101 MLA has positions
    placed = g.new(tokens * heads * mla.qk_rope, "placed", g.view(query), g.position)
    width = mla.cached_width
    joined = g.new(tokens * heads * width, "joined", absorbed, placed)
    row = g.new(tokens * width, "row", normed)
    compressed = g.view(g.norm_of_view(g.view(row), tokens * rank, "kv"))
    place = g.new(tokens * mla.qk_rope, "place", g.view(row), g.position)
    g.store(g.new(tokens * width, "key", compressed, place))
    copies = 0
    if g.f16_copies:
        copies = 2 * width * span.cells * g.batch.streams * F16
    seen = g.view(g.view(joined))
    attended = g.new(tokens * heads * rank, "attended", seen, span.mask, more_bytes=copies)
    unpacked = g.new(tokens * heads * mla.v, "unpacked", g.view(attended))
    flat = g.new(tokens * heads * mla.v, "flat", g.view(unpacked))
    g.expand()
    return g.new(tokens * shape.hidden, "hidden", g.view(flat))
