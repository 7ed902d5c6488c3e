"""Records of a project: written once, found again by every command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from moltghost.errors import Refused
from moltghost.files import write_text
from moltghost.lifecycle.models.look_up import Registries, look_up
from moltghost.models import find_model
from moltghost.models.names import ModelChoice
from moltghost.models.project_models import FOLDER, ProjectModels, project_models
from moltghost.models.record import NAME, Record
from moltghost.models.references import Reference, reference_of
from moltghost.models.sources import Registry, SourceFile
from moltghost.progress import Report


@dataclass(frozen=True)
class AddedModel:
    """A record of a project.

    Attributes:
        choice: the model, as every command now finds it.
        file: the record's, below the project's folder.
        written: False where it was there already.
        notes: what a person should hear of it.
    """

    choice: ModelChoice
    file: str
    written: bool
    notes: tuple[str, ...] = ()


def add_model(
    project: Path, text: str, name: str, registries: Registries, report: Report
) -> AddedModel:
    """Write the record of a model into a project; one that is there already is left alone.

    Args:
        project: its folder.
        text: a reference, such as `hf:OWNER/REPO:QUANT`.
        name: what to call it; empty calls it after its file.
        registries: who asks.
        report: told of every stage.

    Raises:
        Refused: it isn't a reference, the name is taken, or the file is none that can be sized.
        RegistryError: the registry doesn't give it; the class says why.
    """
    reference = reference_of(text)
    if reference is None:
        raise _without_a_place(text)
    if name:
        _require_name(name)
    models = project_models(project)
    found = look_up(reference, registries, report)
    record = replace(found.record, name=name or found.record.name)
    file = f"{FOLDER}/{record.name}.json"
    before = models.own(record.name)
    if before is not None:
        _require_same(before, record, file)
        return AddedModel(before, file, written=False, notes=found.notes)
    _require_free(record.name, text, named=bool(name))
    record_text = record.to_text()
    choice = _as_read_again(file, record_text)
    write_text(project / file, record_text, durable=True)
    return AddedModel(choice, file, written=True, notes=found.notes)


def settled_name(
    project: Path, text: str, registries: Registries, report: Report
) -> tuple[str, AddedModel | None]:
    """The name under which plans find what a person typed, and the record that it took.

    What the project or the catalogue knows is left as it is; any other place gets a record.

    Raises:
        Refused, RegistryError: as `add_model`; a name that means nothing is left to the plan.
    """
    models = project_models(project)
    reference = _unknown_place(models, text)
    if reference is None:
        own = models.own(text)
        return own.model.id if own else text, None
    if reference.registry is Registry.FILE and not Path(text).expanduser().exists():
        return text, None
    added = add_model(project, text, "", registries, report)
    return added.choice.model.id, added


def looked_up(
    models: ProjectModels, text: str, registries: Registries, report: Report
) -> ModelChoice:
    """The model that a text means, asking its registry where nothing here knows it.

    Raises:
        Refused, RegistryError: as `look_up`, or `find_model`.
    """
    reference = _unknown_place(models, text)
    if reference is None:
        return models.find(text)
    return look_up(reference, registries, report).record.choice


def _unknown_place(models: ProjectModels, text: str) -> Reference | None:
    """The place that a text names, unless a record or the catalogue has what is there."""
    if models.own(text):
        return None
    reference = reference_of(text)
    if reference is None or reference.registry is Registry.FILE:
        return reference
    if reference.file or reference.revision:
        return reference
    return None if _of_catalogue(text) else reference


def _of_catalogue(name: str) -> ModelChoice | None:
    """What a name means in the catalogue; None where nothing, or several things."""
    try:
        return find_model(name)
    except Refused:
        return None


def _without_a_place(text: str) -> Refused:
    places = "write hf:OWNER/REPO:QUANT, ollama:NAME:TAG or ./FILE.gguf"
    if text.startswith((".", "/", "~")):
        return Refused(f"{text} isn't a GGUF file: its name doesn't end in .gguf", places)
    if found := _of_catalogue(text):
        return Refused(
            f"{text} is in the catalogue already: {found.name}",
            f"every command takes it, as in moltghost deploy NAME --model {found.name}",
        )
    return Refused(
        f"{text!r} doesn't say where the model is",
        f"{places}; for one of Ollama's library: ollama:{text}",
    )


def _as_read_again(file: str, text: str) -> ModelChoice:
    [choice] = ProjectModels({file: text})
    return choice


def _require_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise Refused(
            f"{name!r} can't be the name of a model",
            "use small letters, digits, '.', '_' and '-', 80 at most, as in my-model-q4_k_m",
        )


def _require_same(before: ModelChoice, record: Record, file: str) -> None:
    """A record says which bytes a name means: it never changes silently."""
    there = before.file.source
    digests = _digests(there.files if there else ())
    if digests != _digests(record.source.files):
        raise Refused(
            f"{file} is there and is another file: {_first(digests)}, not "
            f"{_first(_digests(record.source.files))}",
            "give the new one another name with --name, or delete the record to replace it",
        )


def _digests(files: Sequence[SourceFile]) -> Mapping[str, str]:
    return {file.name: file.sha256 or "" for file in files}


def _first(digests: Mapping[str, str]) -> str:
    return f"sha256 {next(iter(digests.values()))[:12]}..."


def _require_free(name: str, text: str, *, named: bool) -> None:
    taken = _of_catalogue(name)
    if taken is None:
        return
    what = f"{name} is a name of the catalogue: {taken.name}"
    if named:
        raise Refused(what, "give another --name")
    raise Refused(
        what,
        f"take the catalogue's, with --model {taken.name}; or give this file another name: "
        f"moltghost models add {text} --name my-{name}",
    )
