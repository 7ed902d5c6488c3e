"""The models that a project has beside the catalogue's: one record each in its folder `models/`.

`moltghost models add` writes them; people review and commit them. Nothing here asks a registry, so
a plan of such a model is the same on every machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from moltghost.errors import Refused
from moltghost.models.names import ModelChoice, find_model, plain_name
from moltghost.models.references import reference_of
from moltghost.models.sources import Registry

FOLDER = "models"
_MOST_BYTES = 4 << 20
AGAIN = "restore it from version control, or write it again: moltghost models add REFERENCE"


class ProjectModels:
    """The records of a project, and where its commands look models up.

    Args:
        texts: the content of each record's file, by the path that messages call it.

    Raises:
        Refused: one of them isn't a record, or two have the same name.
    """

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = dict(texts)
        self._by_name: dict[str, ModelChoice] = {}
        self._by_reference: dict[str, ModelChoice] = {}
        for where, text in self._texts.items():
            from moltghost.models.record import read_record  # few projects pay for it

            record, choice = read_record(text, where)
            if plain_name(record.name) in self._by_name:
                raise Refused(
                    f"{where}: another record is called {record.name}, too", "rename one of them"
                )
            self._by_name[plain_name(record.name)] = choice
            self._by_reference[record.reference.lower()] = choice

    def __reduce__(self) -> tuple[type[ProjectModels], tuple[Mapping[str, str]]]:
        """As text: what is read from it takes long to pickle, and is full of read-only views."""
        return ProjectModels, (self._texts,)

    def __iter__(self) -> Iterator[ModelChoice]:
        """Its own models, without the catalogue's."""
        return iter(self._by_name.values())

    def find(self, name: str) -> ModelChoice:
        """What a name means in this project: one of its records, else one of the catalogue.

        Raises:
            Refused: as `find_model`; of a place in a registry, with the command that adds it.
        """
        if own := self.own(name):
            return own
        return find_model(name)

    def own(self, name: str) -> ModelChoice | None:
        """The record of that name, or that was added as this reference.

        A file's path is none: what lies there may be another file than it was.
        """
        reference = reference_of(name)
        if reference is None:
            return self._by_name.get(plain_name(name))
        if reference.registry is Registry.FILE:
            return None
        return self._by_reference.get(str(reference).lower())


NO_MODELS = ProjectModels({})
"""Of a project without records, and of no project: the catalogue alone."""


def project_models(project: Path) -> ProjectModels:
    """The records in a project's folder.

    Raises:
        Refused: one of them can't be read or isn't a record.
    """
    folder = project / FOLDER
    texts = {}
    for file in sorted(folder.glob("*.json")):
        where = f"{FOLDER}/{file.name}"
        try:
            with file.open(encoding="utf-8") as stream:
                texts[where] = stream.read(_MOST_BYTES + 1)
        except (OSError, UnicodeDecodeError) as error:
            raise Refused(f"{where} can't be read: {error}", AGAIN) from error
        if len(texts[where]) > _MOST_BYTES:
            raise Refused(f"{where} is too long to be the record of a model", AGAIN)
    return ProjectModels(texts) if texts else NO_MODELS
