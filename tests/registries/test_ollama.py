from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from moltghost.errors import Refused
from moltghost.models.sources import Registry
from moltghost.registries import (
    NotFound,
    OllamaRegistry,
    RateLimited,
    Unauthorized,
    Unexpected,
    Unreachable,
    Web,
)
from tests.registries.servers import Library, Reply, library, sha256

WEIGHTS = b"GGUF and so on"
TEMPLATE = b"{{ .System }}{{ range .Tools }}{{ . }}{{ end }}"
LAYERS = [
    ("model", WEIGHTS),
    ("template", TEMPLATE),
    ("params", b'{"stop": ["<|im_end|>"], "temperature": 0.6}'),
    ("license", b"Apache License"),
    ("system", b"Be brief."),
]


@pytest.fixture
def registry() -> Iterator[Library]:
    with library() as served:
        yield served


def client(registry: Library) -> OllamaRegistry:
    return OllamaRegistry(Web(pause=lambda _: None, silence_seconds=5.0), registry.url)


def test_a_tag_is_its_layers_by_digest_and_the_manifests_own(registry: Library) -> None:
    facts = {"renderer": "qwen3-coder", "parser": "qwen3-coder", "requires": "0.17.1"}
    manifest = registry.add("library/qwen3:8b", LAYERS, facts)
    resolved = client(registry).resolve("qwen3:8b")
    (file,) = resolved.files
    assert (resolved.registry, resolved.name) == (Registry.OLLAMA, "qwen3:8b")
    assert resolved.revision == sha256(manifest)
    assert (file.name, file.sha256, file.size_bytes) == ("model", sha256(WEIGHTS), len(WEIGHTS))
    assert file.url == f"{registry.url}/v2/library/qwen3/blobs/sha256:{sha256(WEIGHTS)}"
    assert resolved.template == TEMPLATE.decode()
    assert dict(resolved.params) == {"stop": ["<|im_end|>"], "temperature": 0.6}
    assert (resolved.system, resolved.licences) == ("Be brief.", ("Apache License",))
    assert (resolved.renderer, resolved.parser) == ("qwen3-coder", "qwen3-coder")
    assert (resolved.least_ollama, resolved.quantization) == ("0.17.1", "Q4_K_M")


def test_the_weights_themselves_are_never_asked_for(registry: Library) -> None:
    registry.add("library/qwen3:8b", LAYERS)
    client(registry).resolve("qwen3:8b")
    assert registry.count(sha256(WEIGHTS)) == 0
    assert registry.count(sha256(TEMPLATE)) == 1


def test_no_tag_is_latest_and_a_namespace_is_its_own(registry: Library) -> None:
    registry.add("someone/mine:latest", [("model", WEIGHTS)])
    resolved = client(registry).resolve("someone/mine")
    assert resolved.name == "someone/mine:latest"
    assert resolved.template is None


def test_a_projector_is_a_file_beside_the_model(registry: Library) -> None:
    registry.add("library/gemma4:e4b", [("model", WEIGHTS), ("projector", b"eyes")])
    resolved = client(registry).resolve("gemma4:e4b")
    assert [file.name for file in resolved.files] == ["model", "projector"]
    assert [file.sha256 for file in resolved.projectors] == [sha256(b"eyes")]


def test_a_wrong_size_of_the_config_is_forgiven_its_digest_decides(registry: Library) -> None:
    # qwen3-coder's config is declared 539 bytes and has 542
    registry.add("library/qwen3-coder:30b", LAYERS, config_size_is_off_by=-3)
    assert client(registry).resolve("qwen3-coder:30b").quantization == "Q4_K_M"


def test_a_blob_that_isnt_its_digest_is_refused(registry: Library) -> None:
    registry.add("library/qwen3:8b", LAYERS)
    registry.cdn.files[f"/{sha256(TEMPLATE)}"] = b"another template"
    with pytest.raises(Unexpected, match="isn't what its name says: its sha256 is"):
        client(registry).resolve("qwen3:8b")


@pytest.mark.parametrize(
    ("layers", "config", "said"),
    [
        ([("tensor", b"x")], {}, "MLX or safetensors"),
        ([("model", b"x")], {"model_format": "safetensors"}, "MLX or safetensors"),
        ([], {"remote_host": "https://ollama.com:443"}, "runs on Ollama's own servers"),
        ([("model", b"x"), ("adapter", b"y")], {}, r"adapter \(LoRA\)"),
    ],
)
def test_what_isnt_a_gguf_with_weights_is_refused_in_words(
    registry: Library, layers: list[tuple[str, bytes]], config: dict[str, str], said: str
) -> None:
    registry.add("library/x:latest", layers, config)
    with pytest.raises(Refused, match=said):
        client(registry).resolve("x")


def test_errors_tell_apart_what_happened(registry: Library) -> None:
    asks = client(registry)
    with pytest.raises(NotFound, match=r"Ollama's registry has no llama9:8b\n.*ollama\.com"):
        asks.resolve("llama9:8b")
    registry.instead["/manifests/"] = Reply(401)
    with pytest.raises(Unauthorized, match="x:latest is private, or doesn't exist"):
        asks.resolve("x")
    registry.instead["/manifests/"] = Reply(412)
    with pytest.raises(Unexpected, match="newer versions of Ollama only"):
        asks.resolve("x")
    registry.instead["/manifests/"] = Reply(429, {"Retry-After": "30"})
    with pytest.raises(RateLimited, match="in 30 seconds"):
        asks.resolve("x")
    registry.instead["/manifests/"] = Reply(500)
    with pytest.raises(Unreachable, match="answered 500"):
        asks.resolve("x")


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"layers": []}, "a layer isn't an object"),
        ({"layers": [{}] * 1001, "config": {}}, "too long a one"),
        ({"layers": [], "config": {"digest": "md5:00", "size": 2}}, "'md5:00' isn't a sha256"),
        (
            {"layers": [], "config": {"digest": f"sha256:{'0' * 64}", "size": -1}},
            "'-1' isn't the size of a file",
        ),
    ],
)
def test_manifests_that_cant_be_are_refused(
    registry: Library, document: dict[str, object], said: str
) -> None:
    registry.manifests["library/x:latest"] = json.dumps(document).encode()
    with pytest.raises(Unexpected, match=said):
        client(registry).resolve("x")


@pytest.mark.parametrize("name", ["", "a/b/c", "../x", "x:y:z", "x?y", "x:é", "-x"])
def test_what_isnt_a_name_is_never_asked_for(registry: Library, name: str) -> None:
    with pytest.raises(Refused, match="isn't a name of Ollama's registry"):
        client(registry).resolve(name)
    assert not registry.asked


def test_the_base_can_be_a_mirror_over_https_only(
    registry: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.add("library/x:latest", LAYERS)
    monkeypatch.setenv("MOLTGHOST_OLLAMA_REGISTRY", registry.url)
    assert OllamaRegistry(Web()).resolve("x").name == "x:latest"
    with pytest.raises(Unexpected, match="isn't an https address"):
        OllamaRegistry(Web(), "http://mirror.example")
