"""What a recipe is: everything that decides an image, and how its layers come about."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from moltghost.images.oci import ImageConfig
from moltghost.images.tree import UID, Entry
from moltghost.labels import STANDS_FOR
from moltghost.local.build import programs, recipes
from moltghost.planning.images import Substitute, local_images, substitutes, version_of
from moltghost.progress import Report

# Of the writer: a change in how archives or base files are written makes another image.
_FORMAT = 1
_KEY_CHARACTERS = 16
USER = f"{UID}:{UID}"


class Recipe(ABC):
    """One image.

    Args:
        name: of the image in ``planning/images.json``.
        title: what is in it, for people.
        programs: that are built from Go modules for it.
        ours: whether we publish it; what isn't ours is upstream's to publish.
    """

    name: str
    title: str
    programs: tuple[str, ...] = ()
    ours: bool = False

    @property
    def reference(self) -> str:
        """Name and tag that pods use."""
        reference = getattr(local_images(), self.name)
        assert isinstance(reference, str)  # noqa: S101 every field is one
        return reference

    @property
    def version(self) -> str:
        """The tag."""
        return version_of(self.reference)

    @property
    def substitute(self) -> Substitute:
        """What it stands for."""
        return substitutes(local_images())[self.name]

    @cached_property
    def key(self) -> str:
        """Names what is built: equal keys mean images made from the same packages."""
        digest = hashlib.sha256()
        built = [f"{name} {recipes.key(programs.program(name))}" for name in self.programs]
        parts = (_FORMAT, self.name, self.reference, recipes.go_architecture(), self.config())
        for part in (*map(repr, parts), *built, *self.pins()):
            digest.update(f"{len(part)}\0{part}".encode())
        return digest.hexdigest()[:_KEY_CHARACTERS]

    def labels(self) -> dict[str, str]:
        """Labels of the image."""
        return {
            "org.opencontainers.image.title": self.title,
            "org.opencontainers.image.version": self.version,
            STANDS_FOR: self.substitute.stands_for,
        }

    @abstractmethod
    def config(self) -> ImageConfig:
        """What a container of it runs."""

    def pins(self) -> Sequence[str]:
        """What else decides the image, beside its programs and its config."""
        return ()

    @abstractmethod
    def layers(self, work: Path, report: Report) -> list[list[Entry]]:
        """The file system, from the bottom up; its programs are built already.

        Args:
            work: a folder for what is downloaded and unpacked; it stays if this fails.
            report: is told what goes on.
        """
