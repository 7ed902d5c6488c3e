"""The shape of a model, read from a GGUF's metadata and tensor table."""

from __future__ import annotations

import re

from moltghost.errors import Refused
from moltghost.models.architectures import OLLAMA_NAMES, architecture
from moltghost.models.gguf import GgufFile, GgufValue, LengthOnly
from moltghost.models.shape import DeltaNet, Mamba2, Mla, Shape, ShortConv, SlidingWindow

# Keys of what is kept beside keys and values, and the architectures where it is modelled.
_OTHER_STATE = {
    "ssm.": ("qwen3next", "qwen35", "qwen35moe", "nemotron_h", "nemotron_h_moe", "granitehybrid"),
    "full_attention_interval": ("qwen3next", "qwen35", "qwen35moe"),
    "attention.kv_lora_rank": ("deepseek2",),
    "shortconv.": ("lfm2", "lfm2moe"),
    "wkv.": (),
    "attention.indexer.": (),
    "attention.compress": (),
}
_DELTA_NETS = ("qwen3next", "qwen35", "qwen35moe")
# A layer without heads for keys is recurrent here; elsewhere it has no attention at all.
_HYBRIDS = ("granitehybrid", "lfm2", "lfm2moe", "nemotron_h", "nemotron_h_moe")
_LAYER = re.compile(r"blk\.(\d{1,6})\.")
_MOST, _MOST_EXPERTS_USED = 1 << 31, 1 << 10


