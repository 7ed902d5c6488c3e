from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from moltghost.errors import Refused
from moltghost.lifecycle.models.add import add_model, looked_up, settled_name
from moltghost.lifecycle.models.look_up import Registries
from moltghost.models import find_model
from moltghost.models.project_models import NO_MODELS, project_models
from moltghost.progress import silent
from moltghost.registries import HubToken, NotFound, Web
from tests.models.test_capabilities import GO_TOOLS, JINJA_TOOLS
from tests.registries.servers import (
    COMMIT,
    TOKEN,
    Hub,
    Library,
    hub_of,
    library,
    sha256,
    sparse_gguf,
)
from tests.sizing.sparse_gguf import write_sparse

CHOICE = find_model("qwen3-8b-q4")
FILE = "Tuned-4B-Q4_K_M.gguf"
FIRST = "M-Q4_K_M-00001-of-00002.gguf"
EMPTY_GGUF = b"GGUF" + struct.pack("<IQQQ", 3, 0, 0, 0)
PLACE = "hf:owner/Model-GGUF:Q4_K_M"


def registries(token: str | None = None) -> Registries:
    found = HubToken(token, "HF_TOKEN") if token else None
    return Registries(Web(pause=lambda _: None, silence_seconds=5.0), lambda: found)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with hub_of({FILE: sparse_gguf(tmp_path, CHOICE, JINJA_TOOLS)}) as served:
        monkeypatch.setenv("HF_ENDPOINT", served.url)
        yield served


@pytest.fixture
def ollama(monkeypatch: pytest.MonkeyPatch) -> Iterator[Library]:
    with library() as served:
        monkeypatch.setenv("MOLTGHOST_OLLAMA_REGISTRY", served.url)
        yield served


def test_a_model_of_the_hub_becomes_a_record_by_reading_its_header(
    hub: Hub, tmp_path: Path
) -> None:
    added = add_model(tmp_path, PLACE, "", registries(), silent)
    assert (added.file, added.written) == ("models/tuned-4b-q4_k_m.json", True)
    model = added.choice.model
    assert model.shape == looked_up(NO_MODELS, PLACE, registries(), silent).model.shape
    assert (model.parameters, model.max_context) == (
        CHOICE.model.parameters,
        CHOICE.model.max_context,
    )
    assert (model.tools, model.licence, model.gated) == (True, "apache-2.0", False)
    document = json.loads((tmp_path / added.file).read_text())
    assert document["source"] == {
        "registry": "huggingface",
        "name": "owner/Model-GGUF",
        "revision": COMMIT,
    }
    content = hub.files[FILE]
    assert document["files"] == [{"name": FILE, "sha256": sha256(content), "bytes": len(content)}]
    assert sum(int(a.headers["range"].count("-")) for a in hub.cdn.asked) < 10


def test_what_was_added_is_found_offline_by_its_name_and_by_its_place(
    hub: Hub, tmp_path: Path
) -> None:
    added = add_model(tmp_path, PLACE, "mine", registries(), silent)
    asked = len(hub.asked)
    models = project_models(tmp_path)
    for typed in ("mine", PLACE):
        assert looked_up(models, typed, registries(), silent).name == "mine"
        assert settled_name(tmp_path, typed, registries(), silent) == ("mine", None)
    assert len(hub.asked) == asked
    again = add_model(tmp_path, PLACE, "mine", registries(), silent)
    assert (again.written, again.file) == (False, added.file)


def test_deploy_takes_the_record_that_it_needed(hub: Hub, tmp_path: Path) -> None:
    name, added = settled_name(tmp_path, PLACE, registries(), silent)
    assert added is not None
    assert added.written
    assert name == "tuned-4b-q4_k_m"
    assert project_models(tmp_path).find(name).model.id == name


def test_what_the_catalogue_knows_is_left_to_it(tmp_path: Path) -> None:
    for typed in ("llama3.1-8b-q4", "ollama:llama3.1:8b", "no-such-model", "missing.gguf"):
        assert settled_name(tmp_path, typed, registries(), silent) == (typed, None)
    assert not (tmp_path / "models").exists()


def test_a_record_never_changes_silently(hub: Hub, tmp_path: Path) -> None:
    add_model(tmp_path, PLACE, "", registries(), silent)
    hub.files = {FILE: sparse_gguf(tmp_path, CHOICE, JINJA_TOOLS + " ")}
    with pytest.raises(Refused, match=r"models/tuned-4b-q4_k_m\.json is there and is another file"):
        add_model(tmp_path, PLACE, "", registries(), silent)


def test_a_name_of_the_catalogue_is_refused_with_what_to_do(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="qwen3-8b-q8 is a name of the catalogue: qwen3-8b-q8_0"):
        add_model(tmp_path, PLACE, "qwen3-8b-q8", registries(), silent)
    hub.files = {"Qwen3-8B-Q4_K_M.gguf": hub.files[FILE]}
    with pytest.raises(Refused, match=f"moltghost models add {PLACE} --name my-qwen3-8b-q4_k_m"):
        add_model(tmp_path, PLACE, "", registries(), silent)
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize("name", ["UPPER", "../x", "a b", "x" * 81, "-x"])
def test_what_cant_be_a_name_is_refused_before_anybody_is_asked(
    name: str, hub: Hub, tmp_path: Path
) -> None:
    with pytest.raises(Refused, match="can't be the name of a model"):
        add_model(tmp_path, PLACE, name, registries(), silent)
    assert not hub.asked


