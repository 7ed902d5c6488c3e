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
from moltghost.models.shape import DeltaNet, Mamba2, ShortConv
from moltghost.sizing.tensors import Tensor, tensors

_ALIGNMENT = 32


def write_sparse(
    path: Path, choice: ModelChoice, *, vocabulary: bool = False, template: str = ""
) -> None:
    """Write `choice`'s file; if asked, with a vocabulary of empty words or a chat template."""
    model, shape = choice.model, choice.model.shape
    writer = gguf.GGUFWriter(None, shape.architecture)
    writer.add_name(model.id)
    _shape_values(writer, shape, model.max_context)
    _tokenizer(writer, shape, vocabulary=vocabulary)
    if template:
        writer.add_chat_template(template)
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
    values = {**_plain_values(shape, max_context), **_expert_values(shape), **_window_values(shape)}
    values |= _latent_values(shape) | _recurrent_values(shape) | _other_values(shape)
    for key, value in values.items():
        name = f"{shape.architecture}.{key}"
        if isinstance(value, list):
            writer.add_array(name, value)
        elif isinstance(value, bool):
            writer.add_bool(name, value)
        elif isinstance(value, float):
            writer.add_float32(name, value)
        else:
            writer.add_uint32(name, value)


Values = dict[str, int | float | bool | list[int] | list[bool]]


def _plain_values(shape: Shape, max_context: int) -> Values:
    found: Values = {
        "context_length": max_context,
        "embedding_length": shape.hidden,
        "block_count": shape.layers,
        "feed_forward_length": shape.ffn,
        "attention.head_count": shape.heads,
        "attention.head_count_kv": shape.kv_heads,
        "attention.key_length": shape.full_head_dim or shape.head_dim,
        "attention.value_length": shape.full_head_dim or shape.head_dim,
        "rope.dimension_count": shape.full_head_dim or shape.head_dim,
        "attention.layer_norm_rms_epsilon": 1e-5,
        "vocab_size": shape.vocab,
    }
    layers = range(shape.layers)
    if len({shape.ffn_of(layer) for layer in layers}) > 1:
        found["feed_forward_length"] = [shape.ffn_of(layer) for layer in layers]
    if shape.feed_forward_layers is not None:
        found["feed_forward_length"] = [
            shape.ffn if shape.has_feed_forward(layer) else 0 for layer in layers
        ]
    if shape.attention_layers is not None and not isinstance(shape.recurrent, DeltaNet):
        found["attention.head_count_kv"] = [
            shape.kv_heads if layer in shape.attention_layers else 0 for layer in layers
        ]
    if shape.full_head_dim:
        found["attention.head_count_kv"] = [
            shape.kv_width_of(layer) // shape.head_dim_of(layer) for layer in layers
        ]
        found["attention.key_length_swa"] = shape.head_dim
        found["attention.value_length_swa"] = shape.head_dim
        found["rope.dimension_count_swa"] = shape.head_dim
    return found


def _expert_values(shape: Shape) -> Values:
    if not shape.experts:
        return {}
    found: Values = {
        "expert_count": shape.experts,
        "expert_used_count": shape.experts_used,
        "expert_weights_norm": True,
        "expert_gating_func": 2 if shape.router_bias else 1,
    }
    if shape.expert_ffn:
        found["expert_feed_forward_length"] = shape.expert_ffn
    if shape.shared_expert_ffn:
        found["expert_shared_feed_forward_length"] = shape.shared_expert_ffn
        found["expert_shared_count"] = 1
    if shape.dense_layers:
        found["leading_dense_block_count"] = shape.dense_layers
    if shape.architecture == "llama4":
        found["interleave_moe_layer_step"] = shape.moe_every
    return found


def _window_values(shape: Shape) -> Values:
    window = shape.sliding_window
    if window is None:
        return {}
    found: Values = {"attention.sliding_window": window.tokens}
    if shape.architecture == "gemma4":
        found["attention.sliding_window_pattern"] = [
            shape.windowed(layer) for layer in range(shape.layers)
        ]
        found["attention.shared_kv_layers"] = shape.shared_kv_layers
        found["embedding_length_per_layer_input"] = shape.per_layer_embedding
    return found


def _latent_values(shape: Shape) -> Values:
    mla = shape.mla
    if mla is None:
        return {}
    return {
        "attention.q_lora_rank": mla.q_lora_rank,
        "attention.kv_lora_rank": mla.kv_lora_rank,
        "attention.key_length": mla.cached_width,
        "attention.value_length": mla.kv_lora_rank,
        "attention.key_length_mla": mla.qk_nope + mla.qk_rope,
        "attention.value_length_mla": mla.v,
        "rope.dimension_count": mla.qk_rope,
    }


def _recurrent_values(shape: Shape) -> Values:
    block = shape.recurrent
    if isinstance(block, DeltaNet):
        return {
            "ssm.conv_kernel": block.conv_kernel,
            "ssm.inner_size": block.value_width,
            "ssm.state_size": block.head_dim,
            "ssm.time_step_rank": block.v_heads,
            "ssm.group_count": block.k_heads,
            "full_attention_interval": (shape.attention_layers or (0,))[0] + 1,
            "rope.dimension_count": shape.head_dim // 4,
            "rope.dimension_sections": [11, 11, 10, 0],
        }
    if isinstance(block, Mamba2):
        return {
            "ssm.conv_kernel": block.conv_kernel,
            "ssm.inner_size": block.inner,
            "ssm.state_size": block.state,
            "ssm.time_step_rank": block.heads,
            "ssm.group_count": block.groups,
        }
    return {"shortconv.l_cache": block.kernel} if isinstance(block, ShortConv) else {}


def _other_values(shape: Shape) -> Values:
    match shape.architecture:
        case "gemma2":
            return {"attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0}
        case "gemma4":
            return {"final_logit_softcapping": 30.0}
        case "granite":
            return {"logit_scale": 16.0, "residual_scale": 0.22, "embedding_scale": 12.0}
        case "granitehybrid":
            return {
                "logit_scale": 16.0,
                "residual_scale": 0.22,
                "embedding_scale": 12.0,
                "rope.scaling.finetuned": False,
            }
        case "nemotron_h" | "nemotron_h_moe":
            return {"attention.layer_norm_epsilon": 1e-5}
        case "minimax-m2":
            return {"rope.dimension_count": 64}
    return {}


def _tokenizer(writer: gguf.GGUFWriter, shape: Shape, *, vocabulary: bool) -> None:
    if not vocabulary:
        writer.add_tokenizer_model("none")
        return
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list([f"token{i}" for i in range(shape.vocab)])
    writer.add_token_merges([f"a{i} b{i}" for i in range(shape.vocab)])


def _name(tensor: Tensor) -> str:
    bare = tensor.name.endswith((".bias", ".scale")) or tensor.name in ("ssm_a", "ssm_d")
    layer = "" if tensor.layer is None else f"blk.{tensor.layer}."
    return f"{layer}{tensor.name}{'' if bare else '.weight'}"


def _dimensions(tensor: Tensor) -> tuple[int, ...]:
    """Numpy's order: ggml's reversed."""
    if tensor.copies > 1:
        return tensor.copies, tensor.rows, tensor.columns
    flat = tensor.rows == 1 and tensor.type == "F32"
    return (tensor.columns,) if flat else (tensor.rows, tensor.columns)


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT
