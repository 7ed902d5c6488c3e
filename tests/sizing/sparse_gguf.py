"""Full-size model files without weights: a GGUF header, then a hole up to the data's length.

A 243 GB file takes some 100 kB of disk. The header is written by the `gguf` library, so that our
reader is tested against another's writer, and the engine loads it as it loads a real file.
"""

from __future__ import annotations

import os
from pathlib import Path

import gguf
import numpy as np

from moltghost.models import ModelChoice, Shape
from moltghost.sizing.weights import Tensor, tensors

_ALIGNMENT = 32


def write_sparse(path: Path, choice: ModelChoice, *, vocabulary: bool = False) -> None:
    """Write `choice`'s file; with a vocabulary of empty words if asked."""
    model, shape = choice.model, choice.model.shape
    writer = gguf.GGUFWriter(None, shape.architecture)
    writer.add_name(model.id)
    _shape_values(writer, shape, model.max_context)
    _tokenizer(writer, shape, vocabulary=vocabulary)
    table = list(tensors(shape, choice.quantization, choice.file.tensor_types))
    for tensor in table:
        writer.add_tensor_info(
            _name(tensor),
            _dimensions(tensor),
            np.dtype(np.float32),
            tensor.size_bytes,
            raw_dtype=gguf.GGMLQuantizationType[tensor.type],
        )
    writer.write_header_to_file(path)
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    data = _aligned(path.stat().st_size) + sum(_aligned(t.size_bytes) for t in table)
    os.truncate(path, data)


def _shape_values(writer: gguf.GGUFWriter, shape: Shape, max_context: int) -> None:
    writer.add_context_length(max_context)
    writer.add_embedding_length(shape.hidden)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.ffn)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_key_length(shape.head_dim)
    writer.add_value_length(shape.head_dim)
    writer.add_rope_dimension_count(shape.head_dim)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(shape.vocab)
    if shape.experts:
        writer.add_expert_count(shape.experts)
        writer.add_expert_used_count(shape.experts_used)
    if shape.sliding_window:
        writer.add_sliding_window(shape.sliding_window.tokens)
    if shape.architecture == "gemma2":
        writer.add_attn_logit_softcapping(50.0)
        writer.add_final_logit_softcapping(30.0)


def _tokenizer(writer: gguf.GGUFWriter, shape: Shape, *, vocabulary: bool) -> None:
    if not vocabulary:
        writer.add_tokenizer_model("none")
        return
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list([f"token{i}" for i in range(shape.vocab)])
    writer.add_token_merges([f"a{i} b{i}" for i in range(shape.vocab)])


def _name(tensor: Tensor) -> str:
    name = f"{tensor.name}_exps" if tensor.copies > 1 else tensor.name
    suffix = "" if name.endswith(".bias") else ".weight"
    layer = "" if tensor.layer is None else f"blk.{tensor.layer}."
    return f"{layer}{name}{suffix}"


def _dimensions(tensor: Tensor) -> tuple[int, ...]:
    """Numpy's order: ggml's reversed."""
    if tensor.copies > 1:
        return tensor.copies, tensor.rows, tensor.columns
    flat = tensor.rows == 1 and tensor.type == "F32"
    return (tensor.columns,) if flat else (tensor.rows, tensor.columns)


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT
