"""Exact places of a model: `hf:OWNER/REPO:QUANT`, `ollama:NAME:TAG`, `./file.gguf`.

Addresses that people copy from the two sites mean the same.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from moltghost.errors import Refused
from moltghost.models.sources import Registry

_HUB = re.compile(
    r"hf:(?://)?|(?:https?://)?(?:(?:www\.)?hf\.co|(?:www\.)?huggingface\.co)/", re.IGNORECASE
)
_OLLAMA = re.compile(
    r"ollama:(?://)?|(?:https?://)?(?:registry\.ollama\.ai|(?:www\.)?ollama\.com)/", re.IGNORECASE
)
_REPOSITORY = re.compile(
    r"(?P<name>[^/:@\s]+/[^/:@\s]+?)(?P<path>/[^:@\s]*)?(?::(?P<quantization>[^:/@\s]+))?"
    r"(?:@(?P<revision>[^@\s]+))?/?"
)
_PAGE = re.compile(r"/(?:blob|resolve|tree|raw)/(?P<revision>[^/]+)(?P<path>/.*)?")
_GGUF, _LATEST = ".gguf", "latest"


@dataclass(frozen=True, slots=True)
class Reference:
    """A model at one place.

    Attributes:
        registry: which place.
        name: `owner/repository` of the hub, `name:tag` of Ollama's library, or a file's path.
        quantization: of the hub; empty where it wasn't said.
        file: a path in the hub's repository, in place of a quantization.
        revision: a branch, tag or commit of the hub; empty for the latest.
    """

    registry: Registry
    name: str
    quantization: str = ""
    file: str = ""
    revision: str = ""

    def __str__(self) -> str:
        if self.registry is Registry.FILE:
            return self.name
        if self.registry is Registry.OLLAMA:
            return f"ollama:{self.name}"
        what = f":{self.quantization}" if self.quantization else ""
        what = f"/{self.file}" if self.file else what
        return f"hf:{self.name}{what}" + (f"@{self.revision}" if self.revision else "")


def reference_of(text: str) -> Reference | None:
    """What a text refers to; None where it is a name and no place.

    Raises:
        Refused: it begins as a place and isn't one.
    """
    text = text.strip()
    if text.lower().endswith(_GGUF) and not _HUB.match(text):
        return Reference(Registry.FILE, text)
    if hub := _HUB.match(text):
        return _of_hub(text, unquote(text[hub.end() :].partition("?")[0]))
    if library := _OLLAMA.match(text):
        name = text[library.end() :].partition("?")[0].strip("/").removeprefix("library/")
        if not name:
            raise Refused(f"{text} names no model", "write ollama:NAME:TAG, as in ollama:qwen3:8b")
        return Reference(Registry.OLLAMA, name if ":" in name else f"{name}:{_LATEST}")
    return None


def _of_hub(text: str, rest: str) -> Reference:
    match = _REPOSITORY.fullmatch(rest)
    if match is None:
        raise Refused(
            f"{text} isn't a repository of the Hugging Face hub",
            "write hf:OWNER/REPOSITORY:QUANTIZATION, as in hf:bartowski/Qwen_Qwen3-8B-GGUF:Q4_K_M",
        )
    path, revision = match["path"] or "", match["revision"] or ""
    if page := _PAGE.fullmatch(path):
        path, revision = page["path"] or "", page["revision"]
    quantization = match["quantization"] or ""
    if quantization.lower() == _LATEST:  # what other tools put behind a name without a tag
        quantization = ""
    file = path.strip("/")
    if file and not file.lower().endswith(_GGUF):
        raise Refused(
            f"{file} of {match['name']} isn't a GGUF file, and only GGUF files are covered",
            f"name a quantization instead: hf:{match['name']}:Q4_K_M",
        )
    return Reference(
        Registry.HUGGING_FACE,
        match["name"],
        quantization="" if file else quantization,
        file=file,
        revision="" if revision == "main" else revision,
    )
