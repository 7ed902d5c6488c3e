"""The golden files are published sizes, and sizes derived from them by an independent program."""

import json
from pathlib import Path

import pytest

from moltghost.models import Model, models
from moltghost.sizing.tensors import tensors
from moltghost.sizing.weights import layout, layout_of

GOLDEN = Path(__file__).parent / "golden"
WEIGHTS = json.loads((GOLDEN / "weights.json").read_text())
CHECKS = json.loads((GOLDEN / "size_checks.json").read_text())
BY_ID = {m.id: m for m in models()}
# Published, and no model of the catalogue, but of the shape of one.
SAME_SHAPE = {"qwen2.5-coder-14b (not in the catalogue)": "qwen2.5-14b"}
LARGEST_METADATA_BYTES = 7_900_000


def test_every_golden_row_is_a_file_of_the_catalogue() -> None:
    rows = {(row["id"], row["quantization"]) for row in WEIGHTS}
    assert len(rows) == 169
    assert rows <= {(m.id, q) for m in models() for q in m.quantizations}


@pytest.mark.parametrize("row", WEIGHTS, ids=lambda r: f"{r['id']}-{r['quantization']}")
def test_bytes_of_every_file_are_exact(row: dict[str, int]) -> None:
    found = layout(BY_ID[row["id"]], row["quantization"])
    assert found.tensor_bytes == row["tensor_bytes_derived"]
    assert found.gpu_bytes == row["gpu_weight_bytes_derived"]
    assert found.token_embd_bytes == row["token_embd_bytes_derived"]
    assert found.read_bytes == row["decode_read_bytes_per_token_derived"]
    assert found.file_bytes == row["file_bytes"]
    assert len(found.layer_bytes) == BY_ID[row["id"]].shape.layers


def test_published_sizes_differ_from_the_tensors_by_metadata_only() -> None:
    assert len(CHECKS) == 27
    for row in CHECKS:
        model = BY_ID[SAME_SHAPE.get(row["id"], row["id"])]
        found = layout(model, row["quant"])
        metadata = row["published_bytes"] - found.tensor_bytes
        assert found.tensor_bytes == row["derived_tensor_bytes"]
        assert 0 < metadata < LARGEST_METADATA_BYTES
        assert metadata == pytest.approx(model.gguf_metadata_bytes, rel=0.05)


@pytest.mark.parametrize("model", models(), ids=lambda m: m.id)
def test_the_tensor_list_has_the_published_parameter_count(model: Model) -> None:
    for quantization in model.quantizations:
        assert layout(model, quantization).parameters == model.parameters


# Published bytes of library files beyond tensors, metadata and vision tower: 0 where the rules
# explain all of it. The rest is layers that predict further tokens, and tensors in larger types.
BEYOND = {
    "qwen3-coder-next": 3_252_551_248,
    "qwen3-next-80b": 1_862_272_048,
    "glm-4.7-flash": 888_023_200,
    "llama4-scout": 337_702_880,
}
# Published sizes below our rules: older ones for one fused matrix, and other types in the library.
LARGER_THAN_PUBLISHED = {"phi4-14b": 8_588_576, "nemotron-3-nano-30b": 243_199_824}
# The projector is a file of its own beside this one.
APART = {"qwen3.6-35b-a3b"}


PUBLISHED = [
    m for m in models() if m.ollama_default in m.files and m.files[m.ollama_default].published_bytes
]


@pytest.mark.parametrize("model", PUBLISHED, ids=lambda m: m.id)
def test_a_published_size_is_explained_or_its_rest_is_counted(model: Model) -> None:
    file = model.files[model.ollama_default]
    found = layout(model, model.ollama_default)
    vision = 0 if model.id in APART else model.vision_bytes
    assert file.published_bytes
    beyond = file.published_bytes - found.tensor_bytes - model.gguf_metadata_bytes - vision
    if model.id in BEYOND:
        assert beyond == BEYOND[model.id]
        plain = layout_of(tuple(tensors(model.shape, model.ollama_default)), tied=False)
        assert found.output_bytes == plain.output_bytes + beyond
    elif model.id in LARGER_THAN_PUBLISHED:
        assert beyond == -LARGER_THAN_PUBLISHED[model.id]
    elif model.id in APART:
        assert 0 < beyond < 844_640_768  # fewer bytes than its predicting layer has elements
    else:
        assert abs(beyond) < 45_000_000 if vision else abs(beyond) < 2_000_000


@pytest.mark.parametrize(
    ("quantization", "bits"),
    [("Q4_K_S", 4.6672), ("Q4_K_M", 4.8944), ("Q6_K", 6.5633), ("Q8_0", 8.5008)],
)
def test_bits_per_weight_are_those_of_llama_cpps_own_table(quantization: str, bits: float) -> None:
    model = BY_ID["llama3.1-8b"]
    found = layout(model, quantization).tensor_bytes * 8 / model.parameters
    assert round(found, 4) == bits


def test_the_gpu_holds_2011_mb_of_llama_32_3b_as_logged() -> None:
    assert round(layout(BY_ID["llama3.2-3b"], "Q4_K_M").gpu_bytes / 2**20, 2) == 1918.35


def test_the_librarys_qwen3_files_keep_attn_v_in_f16() -> None:
    model = BY_ID["qwen3-8b"]
    plain = sum(t.size_bytes for t in tensors(model.shape, "Q4_K_M"))
    assert layout(model, "Q4_K_M").tensor_bytes / plain == pytest.approx(1.039, abs=0.001)
