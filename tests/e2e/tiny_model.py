"""A model of a few hundred kilobytes that Ollama loads: random weights, bytes as its vocabulary."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np

TRAINED_CONTEXT = 2048
# K-quantizations work on rows of 256 values.
_WIDTH, _FFN, _HEADS, _BLOCKS = 256, 512, 4, 1
_SPECIAL = ("<unk>", "<s>", "</s>")


def write_tiny(path: Path) -> None:
    """Write it in F16, without a chat template."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_context_length(TRAINED_CONTEXT)
    writer.add_embedding_length(_WIDTH)
    writer.add_block_count(_BLOCKS)
    writer.add_feed_forward_length(_FFN)
    writer.add_head_count(_HEADS)
    writer.add_head_count_kv(_HEADS)
    writer.add_rope_dimension_count(_WIDTH // _HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    _tokenizer(writer)
    random = np.random.default_rng(1)
    for name, shape in _tensors().items():
        values = random.normal(0, 0.02, shape)
        # Norms are kept in full precision, as converters do.
        writer.add_tensor(name, values.astype(np.float32 if len(shape) == 1 else np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _tokenizer(writer: gguf.GGUFWriter) -> None:
    kinds = gguf.TokenType
    tokens = [*_SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256))]
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_token_types([kinds.UNKNOWN, kinds.CONTROL, kinds.CONTROL, *[kinds.BYTE] * 256])
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_vocab_size(len(tokens))


def _tensors() -> dict[str, tuple[int, ...]]:
    vocabulary = len(_SPECIAL) + 256
    tensors: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (vocabulary, _WIDTH),
        "output_norm.weight": (_WIDTH,),
        "output.weight": (vocabulary, _WIDTH),
    }
    for block in range(_BLOCKS):
        attention = {f"attn_{each}": (_WIDTH, _WIDTH) for each in ("q", "k", "v", "output")}
        forward = {"ffn_gate": (_FFN, _WIDTH), "ffn_up": (_FFN, _WIDTH), "ffn_down": (_WIDTH, _FFN)}
        norms = {"attn_norm": (_WIDTH,), "ffn_norm": (_WIDTH,)}
        for name, shape in {**attention, **forward, **norms}.items():
            tensors[f"blk.{block}.{name}.weight"] = shape
    return tensors