def shape_of(file: GgufFile) -> Shape:
    """What of the model decides sizes.

    Raises:
        Refused: it keeps something that isn't modelled, or what it says of itself can't be.
    """
    facts = Facts(file)
    name = facts.architecture
    for key in file.metadata:
        for part, modelled in _OTHER_STATE.items():
            if key.startswith(f"{facts.prefix}.{part}") and name not in modelled:
                raise facts.refused(f"{name} keeps other state than a KV cache ({key})")
    predicted = facts.number("nextn_predict_layers", 0)
    layers = facts.layers(predicted)
    hidden, heads = facts.number("embedding_length"), facts.number("attention.head_count")
    mla = _mla(facts)
    head_dim = facts.number("attention.key_length", hidden // heads or None)
    if mla is None:
        head_dim = max(head_dim, facts.number("attention.value_length", head_dim))
    kv_heads = [facts.number("attention.head_count_kv", heads)] * layers
    if name in (*_HYBRIDS, "gemma4"):
        kv_heads = facts.per_layer("attention.head_count_kv", layers, heads)
    window = _window(facts, layers)
    full_kv_heads = full_head_dim = 0
    if small := facts.number("attention.key_length_swa", 0):
        full_head_dim, head_dim = head_dim, small
        windowed = facts.flags("attention.sliding_window_pattern")
        full_kv_heads = max(
            (n for n, w in zip(kv_heads, windowed, strict=False) if not w), default=0
        )
        kv_heads = [n for n, w in zip(kv_heads, windowed, strict=False) if w] or kv_heads
    ffn = facts.per_layer("feed_forward_length", layers, 1)
    shared = facts.number("attention.shared_kv_layers", 0)
    experts = facts.number("expert_count", 0)
    dense_layers = facts.number("leading_dense_block_count", 0) if experts else 0
    attention_layers = _attention_layers(facts, layers, kv_heads)
    alone = tuple(i for i, width in enumerate(ffn) if width)
    one_block = name.startswith("nemotron_h")
    return Shape(
        architecture=name,
        layers=layers,
        hidden=hidden,
        heads=heads,
        kv_heads=max(kv_heads),
        head_dim=head_dim,
        ffn=_ffn(facts, ffn, shared, experts),
        vocab=facts.rows_of("token_embd.weight"),
        experts=experts,
        experts_used=facts.number("expert_used_count", 0, most=_MOST_EXPERTS_USED),
        expert_ffn=_expert_ffn(facts, experts),
        shared_expert_ffn=facts.rows_like("ffn_up_shexp.weight"),
        dense_layers=dense_layers,
        moe_every=facts.number("interleave_moe_layer_step", 1),
        dense_beside_experts=facts.has("blk.0.pre_ffw_norm_2.weight"),
        router_bias=facts.some("exp_probs_b.bias"),
        tied_embeddings=not facts.has("output.weight"),
        qkv_bias=facts.has("blk.0.attn_q.bias"),
        qk_norm=facts.some("attn_q_norm.weight"),
        wide_qk_norm=facts.rows_like("attn_q_norm.weight") > head_dim
        and facts.rows_like("attn_q_norm.weight") != full_head_dim,
        sliding_window=window,
        full_kv_heads=full_kv_heads,
        full_head_dim=full_head_dim,
        full_k_is_v=bool(full_head_dim)
        and not shared
        and not facts.has(_last_full(window, layers)),
        shared_kv_layers=shared,
        wide_shared_ffn=shared > 0 and len(set(ffn)) > 1,
        per_layer_embedding=facts.number("embedding_length_per_layer_input", 0),
        mla=mla,
        recurrent=_recurrent(facts, hidden) if attention_layers is not None else None,
        attention_layers=attention_layers,
        feed_forward_layers=alone if one_block else None,
        prediction_layers=predicted,
    )


def _ffn(facts: Facts, ffn: list[int], shared: int, experts: int) -> int:
    """The dense width; of a model of experts only, that of one of them."""
    if shared:
        return min(ffn)
    widest = max(ffn)
    return facts.number("expert_feed_forward_length", widest) if experts and not widest else widest


def _expert_ffn(facts: Facts, experts: int) -> int:
    return facts.number("expert_feed_forward_length", 0) if experts else 0


def _mla(facts: Facts) -> Mla | None:
    if not facts.some("attn_k_b.weight"):
        return None
    rope = facts.number("rope.dimension_count")
    return Mla(
        q_lora_rank=facts.number("attention.q_lora_rank", 0),
        kv_lora_rank=facts.number("attention.kv_lora_rank"),
        qk_nope=facts.number("attention.key_length_mla") - rope,
        qk_rope=rope,
        v=facts.number("attention.value_length_mla"),
    )


def _window(facts: Facts, layers: int) -> SlidingWindow | None:
    """The window, where it is known which layers have it; counted as full attention elsewhere."""
    traits = architecture(facts.architecture)
    tokens = facts.number("attention.sliding_window", traits.window_tokens)
    pattern = traits.window_pattern
    flags = facts.flags("attention.sliding_window_pattern")
    if not tokens:
        return None
    if not flags:
        return SlidingWindow(tokens, pattern) if pattern else None
    pattern = next((i + 1 for i, limited in enumerate(flags) if not limited), layers + 1)
    window = SlidingWindow(tokens, pattern, last_full=not flags[-1])
    found = [window.limits(layer, layers) for layer in range(layers)]
    if found != list(flags[:layers]):
        raise facts.refused("its windows follow no pattern that is modelled")
    return window


def _last_full(window: SlidingWindow | None, layers: int) -> str:
    """The name of the value matrix of a layer that sees everything."""
    full = [i for i in range(layers) if not (window and window.limits(i, layers))]
    return f"blk.{full[0] if full else 0}.attn_v.weight"


def _attention_layers(facts: Facts, layers: int, kv_heads: list[int]) -> tuple[int, ...] | None:
    if facts.architecture in _DELTA_NETS:
        every = facts.number("full_attention_interval", 4)
        return tuple(range(every - 1, layers, every))
    if facts.architecture in _HYBRIDS:
        return tuple(layer for layer, heads in enumerate(kv_heads) if heads)
    return None


def _recurrent(facts: Facts, hidden: int) -> DeltaNet | Mamba2 | ShortConv:
    if facts.has_key("shortconv.l_cache"):
        return ShortConv(facts.number("shortconv.l_cache"), hidden)
    kernel, groups = facts.number("ssm.conv_kernel"), facts.number("ssm.group_count")
    heads, state = facts.number("ssm.time_step_rank"), facts.number("ssm.state_size")
    if facts.architecture in _DELTA_NETS:
        return DeltaNet(k_heads=groups, v_heads=heads, head_dim=state, conv_kernel=kernel)
    inner = facts.number("ssm.inner_size")
    return Mamba2(inner=inner, heads=heads, state=state, groups=groups, conv_kernel=kernel)


class Facts:
    """Typed access to a file's metadata.

    Attributes:
        prefix: how the file calls its architecture, which its keys begin with.
        architecture: llama.cpp's name of it.
    """

    def __init__(self, file: GgufFile) -> None:
        self._file = file
        self._rows = {t.name: t.dimensions[-1] for t in file.tensors}
        self.prefix = self.text("general.architecture")
        self.architecture = OLLAMA_NAMES.get(self.prefix, self.prefix)

    def text(self, key: str, default: str | None = None) -> str:
        """A text.

        Raises:
            Refused: there is none.
        """
        value = self._file.metadata.get(key, default)
        if not isinstance(value, str) or not value:
            raise self.refused(f"it has no {key}")
        return value

    def layers(self, predicted: int) -> int:
        """Layers, after a look whether the file has every one of them."""
        claimed = self.number("block_count")
        found = {int(match[1]) for name in self._rows if (match := _LAYER.match(name))}
        if not found.issuperset(range(min(claimed - predicted, len(found) + 1))):
            raise self.refused(f"it claims {claimed} layers and has tensors of {len(found)}")
        if predicted >= claimed:
            raise self.refused(f"of its {claimed} layers {predicted} are said to predict")
        return claimed - predicted

    def number(self, key: str, default: int | None = None, most: int = _MOST) -> int:
        """A count; of one per layer the largest, so that what errs errs high."""
        value = self._value(key, default)
        if isinstance(value, tuple):
            value = max((v for v in value if isinstance(v, int)), default=None)
        return self._checked(key, value, 0 if default == 0 else 1, most)

    def per_layer(self, key: str, layers: int, default: int) -> list[int]:
        """A count for each layer, which may be none in some but not in all."""
        value = self._value(key, default)
        if not isinstance(value, tuple):
            return [self._checked(key, value, 1, _MOST)] * layers
        found = [self._checked(key, each, 0, _MOST) for each in value[:layers]]
        if len(found) < layers:
            found += [max(found, default=0)] * (layers - len(found))
        if not any(found):
            raise self.refused(f"its {self.prefix}.{key} is 0 everywhere")
        return found

    def flags(self, key: str) -> tuple[bool, ...]:
        """Yes or no for each layer; none where the file doesn't say."""
        value = self._file.metadata.get(f"{self.prefix}.{key}")
        return tuple(bool(each) for each in value) if isinstance(value, tuple) else ()

    def has_key(self, key: str) -> bool:
        """Whether the file says something about it."""
        return f"{self.prefix}.{key}" in self._file.metadata

    def has(self, tensor: str) -> bool:
        """Whether there is a tensor of that name."""
        return tensor in self._rows

    def some(self, ending: str) -> bool:
        """Whether a layer has such a tensor."""
        return any(name.endswith(f".{ending}") for name in self._rows)

    def rows_like(self, ending: str) -> int:
        """Rows of the first such tensor of a layer; 0 where none has it."""
        names = (name for name in self._rows if name.endswith(f".{ending}"))
        return self._rows.get(next(names, ""), 0)

    def rows_of(self, tensor: str) -> int:
        """Rows of a tensor.

        Raises:
            Refused: there is none.
        """
        if tensor not in self._rows:
            raise self.refused(f"it has no tensor {tensor}")
        return self._rows[tensor]

    def refused(self, why: str) -> Refused:
        """That the file can't be sized, and why."""
        return Refused(
            f"{self._file.path} can't be sized: {why}",
            "it has to be a language model of an architecture in docs/models.md",
        )

    def _value(self, key: str, default: int | None) -> GgufValue | None:
        return self._file.metadata.get(f"{self.prefix}.{key}", default)

    def _checked(self, key: str, value: object, least: int, most: int) -> int:
        full = f"{self.prefix}.{key}"
        if isinstance(value, LengthOnly) or type(value) is not int:
            raise self.refused(f"it has no {full}")
        if not least <= value <= most:
            raise self.refused(f"its {full} is {value}")
        return value
