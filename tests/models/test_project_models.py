from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from moltghost.errors import Refused
from moltghost.models import ModelChoice, find_model, models
from moltghost.models.facts import Chat, Fitness
from moltghost.models.gguf_model import model_of
from moltghost.models.project_models import NO_MODELS, ProjectModels, project_models
from moltghost.models.sources import Registry
from moltghost.sizing import SizingRequest, size
from moltghost.sizing.weights import layout
from tests.models.records import COMMIT, TUNED, record_of, tuned, write_record

SMALLEST_LAST = sorted(models(), key=lambda m: -m.parameters)
EVERY_ARCHITECTURE = list({m.shape.architecture: m for m in SMALLEST_LAST}.values())


@pytest.mark.parametrize("model", EVERY_ARCHITECTURE, ids=lambda m: m.shape.architecture)
def test_a_record_is_sized_as_the_file_that_it_was_made_of(model: Any, tmp_path: Path) -> None:
    record = record_of(ModelChoice(model, model.default_quantization), tmp_path)
    file = model_of(record.header)
    [read] = ProjectModels({f"models/{TUNED}.json": record.to_text()})
    assert read.quantization == file.quantization
    assert read.model.shape == file.model.shape
    assert read.model.max_context == file.model.max_context
    assert layout(read.model, read.quantization) == layout(file.model, file.quantization)
    request = SizingRequest("x", context=min(16384, model.max_context))
    assert size(request, choice=read).footprint == size(request, choice=file).footprint


def test_a_record_is_a_hundred_lines_and_not_one_for_every_tensor(tmp_path: Path) -> None:
    text = tuned(tmp_path).to_text()
    assert text.count("\n") < 100
    assert '["blk.*.attn_q.weight", [4096, 4096], "Q4_K", "0-31"]' in text


def test_a_project_finds_its_own_models_and_the_catalogues(tmp_path: Path) -> None:
    write_record(tmp_path, tuned(tmp_path))
    found = project_models(tmp_path)
    choice = found.find("Tuned-8B")
    assert (choice.name, choice.quantization) == (TUNED, "Q4_K_M")
    assert found.find("HF:someone/Tuned-8B-GGUF:q4_k_m") is choice
    assert found.find("llama3.1-8b-q4") == find_model("llama3.1-8b-q4")
    assert choice.model.agents.verdict is Fitness.UNTESTED
    source = choice.file.source
    assert source is not None
    assert (source.registry, source.revision) == (Registry.HUGGING_FACE, COMMIT)
    assert choice.file.download is not None
    assert choice.file.download.url == (
        f"https://huggingface.co/someone/Tuned-8B-GGUF/resolve/{COMMIT}/Tuned-8B-Q4_K_M.gguf"
    )


def test_a_file_is_never_taken_for_the_record_of_its_name(tmp_path: Path) -> None:
    write_record(tmp_path, tuned(tmp_path))
    assert project_models(tmp_path).own("./tuned-8b.gguf") is None


def test_without_records_there_is_the_catalogue_alone(tmp_path: Path) -> None:
    assert project_models(tmp_path) is NO_MODELS
    with pytest.raises(Refused, match="there is no model 'tuned-8b' in the catalogue"):
        NO_MODELS.find(TUNED)


def test_a_place_that_nobody_added_is_refused_with_the_command_that_adds_it() -> None:
    with pytest.raises(Refused, match="moltghost models add hf:someone/Tuned-8B-GGUF:Q4_K_M"):
        NO_MODELS.find("hf:someone/Tuned-8B-GGUF:Q4_K_M")
    with pytest.raises(Refused, match="moltghost models add ollama:tuned:8b"):
        NO_MODELS.find("tuned:8b")


def test_records_go_to_another_process_whole(tmp_path: Path) -> None:
    write_record(tmp_path, tuned(tmp_path))
    there = pickle.loads(pickle.dumps(project_models(tmp_path)))  # noqa: S301 our own
    assert there.find(TUNED).model.shape == project_models(tmp_path).find(TUNED).model.shape


