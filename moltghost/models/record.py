"""The record of a model that a project has beside the catalogue's, and its file.

It holds what a GGUF's header says, so that the model is sized as the file itself would be, and the
digest of every file.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from moltghost.errors import Refused
from moltghost.models.capabilities import Capabilities
from moltghost.models.facts import Chat, Model, Thinking
from moltghost.models.gguf import GgufFile
from moltghost.models.gguf_model import fitness_of, model_of
from moltghost.models.header_records import header_of, record_of_header
from moltghost.models.names import ModelChoice
from moltghost.models.pinned import download_of
from moltghost.models.project_models import AGAIN, FOLDER
from moltghost.models.sources import Registry, Source, SourceFile

_ABOUT = (
    "Written by `moltghost models add`. Review and commit it: it says which bytes a model is, and "
    "plans are made from it without asking a registry."
)
_FORMAT = 1
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,79}")
_SHA256, _COMMIT = re.compile(r"[0-9a-f]{64}"), re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Record:
    """A model of a project, as its file has it.

    Attributes:
        name: what commands call it.
        reference: what it was added as.
        source: the registry, the revision and the files with their digests.
        header: what the GGUF says about itself.
        can: what its chat template lets it do.
        vision_bytes: a vision tower in a file of its own.
        chat: Ollama's template, where its registry has one.
    """

    name: str
    reference: str
    source: Source
    header: GgufFile
    can: Capabilities
    licence: str
    gated: bool = False
    vision_bytes: int = 0
    least_ollama: str | None = None
    chat: Chat | None = None

    @property
    def choice(self) -> ModelChoice:
        """The model, as commands take one of the catalogue.

        Raises:
            Refused: the header is of none that can be sized.
        """
        found = model_of(self.header)
        file = replace(found.file, source=self.source, download=download_of(self.source))
        model: Model = replace(
            found.model,
            id=self.name,
            licence=self.licence,
            gated=self.gated,
            tools=self.can.tools,
            tools_note=self.can.evidence,
            thinking=Thinking(self.can.thinking, note=self.can.evidence),
            agents=fitness_of(self.can),
            vision_bytes=found.model.vision_bytes + self.vision_bytes,
            least_ollama=self.least_ollama,
            files={found.quantization: file},
            sources=(self.reference,),
            chat=self.chat,
        )
        return ModelChoice(model, found.quantization)

    def to_text(self) -> str:
        """The record's file."""
        document: dict[str, Any] = {
            "about": _ABOUT,
            "format": _FORMAT,
            "name": self.name,
            "reference": self.reference,
            "source": {
                "registry": self.source.registry.value,
                "name": self.source.name,
                "revision": self.source.revision,
            },
            "files": [
                {"name": f.name, "sha256": f.sha256, "bytes": f.size_bytes}
                for f in self.source.files
            ],
            "licence": self.licence,
            "gated": self.gated,
            "tools": self.can.tools,
            "thinking": self.can.thinking,
            "evidence": self.can.evidence,
            "vision_bytes": self.vision_bytes,
            "least_ollama": self.least_ollama,
            "chat": self.chat
            and {"template": self.chat.template, "parameters": dict(self.chat.parameters)},
        }
        text = json.dumps(document, indent=1, ensure_ascii=False)
        return f'{text[:-2]},\n "header": {record_of_header(self.header)}\n}}\n'


def read_record(text: str, where: str) -> tuple[Record, ModelChoice]:
    """A record and the model that it is.

    Args:
        text: the content of its file.
        where: its path in the project, which messages name.

    Raises:
        Refused: it isn't a record, or the model can't be sized.
    """
    record = _read(text, where)
    try:
        return record, record.choice
    except Refused as refused:
        raise Refused(f"{where}: {refused.message}", AGAIN) from refused


def _read(text: str, where: str) -> Record:
    try:
        document = json.loads(text)
        if document["format"] != _FORMAT:
            raise Refused(
                f"{where} has format {document['format']!r}, and this version reads {_FORMAT}",
                AGAIN,
            )
        return _record(document, where)
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise Refused(f"{where} isn't the record of a model: {_in_words(error)}", AGAIN) from error


def _in_words(error: Exception) -> str:
    return f"it has no {error}" if isinstance(error, KeyError) else str(error)


def _record(document: dict[str, Any], where: str) -> Record:
    chat, name = document["chat"], document["name"]
    if not NAME.fullmatch(name) or where != f"{FOLDER}/{name}.json":
        raise ValueError(f"its name is {name!r}, and a record is called as its file")
    return Record(
        name=name,
        reference=str(document["reference"]),
        source=_source(document),
        header=header_of(Path(where), document["header"]),
        can=Capabilities(
            _flag(document, "tools"), _flag(document, "thinking"), str(document["evidence"])
        ),
        licence=str(document["licence"]),
        gated=_flag(document, "gated"),
        vision_bytes=_count(document["vision_bytes"], least=0),
        least_ollama=document["least_ollama"] and str(document["least_ollama"]),
        chat=Chat(str(chat["template"]), dict(chat["parameters"])) if chat else None,
    )


def _source(document: dict[str, Any]) -> Source:
    source, files = document["source"], document["files"]
    registry, revision = Registry(source["registry"]), source["revision"]
    if registry is not Registry.FILE and not _COMMIT.fullmatch(str(revision)):
        raise ValueError(f"{revision!r} isn't a revision that can't move")
    if not files:
        raise ValueError("it names no files")
    for file in files:
        if not _SHA256.fullmatch(str(file["sha256"])):
            raise ValueError(f"{file['sha256']!r} isn't a sha256")
    return Source(
        registry=registry,
        name=str(source["name"]),
        files=tuple(
            SourceFile(str(f["name"]), f["sha256"], _count(f["bytes"], least=1)) for f in files
        ),
        revision=revision,
    )


def _flag(document: dict[str, Any], key: str) -> bool:
    value = document[key]
    if not isinstance(value, bool):
        raise ValueError(f"{key} is {value!r}, neither true nor false")
    return value


def _count(value: object, least: int) -> int:
    if type(value) is not int or value < least:
        raise ValueError(f"{value!r} isn't a number of bytes")
    return value
