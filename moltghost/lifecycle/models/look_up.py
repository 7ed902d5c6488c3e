"""A model at a place: its digests from the registry, and its header read by ranges."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from moltghost.lifecycle.models.default_names import default_name
from moltghost.models.capabilities import capabilities_of
from moltghost.models.facts import Chat
from moltghost.models.gguf import GgufFile, parts_of, read_gguf, read_streams
from moltghost.models.gguf_model import own_capabilities
from moltghost.models.record import Record
from moltghost.models.references import Reference
from moltghost.models.sources import Registry, Source, SourceFile
from moltghost.progress import Event, Report
from moltghost.registries import (
    HubToken,
    HuggingFace,
    OllamaRegistry,
    RemoteStream,
    Resolved,
    Web,
    hub_token,
)
from moltghost.registries.gguf_files import parts_of as remote_parts_of
from moltghost.weights_store.sources import hash_file

_TASK = "look up model"
_NOT_STATED = "not stated"
_LONGEST_LICENCE = 80


@dataclass(frozen=True)
class Found:
    """A model as it was found, with what a person should hear of it."""

    record: Record
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Registries:
    """Who asks the registries, and as whom."""

    web: Web = field(default_factory=Web)
    token: Callable[[], HubToken | None] = hub_token


def look_up(reference: Reference, registries: Registries, report: Report) -> Found:
    """Find out what a model is, without its weights; of a file on this machine they are hashed.

    Raises:
        Refused: there is no such file, or it isn't a language model that can be sized.
        RegistryError: the registry doesn't give it; the class says why.
    """
    report(Event(task=_TASK, state="started", detail=str(reference)))
    try:
        if reference.registry is Registry.FILE:
            found = _on_disk(reference, report)
        else:
            found = _remote(reference, registries, report)
        choice = found.record.choice  # which has to be one that can be sized
    except BaseException:
        report(Event(task=_TASK, state="failed", detail=str(reference)))
        raise
    report(Event(task=_TASK, state="done", detail=f"{reference} is {choice.quantization}"))
    return found


def _on_disk(reference: Reference, report: Report) -> Found:
    path = Path(reference.name).expanduser()
    header = read_gguf(path)
    files = tuple(
        SourceFile(part.name, hash_file(part, report), part.stat().st_size)
        for part in parts_of(path)
    )
    record = Record(
        name=default_name(reference, files[0].name),
        reference=f"./{path.name}",
        source=Source(Registry.FILE, path.name, files),
        header=header,
        can=own_capabilities(header),
        licence=_stated_licence(header),
    )
    return Found(record, (f"its store is built with --from {reference.name}",))


def _remote(reference: Reference, registries: Registries, report: Report) -> Found:
    token = registries.token() if reference.registry is Registry.HUGGING_FACE else None
    resolved = _resolve(reference, registries.web, token)
    streams = []
    for file in resolved.model_files:
        name = PurePosixPath(file.name).name
        label = resolved.name if resolved.registry is Registry.OLLAMA else name
        stream = RemoteStream(registries.web, file, token)
        streams.append((Path(label), stream, file.size_bytes))
        report(Event(task=_TASK, state="running", detail=f"reading the header of {label}"))
    header = read_streams(streams)
    kept = resolved.files if resolved.registry is Registry.OLLAMA else resolved.model_files
    exact = _exact(reference, resolved)
    record = Record(
        name=default_name(exact, resolved.model_files[0].name),
        reference=str(exact),
        source=Source(
            resolved.registry,
            resolved.name,
            tuple(SourceFile(f.name, f.sha256, f.size_bytes) for f in kept),
            resolved.revision,
        ),
        header=header,
        can=capabilities_of(header.chat_template, resolved.template, resolved.parser),
        licence=_licence(header, resolved),
        gated=resolved.gated,
        vision_bytes=sum(f.size_bytes for f in kept if f not in resolved.model_files),
        least_ollama=resolved.least_ollama,
        chat=Chat(resolved.template, resolved.params) if resolved.template is not None else None,
    )
    return Found(record, tuple(_notes(resolved)))


def _resolve(reference: Reference, web: Web, token: HubToken | None) -> Resolved:
    if reference.registry is Registry.OLLAMA:
        return OllamaRegistry(web).resolve(reference.name)
    hub, revision = HuggingFace(web, token=token), reference.revision or "main"
    if reference.file:
        return hub.resolve_files(reference.name, remote_parts_of(reference.file), revision)
    return hub.resolve(reference.name, reference.quantization, revision)


def _exact(reference: Reference, resolved: Resolved) -> Reference:
    """With the quantization that was taken, where none was said or in other letters."""
    if reference.registry is Registry.OLLAMA or reference.file:
        return reference
    return replace(reference, quantization=resolved.quantization)


def _notes(resolved: Resolved) -> list[str]:
    notes = []
    if resolved.registry is Registry.HUGGING_FACE and resolved.projectors:
        tower = resolved.projectors[0].name
        notes.append(f"its vision tower, {tower}, isn't taken: the agent reads text only")
    if resolved.gated:
        notes.append(f"{resolved.name} is gated: who builds its store needs a token, too")
    if resolved.least_ollama:
        notes.append(f"it needs Ollama {resolved.least_ollama} or newer")
    return notes


def _stated_licence(header: GgufFile) -> str:
    found = header.metadata.get("general.license")
    return found if isinstance(found, str) and found else _NOT_STATED


def _licence(header: GgufFile, resolved: Resolved) -> str:
    """What the hub's card says, else the file, else the title of the text in Ollama's registry."""
    texts = resolved.licences
    if resolved.registry is Registry.HUGGING_FACE and texts:
        return texts[0]
    stated = _stated_licence(header)
    if stated != _NOT_STATED or not texts:
        return stated
    title = next((line.strip() for line in texts[0].splitlines() if line.strip()), "")
    return re.sub(r"\s+", " ", title)[:_LONGEST_LICENCE] or _NOT_STATED
