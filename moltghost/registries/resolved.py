"""What a name in a registry means: files by their sha256, and what goes with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from moltghost.models.sources import Registry


class FileRole(StrEnum):
    """What a file is for."""

    MODEL = "model"
    PROJECTOR = "projector"


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file of a registry, of which every byte is known.

    Attributes:
        name: its path in the repository; of Ollama's registry its role.
        url: where it can be fetched; the answer may redirect to another host.
        sha256: of the whole file, 64 hexadecimal digits.
        size_bytes: of the whole file.
    """

    name: str
    url: str
    sha256: str
    size_bytes: int
    role: FileRole = FileRole.MODEL


@dataclass(frozen=True, slots=True)
class Resolved:
    """A name of a registry at one moment.

    Attributes:
        registry: who was asked.
        name: `llama3.1:8b`, or `owner/repository`.
        revision: what can't move: the hub's commit, or the sha256 of the Ollama manifest.
        quantization: as the registry calls it; empty where it doesn't say.
        files: all of them; the parts of a split model in order, then projectors.
        template: how a chat is written, in Ollama's template language; None where the file has it.
        system: the system prompt that goes with it.
        params: Ollama's parameters, such as what ends a turn.
        renderer: Ollama's built-in writer of chats for it, in place of a template.
        parser: Ollama's built-in reader of its answers.
        least_ollama: the oldest version of Ollama that serves it.
        licences: their texts, as far as the registry has them.
        gated: whether its page asks for a licence to be accepted.
    """

    registry: Registry
    name: str
    revision: str
    files: tuple[RemoteFile, ...]
    quantization: str = ""
    template: str | None = None
    system: str | None = None
    params: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    renderer: str | None = None
    parser: str | None = None
    least_ollama: str | None = None
    licences: tuple[str, ...] = ()
    gated: bool = False

    @property
    def model_files(self) -> tuple[RemoteFile, ...]:
        """The language model: one file, or its parts in order."""
        return tuple(file for file in self.files if file.role is FileRole.MODEL)

    @property
    def projectors(self) -> tuple[RemoteFile, ...]:
        """Vision towers that are files of their own; the best is first."""
        return tuple(file for file in self.files if file.role is FileRole.PROJECTOR)

    @property
    def size_bytes(self) -> int:
        """Of the language model's files."""
        return sum(file.size_bytes for file in self.model_files)
