"""Images with one static program and nothing else: no shell, no package manager, no library."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import certifi

from moltghost.images import tree
from moltghost.images.oci import ImageConfig
from moltghost.images.recipe import USER, Recipe
from moltghost.images.tree import Entry
from moltghost.local.build import programs
from moltghost.progress import Report

_BIN = "usr/local/bin"


class StaticImage(Recipe):
    """One program on PATH as the entry point, run by its own user.

    Args:
        program: built from Go modules; the entry point has its name.
        user, home: whose it is.
        folders: that volumes are mounted on.
        certificates: whether it calls servers by TLS.
    """

    program: str
    user: str
    home: str
    folders: tuple[str, ...] = ()
    certificates: bool = False

    def config(self) -> ImageConfig:
        """The program by its name, found on PATH, as probes call it too."""
        return ImageConfig(
            user=USER,
            entrypoint=(self.program,),
            environment={"PATH": f"/{_BIN}", "HOME": self.home},
            labels=self.labels(),
        )

    def pins(self) -> Sequence[str]:
        """Its user, folders and certificates."""
        return (self.user, repr(self.folders), certifi.contents() if self.certificates else "")

    def layers(self, work: Path, report: Report) -> list[list[Entry]]:
        """The base below, the program on top."""
        base = tree.base(self.user, self.home)
        base += [tree.folder(path, owner=tree.UID) for path in self.folders]
        if self.certificates:
            base.append(tree.written("etc/ssl/certs/ca-certificates.crt", certifi.contents()))
        return [base, [tree.program(f"{_BIN}/{self.program}", programs.binary(self.program))]]


class OllamaImage(StaticImage):
    """The model server, for CPUs of this machine's level (``moltghost/local/build/cpu.py``)."""

    name = "ollama"
    title = "Ollama for CPUs"
    program = "ollama"
    programs = ("ollama",)
    user = "ollama"
    home = "/home/ollama"
    folders = ("models",)


class GateImage(StaticImage):
    """Caddy, without the file capability of the official image (docs/decisions/0007)."""

    name = "gate"
    title = "Caddy"
    program = "caddy"
    programs = ("caddy",)
    ours = True
    user = "gate"
    home = "/home/gate"


class ToolsImage(StaticImage):
    """Our own: copies and verifies weights, warms and proves the model, builds stores."""

    name = "tools"
    title = "MoltGhost agent-tools"
    program = "agent-tools"
    programs = ("agent-tools",)
    ours = True
    user = "tools"
    home = "/home/tools"
    folders = ("models",)
    certificates = True
