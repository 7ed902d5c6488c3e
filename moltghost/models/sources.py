"""Where a model's files can be had: names in two registries, with the digests that are known.

The facts are apart from the models' (`data/sources.json`), because only a command that fetches
needs them. Nothing here asks a registry.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from moltghost.models.data_files import read

HUB_URL = "https://huggingface.co"
LIBRARY_URL = "https://registry.ollama.ai"


class Registry(StrEnum):
    """Where files are kept: Ollama's library, a repository of the Hugging Face hub, or a disk."""

    OLLAMA = "ollama"
    HUGGING_FACE = "huggingface"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file of a source.

    Attributes:
        name: its path in the repository; of Ollama's library its role, `model` or `projector`.
        sha256: of the whole file; None where nobody read it.
        size_bytes: None where it isn't known.
    """

    name: str
    sha256: str | None = None
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """One quantization of a model at one place.

    Attributes:
        name: the tag in Ollama's library, or the repository on the hub.
        revision: the hub's commit that was read; None where it has to be resolved.
        files: all of them, in order; a split file has several.
        note: how the digest was read, where it isn't of this very name.
    """

    registry: Registry
    name: str
    files: tuple[SourceFile, ...]
    revision: str | None = None
    note: str | None = None

    @property
    def pinned(self) -> bool:
        """Whether the digest of every file is known."""
        return all(file.sha256 for file in self.files)


def sources_of(model: str, quantization: str) -> tuple[Source, ...]:
    """Where a quantization of a model can be had, Ollama's library first; none where unknown."""
    records = read("sources")["models"].get(model, {}).get(quantization, ())
    return tuple(_source(record) for record in records)


def _source(record: dict[str, Any]) -> Source:
    return Source(
        registry=Registry(record["registry"]),
        name=record["name"],
        files=tuple(
            SourceFile(f["name"], f.get("sha256"), f.get("bytes")) for f in record["files"]
        ),
        revision=record.get("revision"),
        note=record.get("note"),
    )
