"""The image of the runtime: OpenClaw from its npm package, Node.js, and the libraries it needs.

Laid out as upstream's image: the package in ``/app``, the user ``node``, ``node`` on PATH, no entry
point, so that ``node dist/index.js gateway`` works from the working directory.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from moltghost.images import node, tree
from moltghost.images.oci import ImageConfig
from moltghost.images.recipe import USER, Recipe
from moltghost.images.tree import Entry
from moltghost.progress import Event, Report

LOCK_FOLDER = Path(__file__).parent / "openclaw"
_REQUIREMENTS = LOCK_FOLDER / "node-requirements.txt"
_PACKAGE = "openclaw"
_HOME = "/home/node"
# Its own work after an install: completes the package, which refuses to start without.
_POSTINSTALL = "scripts/postinstall-bundled-plugins.mjs"

# What no gateway reads. The control UI and the desktop driver are switched off in every config that
# we render; the rest is for people and for compilers.
_UNNEEDED = (
    r"(^|/)\.package-lock\.json$",
    r"(^|/)\.bin/",
    r"\.d\.[mc]?ts$",
    r"\.map$",
    r"^docs/",
    r"^CHANGELOG\.md$",
    r"^dist/control-ui/",
    r"^node_modules/(?:.*/)?(?!LICEN[CS]E|NOTICE|COPYING)[^/]*\.(?:md|markdown)$",
    r"^node_modules/@trycua/cua-driver-[^/]*/",
    # Native parts for other systems than Debian's glibc.
    r"(^|[/_-])(darwin|win32|musl)([/_-].*)?\.node$",
    r"/(darwin|win32|musl)[^/]*/.*\.node$",
)


class OpenClawImage(Recipe):
    """OpenClaw, as npm has it."""

    name = "openclaw"
    title = "OpenClaw"

    def config(self) -> ImageConfig:
        """Node.js on PATH, started in the package's folder."""
        return ImageConfig(
            user=USER,
            command=("node", "dist/index.js", "gateway"),
            environment={"PATH": "/usr/local/bin", "HOME": _HOME, "NODE_ENV": "production"},
            working_dir="/app",
            labels=self.labels(),
        )

    def pins(self) -> Sequence[str]:
        """The lock files of npm and of Node.js, and what is left out."""
        locks = [file.read_text() for file in sorted(LOCK_FOLDER.iterdir())]
        return (*locks, *_UNNEEDED)

    def layers(self, work: Path, report: Report) -> list[list[Entry]]:
        """The machine's libraries and Node.js below, OpenClaw on top."""
        runtime = node.install(_REQUIREMENTS, work, report)
        modules = runtime.install_packages(LOCK_FOLDER, work, report)
        runtime.run(_POSTINSTALL, cwd=modules / _PACKAGE, what="completing OpenClaw")
        report(Event(task="install npm packages", state="done"))
        return [self._system(runtime), list(application(modules))]

    def _system(self, runtime: node.Node) -> list[Entry]:
        libraries = [
            tree.program(str(library).lstrip("/"), library) for library in runtime.libraries()
        ]
        return [
            *tree.base("node", _HOME),
            tree.folder(f"{_HOME}/.openclaw".lstrip("/"), mode=0o700, owner=tree.UID),
            tree.program("usr/local/bin/node", runtime.binary),
            *libraries,
        ]


def application(modules: Path) -> list[Entry]:
    """The package in ``/app`` with its dependencies beside it, less what isn't needed."""
    package = list(tree.walked(modules / _PACKAGE, "app", _needed))
    others = tree.walked(
        modules,
        "app/node_modules",
        lambda path: not path.startswith(f"{_PACKAGE}/") and _needed(f"node_modules/{path}"),
    )
    # A dependency that the package carries itself comes before one of the same name beside it.
    own = {entry.path for entry in package}
    return [*package, *(entry for entry in others if entry.path not in own)]


def _needed(path: str) -> bool:
    return not any(re.search(pattern, path) for pattern in _UNNEEDED)