def test_ollamas_template_and_a_model_without_tools_are_kept(tmp_path: Path) -> None:
    record = tuned(tmp_path)
    chat = Chat("{{ .Prompt }}", {"stop": ["<|end|>"], "temperature": 0.6})
    can = replace(record.can, tools=False)
    written = replace(record, chat=chat, can=can, vision_bytes=7, least_ollama="0.17.1")
    [choice] = ProjectModels({f"models/{TUNED}.json": written.to_text()})
    assert choice.model.chat == chat
    assert choice.model.agents.verdict is Fitness.UNFIT
    assert (choice.model.vision_bytes, choice.model.least_ollama) == (7, "0.17.1")


def test_several_files_have_no_one_address(tmp_path: Path) -> None:
    record = tuned(tmp_path)
    parts = (record.source.files[0], replace(record.source.files[0], name="second"))
    written = replace(record, source=replace(record.source, files=parts))
    [choice] = ProjectModels({f"models/{TUNED}.json": written.to_text()})
    assert choice.file.download is None
    assert choice.file.source is not None
    assert len(choice.file.source.files) == 2


def change(document: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for key in parents:
        document = document[int(key) if isinstance(document, list) else key]
    document[last] = value


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("format", 2, "has format 2, and this version reads 1"),
        ("name", "other", "a record is called as its file"),
        ("name", "../x", "a record is called as its file"),
        ("source.registry", "ftp", "'ftp' is not a valid Registry"),
        ("source.revision", "main", "'main' isn't a revision that can't move"),
        ("files", [], "it names no files"),
        ("files", [{"name": "x", "sha256": "ab", "bytes": 1}], "'ab' isn't a sha256"),
        ("files", [{"name": "x", "sha256": "ab" * 32, "bytes": 0}], "0 isn't a number of bytes"),
        ("tools", "yes", "tools is 'yes', neither true nor false"),
        ("header.bytes", 1, "its file has 1 bytes, and its tensors need"),
        ("header.tensors", [], "its tensors are none"),
        ("header.tensors", [["x", [4096], "Q9"]], "isn't a tensor"),
        ("header.tensors", [["x", [0], "F32"]], "can't have the dimensions"),
        ("header.tensors", [["x", [33], "Q4_K"]], "can't be"),
        ("header.tensors", [["blk.*.x", [1], "F32", "0-99999"]], "aren't numbers of layers"),
        ("header.values", {"general.architecture": None}, "isn't a value of a header"),
        ("header.values", {"general.architecture": "bert"}, "an embedding model"),
    ],
)
def test_a_record_that_cant_be_is_refused_by_its_name(
    path: str, value: Any, said: str, tmp_path: Path
) -> None:
    document = json.loads(tuned(tmp_path).to_text())
    change(document, path, value)
    with pytest.raises(Refused, match=rf"models/tuned-8b\.json.*{said}"):
        ProjectModels({f"models/{TUNED}.json": json.dumps(document)})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Expecting value"),
        ("[]", "list indices"),
        ("[" * 100_000, "recursion"),
        ('{"format": 1}', "it has no 'chat'"),
    ],
)
def test_what_isnt_a_record_is_refused(text: str, said: str) -> None:
    with pytest.raises(Refused, match=rf"models/x\.json isn't the record of a model: .*{said}"):
        ProjectModels({"models/x.json": text})


def test_two_records_of_one_name_are_refused(tmp_path: Path) -> None:
    write_record(tmp_path, tuned(tmp_path, "tuned-8b"))
    write_record(tmp_path, tuned(tmp_path, "tuned8b"))
    with pytest.raises(Refused, match=r"models/tuned8b\.json: another record is called tuned8b"):
        project_models(tmp_path)


def test_a_file_of_megabytes_is_not_read_as_a_record(tmp_path: Path) -> None:
    file = write_record(tmp_path, tuned(tmp_path))
    file.write_text(" " * (5 << 20))
    with pytest.raises(Refused, match=r"models/tuned-8b\.json is too long"):
        project_models(tmp_path)
