"""Container images, each by pinned version."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files

from moltghost.planning.base import Plan


class Images(Plan):
    """References of the images that an agent's pods run."""

    ollama: str
    gate: str
    openclaw: str
    tools: str

    @property
    def ollama_version(self) -> str:
        """The version in the reference; model stores are kept per version of Ollama."""
        return self.ollama.partition("@")[0].rpartition(":")[2]


@cache
def pinned_images() -> Images:
    """The images of ``images.json``."""
    text = files(__package__).joinpath("images.json").read_text(encoding="utf-8")
    return Images.model_validate(json.loads(text)["images"])
