from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from moltghost.errors import Refused
from moltghost.models import ModelChoice, find_model, models
from moltghost.models.gguf import GgufFile, GgufTensor, GgufValue, LengthOnly, read_gguf
from moltghost.models.gguf_model import model_of
from moltghost.sizing import SizingRequest, size
from moltghost.sizing.tensors import tensors
from moltghost.sizing.weights import layout, layout_of
from tests.sizing.sparse_gguf import write_sparse

DEFAULTS = [ModelChoice(model, model.default_quantization) for model in models()]


@pytest.mark.parametrize("choice", DEFAULTS, ids=lambda c: c.name)
def test_a_models_file_alone_says_the_same_as_its_record(
    choice: ModelChoice, tmp_path: Path
) -> None:
    path = tmp_path / "model.gguf"
    write_sparse(path, choice)
    found = model_of(read_gguf(path))
    # The text model alone: neither a vision tower nor layers that predict further tokens.
    shape, kinds = choice.model.shape, choice.file.tensor_types
    table = tuple(tensors(shape, choice.quantization, kinds))
    ours = layout(found.model, found.quantization)
    assert replace(ours, file_bytes=0) == replace(
        layout_of(table, tied=shape.tied_embeddings), file_bytes=0
    )
    assert found.model.shape == replace(shape, rope_tensors=None, prediction_layers=0)
    assert found.model.max_context == choice.model.max_context


def test_the_answer_for_a_file_is_that_for_its_model(tmp_path: Path) -> None:
    path = tmp_path / "some model.gguf"
    choice = find_model("llama3.1-70b-q4")
    write_sparse(path, choice, vocabulary=True)
    ours = size(SizingRequest("llama3.1-70b-q4"))
    file = size(SizingRequest("x"), choice=model_of(read_gguf(path)))
    assert file.name == "some model"
    assert file.footprint == ours.footprint
    assert file.placement == ours.placement
    assert abs(file.file_bytes - ours.file_bytes) < 10**7


def file_of(changes: Mapping[str, GgufValue | None], *more: GgufTensor) -> GgufFile:
    metadata: dict[str, GgufValue] = {
        "general.architecture": "llama",
        "llama.block_count": 1,
        "llama.embedding_length": 64,
        "llama.attention.head_count": 2,
        "llama.feed_forward_length": 128,
        "llama.context_length": 4096,
    }
    metadata.update({k: v for k, v in changes.items() if v is not None})
    for key, value in changes.items():
        if value is None:
            del metadata[key]
    tensors = (
        GgufTensor("token_embd.weight", (64, 100), "F16"),
        GgufTensor("blk.0.attn_q.weight", (64, 64), "Q8_0"),
        *more,
    )
    return GgufFile(Path("x.gguf"), metadata, tensors, 10**6)


def test_counts_per_layer_count_with_the_largest() -> None:
    assert model_of(file_of({"llama.attention.head_count_kv": (0, 2, 1)})).model.shape.kv_heads == 2


def test_what_the_file_states_as_its_type_is_its_quantization() -> None:
    assert model_of(file_of({"general.file_type": 15})).quantization == "Q4_K_M"
    assert model_of(file_of({})).quantization == "F16"
    assert model_of(file_of({"general.file_type": 4711})).quantization == "F16"


def test_tensors_beyond_the_layers_count_as_output() -> None:
    extra = GgufTensor("blk.7.nextn.weight", (64, 64), "F16")
    found = model_of(file_of({}, extra))
    assert layout(found.model, found.quantization).output_bytes >= extra.size_bytes


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"general.architecture": None}, "no general.architecture"),
        ({"general.architecture": 7}, "no general.architecture"),
        ({"llama.block_count": None}, "no llama.block_count"),
        ({"llama.block_count": 2**31}, "claims 2147483648 layers and has tensors of 1"),
        ({"llama.block_count": 2}, "claims 2 layers"),
        ({"llama.block_count": True}, "no llama.block_count"),
        ({"llama.embedding_length": 0}, "its llama.embedding_length is 0"),
        ({"llama.embedding_length": LengthOnly(9)}, "no llama.embedding_length"),
        ({"llama.attention.head_count": -1}, "its llama.attention.head_count is -1"),
        ({"llama.attention.head_count": (1.5,)}, "no llama.attention.head_count"),
        ({"llama.expert_used_count": 2**30}, "its llama.expert_used_count is"),
        # A head of no size would be sized in an endless loop.
        (
            {"llama.attention.head_count": 2**20},
            "no llama.attention.key_length",
        ),
        ({"llama.attention.key_length": 0}, "its llama.attention.key_length is 0"),
        ({"llama.ssm.state_size": 16}, "other state than a KV cache"),
        ({"llama.attention.kv_lora_rank": 512}, "other state than a KV cache"),
    ],
)
def test_a_file_that_is_no_plain_language_model_is_refused(
    changes: Mapping[str, GgufValue | None], reason: str
) -> None:
    with pytest.raises(Refused, match=reason):
        model_of(file_of(changes))


