import re

import pytest

from moltghost.models import models
from moltghost.models.sources import Registry, sources_of
from tests.models.tables import DOCS, written

SHA256 = re.compile(r"[0-9a-f]{64}")


def test_every_source_is_of_a_file_of_the_catalogue_and_its_digests_are_digests() -> None:
    count = 0
    for model in models():
        for quantization in model.quantizations:
            for source in sources_of(model.id, quantization):
                count += 1
                assert source.files, (model.id, quantization)
                assert ":" in source.name or source.registry is Registry.HUGGING_FACE
                for file in source.files:
                    assert file.sha256 is None or SHA256.fullmatch(file.sha256)
    assert count > 700


@pytest.mark.parametrize(
    ("model", "quantization", "digest"),
    [
        (
            "llama3.1-8b",
            "Q4_K_M",
            "667b0c1932bc6ffc593ed1d03f895bf2dc8dc6df21db3042284a6f4416b06a29",
        ),
        (
            "qwen3.6-35b-a3b",
            "Q4_K_M",
            "d372de8e934898a59e6ccfabc3368474711384d8f1fd4d22d87a3f0a45400cdc",
        ),
        (
            "gpt-oss-20b",
            "MXFP4",
            "e7b273f9636059a689e3ddcab3716e4f65abe0143ac978e46673ad0e52d09efb",
        ),
    ],
)
def test_a_library_file_that_was_read_is_pinned(model: str, quantization: str, digest: str) -> None:
    first = sources_of(model, quantization)[0]
    assert first.registry is Registry.OLLAMA
    assert first.pinned
    assert first.files[0].sha256 == digest


def test_a_vision_tower_apart_is_a_file_of_its_own() -> None:
    files = sources_of("qwen3.6-35b-a3b", "Q4_K_M")[0].files
    assert [file.name for file in files] == ["model", "projector"]
    assert files[1].size_bytes == 902821728


def test_every_recommended_model_has_a_source_for_its_default() -> None:
    for model in models():
        if model.agents.rank:
            assert sources_of(model.id, model.default_quantization), model.id


def test_of_a_model_that_nobody_has_there_is_no_source() -> None:
    assert sources_of("no-such-model", "Q4_K_M") == ()


def test_the_table_of_what_is_pinned_is_as_the_data_is() -> None:
    text = DOCS.read_text()
    assert text == written(text)
    assert text.count("| `") >= len(models())
