"""Every tensor of a model file, in the engine's names.

One function per block of a layer, after the `load_arch_tensors` of llama.cpp b10488's classes
(src/models/*.cpp): the engine refuses a file that has one too few or of another size, so the sparse
files of the tests prove the list.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass

from moltghost.models.catalogue import block_types
from moltghost.models.shape import DeltaNet, Mamba2, Mixer, Mla, Shape, ShortConv
from moltghost.sizing.quantizer import Quantizer


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor: `rows` rows of `columns` elements, `copies` times (experts, heads).

    Attributes:
        layer: index of its layer, None outside the layers.
        active_copies: of them, what one token reads.
        bias: it is added; its name in a file ends so.
    """

    name: str
    columns: int
    rows: int
    type: str
    layer: int | None = None
    copies: int = 1
    active_copies: int = 1

    @property
    def elements(self) -> int:
        """Elements over all copies."""
        return self.columns * self.rows * self.copies

    @property
    def size_bytes(self) -> int:
        """Bytes over all copies."""
        return self._bytes(self.copies)

    @property
    def read_bytes(self) -> int:
        """Bytes that one generated token reads."""
        return self._bytes(self.active_copies)

    def _bytes(self, copies: int) -> int:
        elements, size = block_types()[self.type]
        return self.columns // elements * size * self.rows * copies


def tensors(
    shape: Shape, quantization: str, overrides: Mapping[str, str] | None = None
) -> Iterator[Tensor]:
    """Every tensor of a model, with the type that llama-quantize gives it.

    Args:
        shape: the architecture.
        quantization: file type, `Q4_K_M`.
        overrides: tensor name -> type, for files that were not made by llama-quantize's rules.
    """
    table = table_of(shape, quantization, overrides)
    yield from table.outside()
    for layer in range(shape.layers):
        yield from table.layer(layer)


def table_of(
    shape: Shape, quantization: str, overrides: Mapping[str, str] | None = None
) -> TensorTable:
    """The same, to be asked layer by layer."""
    return TensorTable(shape, Quantizer.of(shape, quantization, overrides or {}))


_ROPE_TENSORS: dict[str | None, tuple[str, ...]] = {
    None: (),
    "llama3": ("rope_freqs",),
    "phi3-long": ("rope_factors_long", "rope_factors_short"),
}


def _floats(name: str, columns: int, layer: int | None = None, rows: int = 1) -> Tensor:
    """Norms, biases, rope tables and the experts' router stay F32 in every file."""
    return Tensor(name, columns, rows, "F32", layer)