def test_a_file_without_an_embedding_is_refused() -> None:
    file = file_of({})
    without = GgufFile(file.path, file.metadata, file.tensors[1:], file.file_bytes)
    with pytest.raises(Refused, match=r"no tensor token_embd\.weight"):
        model_of(without)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"general.type": "adapter"}, "an adapter .LoRA."),
        ({"adapter.type": "lora"}, "an adapter .LoRA."),
        ({"general.type": "mmproj"}, "a vision tower"),
        ({"general.architecture": "clip"}, "a vision tower"),
        ({"general.type": "imatrix"}, "an importance matrix"),
        ({"imatrix.chunk_count": 7}, "an importance matrix"),
        ({"general.architecture": "bert"}, "an embedding model"),
        ({"general.architecture": "nomic-bert-moe"}, "an embedding model"),
        ({"llama.pooling_type": 3}, "an embedding model .it has a pooling type."),
        ({"general.architecture": "llada"}, "a diffusion language model"),
        ({"general.architecture": "flux"}, "makes images or videos"),
        ({"general.architecture": "wavtokenizer-dec"}, "an audio model"),
        ({"general.architecture": "t5"}, "an encoder"),
        ({"general.architecture": "eagle3"}, "a draft model"),
        ({"general.architecture": "deepseek4"}, "keeps more than keys and values"),
        ({"general.architecture": "minimax-m3"}, "keeps more than keys and values"),
        ({"general.architecture": "mamba2"}, "a model without attention"),
        ({"general.architecture": "shiny-new"}, "an architecture .shiny-new. whose memory isn't"),
    ],
)
def test_a_file_that_is_no_chat_model_is_refused_saying_what_it_is(
    changes: Mapping[str, GgufValue | None], what: str
) -> None:
    with pytest.raises(Refused, match=f"can't be sized: it is .*{what}"):
        model_of(file_of(changes))


def test_a_reranker_and_a_vocabulary_are_told_apart_from_models() -> None:
    reranker = file_of({}, GgufTensor("cls.output.weight", (64, 2), "F16"))
    with pytest.raises(Refused, match="it is a reranker"):
        model_of(reranker)
    file = file_of({})
    with pytest.raises(Refused, match="it is a vocabulary without weights"):
        model_of(GgufFile(file.path, file.metadata, (), file.file_bytes))


@pytest.mark.parametrize("typed", ["gpt-oss-20b", "glm-4.7-flash"])
def test_a_file_of_ollamas_own_converter_is_read_by_its_names(typed: str, tmp_path: Path) -> None:
    theirs = {"gpt-oss": "gptoss", "deepseek2": "glm4moelite"}
    path = tmp_path / "model.gguf"
    choice = find_model(typed)
    write_sparse(path, choice)
    read = read_gguf(path)
    name = choice.model.shape.architecture
    renamed = {
        key.replace(f"{name}.", f"{theirs[name]}.", 1): value
        for key, value in read.metadata.items()
    }
    renamed["general.architecture"] = theirs[name]
    found = model_of(replace(read, metadata=renamed))
    assert found.model.shape == model_of(read).model.shape
    assert found.model.family == name


def test_a_vision_tower_within_a_file_counts_apart(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    write_sparse(path, find_model("gemma3-4b"))
    read = read_gguf(path)
    tower = GgufTensor("v.blk.0.attn_q.weight", (1152, 1152), "F16")
    found = model_of(replace(read, tensors=(*read.tensors, tower)))
    assert found.model.vision_bytes == tower.size_bytes == 2 * 1152 * 1152
    assert found.model.parameters == find_model("gemma3-4b").model.parameters
    weights = layout(found.model, found.quantization)
    assert weights.vision_bytes == tower.size_bytes


def test_windows_that_follow_no_pattern_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    write_sparse(path, find_model("gemma4-12b"))
    read = read_gguf(path)
    key = "gemma4.attention.sliding_window_pattern"
    flags = read.metadata[key]
    assert isinstance(flags, tuple)
    broken = {**read.metadata, key: (not flags[0], *flags[1:])}
    with pytest.raises(Refused, match="its windows follow no pattern"):
        model_of(replace(read, metadata=broken))


def test_a_layer_that_predicts_further_tokens_isnt_one_of_the_models() -> None:
    extra = GgufTensor("blk.1.nextn.eh_proj.weight", (128, 64), "F16")
    found = model_of(
        file_of({"llama.block_count": 2, "llama.nextn_predict_layers": 1}, extra)
    ).model
    assert (found.shape.layers, found.shape.prediction_layers) == (1, 1)
