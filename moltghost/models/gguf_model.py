"""A model that isn't in the catalogue, described by its GGUF file alone."""

from __future__ import annotations

import re
from collections import Counter
from types import MappingProxyType

from moltghost.errors import Refused
from moltghost.models.catalogue import gguf_file_types
from moltghost.models.facts import Model, ModelFile, Shape, SlidingWindow
from moltghost.models.gguf import GgufFile, LengthOnly
from moltghost.models.names import ModelChoice

_NOT_STATED = "not stated"
# Keys of architectures whose state isn't a plain cache of keys and values.
_OTHER_STATE = ("ssm.", "wkv.", "attention.kv_lora_rank", "full_attention_interval", "shortconv.")
# Every n-th layer sees the whole context, the others a window (llama.cpp b10488, set_swa_pattern).
# A window of any other architecture is counted as full attention, which errs high.
_WINDOW_PATTERNS = {"gemma2": 2, "gemma3": 6}
_DEFAULT_CONTEXT = 4096  # where the file doesn't say what it was trained for
_LAYER = re.compile(r"blk\.(\d{1,6})\.")
_MOST, _MOST_EXPERTS_USED = 1 << 31, 1 << 10


def model_of(file: GgufFile) -> ModelChoice:
    """The model of a file, to be sized as one of the catalogue.

    Raises:
        Refused: the file has no language model, or one whose memory isn't modelled.
    """
    facts = _Facts(file)
    architecture = facts.text("general.architecture")
    for key in file.metadata:
        if key.startswith(tuple(f"{architecture}.{part}" for part in _OTHER_STATE)):
            raise _unsupported(file, f"{architecture} keeps other state than a KV cache ({key})")
    quantization = _quantization(file)
    name = file.path.name.removesuffix(".gguf")
    record = ModelFile(
        quantization, None, False, published_bytes=file.file_bytes, tensors=file.tensors
    )
    shape = _shape(facts, architecture)
    model = Model(
        id=name,
        aliases=(),
        family=architecture,
        parameters=sum(t.elements for t in file.tensors if not t.name.startswith("rope_")),
        max_context=facts.number("context_length", _DEFAULT_CONTEXT),
        shape=shape,
        gguf_metadata_bytes=0,
        licence=facts.text("general.license", _NOT_STATED),
        licence_note=None,
        gated=None,
        gated_note=None,
        tools=False,
        tools_note="a GGUF file doesn't say",
        hf_repo="",
        ollama_default=quantization,
        files=MappingProxyType({quantization: record}),
        default_quantization=quantization,
        q4=quantization,
        notes=(),
        doubts=(),
        sources=(str(file.path),),
    )
    return ModelChoice(model, quantization)


def _quantization(file: GgufFile) -> str:
    """What the file says it is, else the block type that holds most of its elements."""
    stated = file.metadata.get("general.file_type")
    if isinstance(stated, int) and stated in gguf_file_types():
        return gguf_file_types()[stated]
    held: Counter[str] = Counter()
    for tensor in file.tensors:
        held[tensor.type] += tensor.elements
    return held.most_common(1)[0][0]


def _shape(facts: _Facts, architecture: str) -> Shape:
    hidden = facts.number("embedding_length")
    heads = facts.number("attention.head_count")
    head_dim = facts.number("attention.key_length", hidden // heads or None)
    window = facts.number("attention.sliding_window", 0)
    pattern = _WINDOW_PATTERNS.get(architecture)
    return Shape(
        architecture=architecture,
        layers=facts.layers(),
        hidden=hidden,
        heads=heads,
        kv_heads=facts.number("attention.head_count_kv", heads),
        head_dim=max(head_dim, facts.number("attention.value_length", head_dim)),
        ffn=facts.number("expert_feed_forward_length", facts.number("feed_forward_length", 1)),
        vocab=facts.rows_of("token_embd.weight"),
        experts=facts.number("expert_count", 0),
        experts_used=facts.number("expert_used_count", 0, most=_MOST_EXPERTS_USED),
        tied_embeddings=not facts.has("output.weight"),
        qkv_bias=facts.has("blk.0.attn_q.bias"),
        qk_norm=facts.has("blk.0.attn_q_norm.weight"),
        sliding_window=SlidingWindow(window, pattern) if window and pattern else None,
    )


class _Facts:
    """Typed access to a file's metadata."""

    def __init__(self, file: GgufFile) -> None:
        self._file = file
        self._rows = {t.name: t.dimensions[-1] for t in file.tensors}

    def text(self, key: str, default: str | None = None) -> str:
        value = self._file.metadata.get(key, default)
        if not isinstance(value, str) or not value:
            raise _unsupported(self._file, f"it has no {key}")
        return value

    def layers(self) -> int:
        """Layers, after a look whether the file has every one of them."""
        claimed = self.number("block_count")
        found = {int(match[1]) for name in self._rows if (match := _LAYER.match(name))}
        if not found.issuperset(range(min(claimed, len(found) + 1))):
            raise _unsupported(
                self._file, f"it claims {claimed} layers and has tensors of {len(found)}"
            )
        return claimed

    def number(self, key: str, default: int | None = None, most: int = _MOST) -> int:
        """A count; of one per layer the largest, so that what errs errs high."""
        full = f"{self.text('general.architecture')}.{key}"
        value = self._file.metadata.get(full, default)
        if isinstance(value, tuple):
            value = max((v for v in value if isinstance(v, int)), default=None)
        if isinstance(value, LengthOnly) or type(value) is not int:
            raise _unsupported(self._file, f"it has no {full}")
        if not (0 if default == 0 else 1) <= value <= most:
            raise _unsupported(self._file, f"its {full} is {value}")
        return value

    def has(self, tensor: str) -> bool:
        return tensor in self._rows

    def rows_of(self, tensor: str) -> int:
        if tensor not in self._rows:
            raise _unsupported(self._file, f"it has no tensor {tensor}")
        return self._rows[tensor]


def _unsupported(file: GgufFile, why: str) -> Refused:
    return Refused(
        f"{file.path} can't be sized: {why}",
        "it has to be a language model with attention in every layer",
    )