@dataclass(frozen=True, slots=True)
class TensorTable:
    """A model's tensors, layer by layer."""

    shape: Shape
    quantizer: Quantizer

    def kind_of(self, layer: int) -> Hashable:
        """Equal for layers whose tensors are alike."""
        shape, kind = self.shape, self.quantizer.kind_of(layer)
        if shape.uniform:
            return kind
        return (
            shape.mixer(layer).value,
            shape.windowed(layer),
            shape.has_experts(layer),
            shape.has_feed_forward(layer),
            shape.ffn_of(layer),
            kind,
        )

    def outside(self) -> Iterator[Tensor]:
        """Tensors of no layer."""
        shape = self.shape
        yield self._matrix("token_embd", shape.hidden, shape.vocab)
        last_norm = "token_embd_norm" if shape.architecture.startswith("lfm2") else "output_norm"
        yield _floats(last_norm, shape.hidden)
        if not shape.tied_embeddings:
            yield self._matrix("output", shape.hidden, shape.vocab)
        for name in _ROPE_TENSORS[shape.rope_tensors]:
            yield _floats(name, (shape.full_head_dim or shape.head_dim) // 2)
        if width := shape.per_layer_embedding:
            yield self._matrix("per_layer_token_embd", width * shape.layers, shape.vocab)
            yield Tensor(
                "per_layer_model_proj",
                shape.hidden,
                width * shape.layers,
                self.quantizer.unquantized,
            )
            yield _floats("per_layer_proj_norm", width)

    def layer(self, layer: int) -> Iterator[Tensor]:
        """A layer's tensors."""
        shape = self.shape
        yield _floats("attn_norm", shape.hidden, layer)
        yield from self._mixer(layer)
        if not shape.has_feed_forward(layer):
            return
        if shape.feed_forward_layers is None:
            post = shape.traits.post_norm
            yield _floats("post_attention_norm" if post else "ffn_norm", shape.hidden, layer)
        dense = not shape.has_experts(layer)
        if dense or shape.dense_beside_experts:
            yield from self._feed_forward(layer)
        if not dense:
            yield from self._experts(layer)
        if shape.traits.gemma:
            yield _floats("post_attention_norm", shape.hidden, layer)
            yield _floats("post_ffw_norm", shape.hidden, layer)
        if shape.traits.layer_scale:
            yield _floats("layer_output_scale", 1, layer)
        if width := shape.per_layer_embedding:
            yield self._matrix("inp_gate", shape.hidden, width, layer)
            yield self._matrix("proj", width, shape.hidden, layer)
            yield _floats("post_norm", shape.hidden, layer)

    def _mixer(self, layer: int) -> Iterator[Tensor]:
        kind, recurrent = self.shape.mixer(layer), self.shape.recurrent
        if kind is Mixer.NONE:
            return
        if kind is Mixer.RECURRENT:
            if isinstance(recurrent, DeltaNet):
                yield from self._delta_net(recurrent, layer)
            elif isinstance(recurrent, Mamba2):
                yield from self._mamba(recurrent, layer)
            elif isinstance(recurrent, ShortConv):
                yield from self._short_conv(recurrent, layer)
        elif self.shape.mla:
            yield from self._mla(self.shape.mla, layer)
        else:
            yield from self._attention(layer)

    def _attention(self, layer: int) -> Iterator[Tensor]:
        shape = self.shape
        head_dim, key_value = shape.head_dim_of(layer), shape.kv_width_of(layer)
        query = shape.heads * head_dim
        if shape.traits.fused:
            yield self._matrix("attn_qkv", shape.hidden, query + 2 * key_value, layer)
        else:
            gates = 2 if shape.traits.gated_query else 1
            widths = {"attn_q": gates * query, "attn_k": key_value, "attn_v": key_value}
            if shape.mixer(layer) is Mixer.SHARED:
                del widths["attn_k"], widths["attn_v"]
            elif shape.full_k_is_v and not shape.windowed(layer):
                del widths["attn_v"]
            for name, width in widths.items():
                yield self._matrix(name, shape.hidden, width, layer)
                if shape.qkv_bias:
                    yield _floats(f"{name}.bias", width, layer)
        if shape.qk_norm:
            yield _floats("attn_q_norm", query if shape.wide_qk_norm else head_dim, layer)
            if shape.mixer(layer) is not Mixer.SHARED:
                yield _floats("attn_k_norm", key_value if shape.wide_qk_norm else head_dim, layer)
        yield self._matrix("attn_output", query, shape.hidden, layer)
        if shape.traits.gpt_oss:
            yield _floats("attn_output.bias", shape.hidden, layer)
            yield _floats("attn_sinks", shape.heads, layer)

    def _mla(self, mla: Mla, layer: int) -> Iterator[Tensor]:
        shape = self.shape
        query = shape.heads * (mla.qk_nope + mla.qk_rope)
        if mla.q_lora_rank:
            yield _floats("attn_q_a_norm", mla.q_lora_rank, layer)
            yield self._matrix("attn_q_a", shape.hidden, mla.q_lora_rank, layer)
            yield self._matrix("attn_q_b", mla.q_lora_rank, query, layer)
        else:
            yield self._matrix("attn_q", shape.hidden, query, layer)
        yield _floats("attn_kv_a_norm", mla.kv_lora_rank, layer)
        yield self._matrix("attn_kv_a_mqa", shape.hidden, mla.cached_width, layer)
        yield self._heads("attn_k_b", mla.qk_nope, mla.kv_lora_rank, layer)
        yield self._heads("attn_v_b", mla.kv_lora_rank, mla.v, layer)
        yield self._matrix("attn_output", shape.heads * mla.v, shape.hidden, layer)

    def _delta_net(self, net: DeltaNet, layer: int) -> Iterator[Tensor]:
        hidden = self.shape.hidden
        yield self._matrix("attn_qkv", hidden, net.conv_width, layer)
        yield self._matrix("attn_gate", hidden, net.value_width, layer)
        yield _floats("ssm_conv1d", net.conv_kernel, layer, rows=net.conv_width)
        yield _floats("ssm_dt.bias", net.v_heads, layer)
        yield _floats("ssm_a", net.v_heads, layer)
        if self.shape.architecture == "qwen3next":
            yield self._matrix("ssm_ba", hidden, 2 * net.v_heads, layer)
        else:
            yield self._matrix("ssm_beta", hidden, net.v_heads, layer)
            yield self._matrix("ssm_alpha", hidden, net.v_heads, layer)
        yield _floats("ssm_norm", net.head_dim, layer)
        yield self._matrix("ssm_out", net.value_width, hidden, layer)

    def _mamba(self, block: Mamba2, layer: int) -> Iterator[Tensor]:
        hidden = self.shape.hidden
        width = block.inner + block.conv_width + block.heads
        yield self._matrix("ssm_in", hidden, width, layer)
        yield _floats("ssm_conv1d", block.conv_kernel, layer, rows=block.conv_width)
        yield _floats("ssm_conv1d.bias", block.conv_width, layer)
        yield _floats("ssm_dt.bias", block.heads, layer)
        yield _floats("ssm_a", 1, layer, rows=block.heads)
        yield _floats("ssm_d", 1, layer, rows=block.heads)
        yield _floats("ssm_norm", block.inner // block.groups, layer, rows=block.groups)
        yield self._matrix("ssm_out", block.inner, hidden, layer)

    def _short_conv(self, block: ShortConv, layer: int) -> Iterator[Tensor]:
        hidden = self.shape.hidden
        yield _floats("shortconv.conv", block.kernel, layer, rows=hidden)
        yield self._matrix("shortconv.in_proj", hidden, 3 * hidden, layer)
        yield self._matrix("shortconv.out_proj", hidden, hidden, layer)

    def _feed_forward(self, layer: int) -> Iterator[Tensor]:
        shape = self.shape
        hidden, ffn = shape.hidden, shape.ffn_of(layer)
        if shape.traits.fused:
            yield self._matrix("ffn_up", hidden, 2 * ffn, layer)
        else:
            if shape.traits.gated:
                yield self._matrix("ffn_gate", hidden, ffn, layer)
            yield self._matrix("ffn_up", hidden, ffn, layer)
        yield self._matrix("ffn_down", ffn, hidden, layer)

    def _experts(self, layer: int) -> Iterator[Tensor]:
        shape = self.shape
        hidden, width, shared = shape.hidden, shape.expert_width, shape.shared_expert_ffn
        gates = ("gate",) if shape.traits.gated else ()
        yield _floats("ffn_gate_inp", hidden, layer, rows=shape.experts)
        if shape.router_bias:
            yield _floats("exp_probs_b.bias", shape.experts, layer)
        for name in (*gates, "up"):
            yield self._expert(f"ffn_{name}_exps", hidden, width, layer)
        yield self._expert("ffn_down_exps", width, hidden, layer)
        if shape.traits.gpt_oss:
            yield _floats("ffn_gate_inp.bias", shape.experts, layer)
            for name, columns in (("gate", width), ("up", width), ("down", hidden)):
                yield _floats(f"ffn_{name}_exps.bias", columns, layer, rows=shape.experts)
        if shape.dense_beside_experts:
            yield _floats("ffn_gate_inp.scale", hidden, layer)
            for norm in ("pre_ffw_norm_2", "post_ffw_norm_1", "post_ffw_norm_2"):
                yield _floats(norm, hidden, layer)
            yield _floats("ffn_down_exps.scale", shape.experts, layer)
        if shared:
            if shape.traits.shared_gate:
                yield _floats("ffn_gate_inp_shexp", hidden, layer)
            for name in (*gates, "up"):
                yield self._matrix(f"ffn_{name}_shexp", hidden, shared, layer)
            yield self._matrix("ffn_down_shexp", shared, hidden, layer)

    def _matrix(self, name: str, columns: int, rows: int, layer: int | None = None) -> Tensor:
        return Tensor(name, columns, rows, self.quantizer.type_of(name, columns, layer), layer)

    def _expert(self, name: str, columns: int, rows: int, layer: int) -> Tensor:
        return Tensor(
            name,
            columns,
            rows,
            self.quantizer.type_of(name, columns, layer),
            layer,
            copies=self.shape.experts,
            active_copies=self.shape.experts_used,
        )

    def _heads(self, name: str, columns: int, rows: int, layer: int) -> Tensor:
        """A matrix for each head, of which every token reads all."""
        heads = self.shape.heads
        kind = self.quantizer.type_of(name, columns, layer)
        return Tensor(name, columns, rows, kind, layer, copies=heads, active_copies=heads)
