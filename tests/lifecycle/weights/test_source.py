"""A source is immutable and is what was asked for, or it is refused with a way out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from moltghost.errors import Refused
from moltghost.lifecycle.weights.source import Request, choose, locate, require_match
from moltghost.models.facts import Download
from moltghost.models.project_models import NO_MODELS
from tests.lifecycle.weights.jobs import SHA256, write_gguf


def checked(path: Path, **request: Any) -> None:
    asked = Request(**{"model": "gemma3-270m-q4", **request})
    require_match(path, asked, choose(asked, NO_MODELS))


def located(**request: Any) -> Path | Download:
    asked = Request(**{"model": "gemma3-270m-q4", **request})
    return locate(asked, choose(asked, NO_MODELS))


def test_the_file_of_the_model_is_taken(tmp_path: Path) -> None:
    checked(write_gguf(tmp_path / "model.gguf"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"architecture": "llama"}, "architecture llama, not gemma3"),
        ({"rows": 32_000}, "parameters, not 268098176"),
        ({"file_type": 7}, "quantization Q8_0, not Q4_K_M"),
    ],
)
def test_another_model_is_refused_with_what_differs(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    file = write_gguf(tmp_path / "model.gguf", **changes)
    with pytest.raises(Refused, match=said) as refused:
        checked(file)
    assert "--unchecked" in refused.value.hint
    checked(file, unchecked=True)


def test_a_file_of_full_precision_is_taken_when_it_is_to_be_quantized(tmp_path: Path) -> None:
    file = write_gguf(tmp_path / "model.gguf", file_type=1)
    with pytest.raises(Refused, match="quantization F16, not Q4_K_M") as refused:
        checked(file)
    assert refused.value.hint == "--quantize q4_K_M makes Q4_K_M of it"
    checked(file, quantize="q4_K_M")


def test_a_quantized_file_can_not_be_quantized_again(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="quantization Q4_K_M, not F16 or BF16 or F32"):
        checked(write_gguf(tmp_path / "model.gguf"), quantize="q4_K_M")


def test_what_is_no_gguf_is_refused_even_unchecked(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"<html>not found</html>")
    with pytest.raises(Refused, match="it is a web page"):
        checked(file, unchecked=True)


def test_the_catalogues_own_source_is_taken_where_there_is_one() -> None:
    found = located()
    assert isinstance(found, Download)
    assert found.sha256.startswith("a5fd3b62")


def test_without_a_source_the_ways_to_give_one_are_said() -> None:
    with pytest.raises(Refused, match=r"no immutable source of llama3\.1-8b Q4_K_S") as refused:
        located(model="llama3.1-8b-q4_K_S")
    assert "--from FILE.gguf" in refused.value.hint
    assert "--quantize makes it" in refused.value.hint


def test_an_address_needs_the_sha256_of_what_is_meant() -> None:
    with pytest.raises(Refused, match="nothing says which bytes") as refused:
        located(from_="https://example.org/resolve/main/x.gguf")
    assert "--sha256" in refused.value.hint
    found = located(from_="https://example.org/x.gguf", sha256=SHA256)
    assert found == Download(sha256=SHA256, url="https://example.org/x.gguf")


@pytest.mark.parametrize("address", ["http://example.org/x.gguf", "s3://bucket/x", "ftp://x/y"])
def test_other_schemes_are_refused(address: str) -> None:
    with pytest.raises(Refused, match="only files and https"):
        located(from_=address, sha256=SHA256)


def test_a_file_that_is_not_there_is_refused() -> None:
    with pytest.raises(Refused, match=r"there is no file /nowhere/x\.gguf"):
        located(from_="/nowhere/x.gguf")


def test_name_and_quantize_must_agree() -> None:
    with pytest.raises(Refused, match="gemma3-270m-q8 is Q8_0, and --quantize says q4_K_M"):
        choose(Request(model="gemma3-270m-q8", quantize="q4_K_M"), NO_MODELS)
    assert choose(Request(model="gemma3-270m", quantize="q8_0"), NO_MODELS).quantization == "Q8_0"


def test_what_ollama_can_not_make_is_refused() -> None:
    with pytest.raises(Refused, match="can't quantize to Q6_K"):
        choose(Request(model="llama3.1-8b", quantize="q6_K"), NO_MODELS)
