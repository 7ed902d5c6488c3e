"""The shape of a model: what of its architecture decides how large it and its memory are."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from moltghost.models.architectures import Architecture, architecture


class Mixer(Enum):
    """How a layer lets its tokens see one another, which is what it keeps in memory.

    Attributes:
        FULL: attention to everything, with a KV cache of the whole context.
        WINDOW: attention to the last tokens only.
        SHARED: attention over the cache of an earlier layer; it keeps none.
        RECURRENT: a state of constant size.
        NONE: the layer is a feed-forward block only.
    """

    FULL = "full"
    WINDOW = "window"
    SHARED = "shared"
    RECURRENT = "recurrent"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class SlidingWindow:
    """Attention limited to the last `tokens`, except in every `pattern`-th layer.

    Attributes:
        last_full: the last layer isn't limited either.
    """

    tokens: int
    pattern: int
    last_full: bool = False

    def limits(self, layer: int, layers: int) -> bool:
        """Whether a layer of so many sees the window only."""
        if self.last_full and layer == layers - 1:
            return False
        return layer % self.pattern != self.pattern - 1


@dataclass(frozen=True, slots=True)
class Mla:
    """Multi-head latent attention: one compressed row per token is cached instead of K and V.

    Attributes:
        q_lora_rank: width of the compressed query; 0 where the query isn't compressed.
        kv_lora_rank: width of the compressed keys and values.
        qk_nope, qk_rope: width of a head's key without and with positions.
        v: width of a head's value.
    """

    q_lora_rank: int
    kv_lora_rank: int
    qk_nope: int
    qk_rope: int
    v: int

    @property
    def cached_width(self) -> int:
        """Elements of the cache per token and layer."""
        return self.kv_lora_rank + self.qk_rope


@dataclass(frozen=True, slots=True)
class DeltaNet:
    """Gated delta net (Qwen3-Next, Qwen3.5): linear attention with a matrix as its state."""

    k_heads: int
    v_heads: int
    head_dim: int
    conv_kernel: int

    @property
    def key_width(self) -> int:
        """Width of all keys."""
        return self.k_heads * self.head_dim

    @property
    def value_width(self) -> int:
        """Width of all values."""
        return self.v_heads * self.head_dim

    @property
    def conv_width(self) -> int:
        """Channels of the convolution."""
        return 2 * self.key_width + self.value_width

    @property
    def state_elements(self) -> tuple[int, int]:
        """Of the convolution and of the state, per layer and sequence."""
        return (self.conv_kernel - 1) * self.conv_width, self.head_dim * self.value_width


@dataclass(frozen=True, slots=True)
class Mamba2:
    """A Mamba-2 block (Nemotron 3, Granite 4)."""

    inner: int
    heads: int
    state: int
    groups: int
    conv_kernel: int

    @property
    def conv_width(self) -> int:
        """Channels of the convolution."""
        return self.inner + 2 * self.groups * self.state

    @property
    def state_elements(self) -> tuple[int, int]:
        """Of the convolution and of the state, per layer and sequence."""
        return (self.conv_kernel - 1) * self.conv_width, self.state * self.inner


@dataclass(frozen=True, slots=True)
class ShortConv:
    """A short convolution (LFM2): it keeps the last tokens' inputs and no other state."""

    kernel: int
    width: int

    @property
    def state_elements(self) -> tuple[int, int]:
        """Of the convolution, and none besides, per layer and sequence."""
        return (self.kernel - 1) * self.width, 0


