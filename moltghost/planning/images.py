"""Container images, each by pinned version: upstream's, and those that this machine builds."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files

from moltghost.planning.base import Plan

# What tags of images for CPUs end in; the version of Ollama in them is the part before it.
_CPU_VARIANT = "-cpu"


class Images(Plan):
    """References of the images that an agent's pods run."""

    ollama: str
    gate: str
    openclaw: str
    tools: str

    @property
    def ollama_version(self) -> str:
        """The version in the reference; model stores are kept per version of Ollama."""
        return version_of(self.ollama).removesuffix(_CPU_VARIANT)


class Substitute(Plan):
    """An image that this machine builds, and the one that it stands for."""

    reference: str
    stands_for: str

    @property
    def other_version(self) -> bool:
        """Whether it holds another version than what it stands for."""
        return version_of(self.reference) != version_of(self.stands_for)

    def __str__(self) -> str:
        """For people: ``0.17.4-cpu for 0.33.3``, or that only the builder differs."""
        if self.other_version:
            return f"{version_of(self.reference)} for {version_of(self.stands_for)}"
        return f"own build for {self.stands_for.partition(':')[0]}"


def version_of(reference: str) -> str:
    """The tag of a reference."""
    return reference.partition("@")[0].rpartition(":")[2]


def substitutes(images: Images) -> dict[str, Substitute]:
    """Which of the images this machine builds itself, by their name."""
    upstream, local = pinned_images().model_dump(), local_images().model_dump()
    return {
        name: Substitute(reference=reference, stands_for=upstream[name])
        for name, reference in images.model_dump().items()
        if reference == local[name]
    }


def pinned_images() -> Images:
    """The images of upstream, and ours as we publish them."""
    return _sets()["upstream"]


def local_images() -> Images:
    """The images that this machine builds for the embedded cluster's own node."""
    return _sets()["local"]


@cache
def _sets() -> dict[str, Images]:
    text = files(__package__).joinpath("images.json").read_text(encoding="utf-8")
    document = json.loads(text)
    return {name: Images.model_validate(document[name]) for name in ("upstream", "local")}