def test_a_bare_name_is_no_place(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="for one of Ollama's library: ollama:qwen9"):
        add_model(tmp_path, "qwen9", "", registries(), silent)


def test_without_a_quantization_q4_k_m_is_taken_and_written(hub: Hub, tmp_path: Path) -> None:
    hub.files["Tuned-4B-Q8_0.gguf"] = b"never read"
    add_model(tmp_path, "hf:owner/Model-GGUF", "mine", registries(), silent)
    document = json.loads((tmp_path / "models/mine.json").read_text())
    assert document["reference"] == PLACE


def test_a_split_model_is_read_over_all_its_parts(hub: Hub, tmp_path: Path) -> None:
    hub.files = {FIRST: hub.files[FILE]}
    with pytest.raises(Refused, match=r"M-Q4_K_M-00002-of-00002\.gguf isn't there"):
        add_model(tmp_path, PLACE, "", registries(), silent)
    hub.files["M-Q4_K_M-00002-of-00002.gguf"] = EMPTY_GGUF
    added = add_model(tmp_path, PLACE, "", registries(), silent)
    source = added.choice.file.source
    assert source is not None
    assert [file.size_bytes for file in source.files] == [len(hub.files[FIRST]), len(EMPTY_GGUF)]
    assert added.file == "models/m-q4_k_m.json"


def test_a_vision_tower_in_another_file_isnt_taken_and_said(hub: Hub, tmp_path: Path) -> None:
    hub.files["mmproj-F16.gguf"] = b"eyes"
    added = add_model(tmp_path, PLACE, "", registries(), silent)
    assert not added.choice.model.vision
    assert added.notes == (
        "its vision tower, mmproj-F16.gguf, isn't taken: the agent reads text only",
    )


def test_a_gated_model_is_read_with_the_token_and_said(hub: Hub, tmp_path: Path) -> None:
    hub.gated = True
    added = add_model(tmp_path, PLACE, "", registries(TOKEN), silent)
    assert added.choice.model.gated
    assert added.notes == ("owner/Model-GGUF is gated: who builds its store needs a token, too",)
    assert TOKEN not in (tmp_path / added.file).read_text()


def test_a_file_that_isnt_a_model_is_refused_and_nothing_is_written(
    hub: Hub, tmp_path: Path
) -> None:
    hub.files = {FILE: b"<!doctype html><html>an error</html>"}
    with pytest.raises(Refused, match="is not a GGUF file: it is a web page"):
        add_model(tmp_path, PLACE, "", registries(), silent)
    hub.files = {FILE: b"\0" * 100}
    with pytest.raises(Refused, match="it doesn't begin with GGUF"):
        add_model(tmp_path, PLACE, "", registries(), silent)
    assert not (tmp_path / "models").exists()


def test_a_model_of_ollamas_registry_keeps_template_parameters_and_projector(
    ollama: Library, tmp_path: Path
) -> None:
    content = sparse_gguf(tmp_path, CHOICE)
    layers = [
        ("model", content),
        ("projector", b"eyes"),
        ("template", GO_TOOLS.encode()),
        ("params", b'{"stop": ["<|im_end|>"]}'),
        ("license", b"\n  Apache License\n Version 2.0\n"),
    ]
    ollama.add("someone/tuned:4b", layers, {"requires": "0.17.1"})
    added = add_model(tmp_path, "ollama:someone/tuned:4b", "", registries(), silent)
    model, source = added.choice.model, added.choice.file.source
    assert added.file == "models/someone-tuned-4b.json"
    assert model.chat is not None
    assert model.chat.template == GO_TOOLS
    assert dict(model.chat.parameters) == {"stop": ["<|im_end|>"]}
    assert (model.tools, model.vision, model.vision_bytes) == (True, True, 4)
    assert model.licence == "Apache License"
    assert source is not None
    assert [file.name for file in source.files] == ["model", "projector"]
    assert added.choice.file.download is None
    assert added.notes == ("it needs Ollama 0.17.1 or newer",)


def test_a_place_that_isnt_there_says_so(ollama: Library, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="has no someone/else:latest"):
        add_model(tmp_path, "ollama:someone/else", "", registries(), silent)


def test_a_file_on_this_machine_becomes_a_record_with_its_digest(tmp_path: Path) -> None:
    small = find_model("gemma3-270m-q4")
    path = tmp_path / "My Model.gguf"
    write_sparse(path, small, template=JINJA_TOOLS)
    added = add_model(tmp_path, str(path), "", registries(), silent)
    assert added.file == "models/my-model.json"
    source = added.choice.file.source
    assert source is not None
    assert len(source.files[0].sha256 or "") == 64
    assert source.files[0].size_bytes == path.stat().st_size
    assert added.choice.file.download is None
    assert added.notes == (f"its store is built with --from {path}",)