@dataclass(frozen=True, slots=True)
class Shape:
    """What of an architecture decides sizes.

    Attributes:
        architecture: llama.cpp's name of it; files of Ollama's own library may say another.
        kv_heads, head_dim: of the keys, as they are cached (with MLA: one head of its row).
        ffn: width of the feed-forward, or of one expert where `expert_ffn` is 0.
        expert_ffn: width of one expert, where dense layers have another.
        shared_expert_ffn: width of all shared experts together.
        dense_layers: so many layers at the start have no experts.
        moe_every: every so-many-th layer has experts, the others are dense.
        dense_beside_experts: the dense feed-forward runs beside the experts, in every layer.
        router_bias: experts are chosen with a bias of their own.
        qk_norm: queries and keys have a norm; `wide_qk_norm`: over all heads instead of each.
        full_kv_heads, full_head_dim: of layers that see everything, where they have others.
        full_k_is_v: those layers have no matrix for values.
        shared_kv_layers: the last so-many layers use the cache of an earlier one.
        wide_shared_ffn: those layers have twice the feed-forward.
        per_layer_embedding: width of the embedding that each layer has of its own; on the host.
        attention_layers: the layers with attention in a model with recurrent ones; None: all.
        feed_forward_layers: layers that are nothing but a feed-forward; None: every layer has one.
        recurrent: what the other layers are.
        prediction_layers: layers that guess further tokens; loaded only where drafting is on.
    """

    architecture: str
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    vocab: int
    experts: int = 0
    experts_used: int = 0
    expert_ffn: int = 0
    shared_expert_ffn: int = 0
    dense_layers: int = 0
    moe_every: int = 1
    dense_beside_experts: bool = False
    router_bias: bool = False
    tied_embeddings: bool = False
    qkv_bias: bool = False
    qk_norm: bool = False
    wide_qk_norm: bool = False
    rope_tensors: str | None = None
    sliding_window: SlidingWindow | None = None
    full_kv_heads: int = 0
    full_head_dim: int = 0
    full_k_is_v: bool = False
    shared_kv_layers: int = 0
    wide_shared_ffn: bool = False
    per_layer_embedding: int = 0
    mla: Mla | None = None
    recurrent: DeltaNet | Mamba2 | ShortConv | None = None
    attention_layers: tuple[int, ...] | None = None
    feed_forward_layers: tuple[int, ...] | None = None
    prediction_layers: int = 0

    @property
    def traits(self) -> Architecture:
        """What all models of this architecture have."""
        return architecture(self.architecture)

    @property
    def kv_width(self) -> int:
        """Elements of K (or of V) per token, in layers that aren't told apart."""
        return self.kv_heads * self.head_dim

    @property
    def expert_width(self) -> int:
        """Width of one expert."""
        return self.expert_ffn or self.ffn

    @property
    def uniform(self) -> bool:
        """Whether all layers have the same tensors."""
        return not (
            self.sliding_window
            or self.attention_layers
            or self.dense_layers
            or self.moe_every > 1
            or self.shared_kv_layers
        )

    def mixer(self, layer: int) -> Mixer:
        """What a layer keeps in memory."""
        if self.attention_layers is not None and layer not in self.attention_layers:
            alone = self.feed_forward_layers or ()
            return Mixer.NONE if layer in alone else Mixer.RECURRENT
        if layer >= self.layers - self.shared_kv_layers:
            return Mixer.SHARED
        return Mixer.WINDOW if self.windowed(layer) else Mixer.FULL

    def windowed(self, layer: int) -> bool:
        """Whether a layer's attention sees a window only."""
        window = self.sliding_window
        return window is not None and window.limits(layer, self.layers)

    def has_experts(self, layer: int) -> bool:
        """Whether a layer's feed-forward consists of experts."""
        return (
            self.experts > 0
            and layer >= self.dense_layers
            and (layer + 1) % self.moe_every == 0
            and self.has_feed_forward(layer)
        )

    def has_feed_forward(self, layer: int) -> bool:
        """Whether a layer has a feed-forward at all."""
        return self.feed_forward_layers is None or layer in self.feed_forward_layers

    def head_dim_of(self, layer: int) -> int:
        """Width of a head in a layer's attention."""
        return self.head_dim if self.windowed(layer) else self.full_head_dim or self.head_dim

    def kv_width_of(self, layer: int) -> int:
        """Elements of K (or of V) per token in a layer's attention."""
        if self.windowed(layer):
            return self.kv_width
        return (self.full_kv_heads or self.kv_heads) * self.head_dim_of(layer)

    def ffn_of(self, layer: int) -> int:
        """Width of a layer's dense feed-forward."""
        wide = self.wide_shared_ffn and layer >= self.layers - self.shared_kv_layers
        return 2 * self.ffn if wide else self.ffn
