"""Builds the embedded cluster's programs once and keeps them in the cache.

A program is built into a temporary file and renamed, so an interrupted build leaves only finished
ones behind and the next one carries on. The Go toolchain and its caches live below ``build/``
while the build lasts and are removed after it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Iterable
from pathlib import Path

from moltghost import locks
from moltghost.errors import Failed, Refused
from moltghost.local import go as golang
from moltghost.local import programs
from moltghost.local.programs import Program
from moltghost.progress import Event, Report, silent
from moltghost.units import GIB, format_bytes

# Measured on linux/amd64: 4.9 GiB at the peak of a build from nothing (build cache 3.3, modules
# 0.8, Go 0.25, finished programs 0.45, the linker's temporary files), with room to spare.
NEEDED_BYTES = 7 * GIB

_REPORT_EVERY_SECONDS = 2.0


def is_built() -> bool:
    """Whether nothing is left to build."""
    return not _missing() and (programs.built_home() / "crds").is_dir()


def ensure_built(report: Report = silent) -> None:
    """Build what is missing; return at once when nothing is.

    Raises:
        Refused: unsupported platform, or not enough disk space.
        Failed: Go could not be installed, or a build failed; with the last lines of its output.
    """
    if is_built():
        report(Event(task="build toolchain", state="cached"))
        return
    home = programs.toolchain_home()

    def on_wait(holder: str) -> None:
        detail = f"waiting for process {holder}, which is building it"
        report(Event(task="build toolchain", state="running", detail=detail))

    with locks.exclusive(home / "lock", on_wait=on_wait):
        _refuse_full_disk(home)
        _build(home / "build", report)


def _build(build_home: Path, report: Report) -> None:
    report(Event(task="build toolchain", state="started"))
    _remove_partial_outputs()
    missing = _missing()
    go = golang.install(build_home, report)
    report(Event(task="download sources", state="started"))
    packages = _packages_to_compile(go, missing)
    directories = _module_directories(go)
    report(Event(task="download sources", state="done"))
    module_file = _write_changed_modules(build_home, directories)
    for index, program in enumerate(missing):
        _Compilation(program, go, module_file, packages[program.name], report).run(
            f"{len(programs.PROGRAMS) - len(missing) + index + 1} of {len(programs.PROGRAMS)}"
        )
    _copy_custom_resources(directories)
    shutil.rmtree(build_home, ignore_errors=True)
    report(Event(task="build toolchain", state="done"))


def _missing() -> list[Program]:
    return [p for p in programs.PROGRAMS if not programs.binary(p.name).exists()]


def _remove_partial_outputs() -> None:
    bin_home = programs.built_home() / "bin"
    bin_home.mkdir(parents=True, exist_ok=True)
    for partial in bin_home.glob(".*.partial"):
        partial.unlink()


def _refuse_full_disk(home: Path) -> None:
    free = shutil.disk_usage(home).free
    if free < NEEDED_BYTES:
        raise Refused(
            f"building the embedded cluster needs {format_bytes(NEEDED_BYTES)} in {home}, "
            f"{format_bytes(free)} are free",
            "free some space, or set XDG_CACHE_HOME to a folder on a larger disk",
        )


def _packages_to_compile(go: golang.Go, missing: Iterable[Program]) -> dict[str, int]:
    """How many packages each program adds to those of the programs built before it."""
    seen: set[str] = set()
    counts = {}
    for program in missing:
        packages = set(go.output("list", "-deps", program.package).split())
        counts[program.name] = len(packages - seen)
        seen |= packages
    return counts


def _module_directories(go: golang.Go) -> dict[str, Path]:
    modules = {change.module for change in programs.SOURCE_CHANGES}
    modules |= {copied.module for copied in programs.CUSTOM_RESOURCES}
    listed = go.output("list", "-m", "-f", "{{.Path}} {{.Dir}}", *sorted(modules))
    return {path: Path(directory) for path, directory in map(str.split, listed.splitlines())}


def _write_changed_modules(build_home: Path, directories: dict[str, Path]) -> Path:
    """Copies of the modules that we change, and a ``go.mod`` that builds from the copies."""
    changed = build_home / "changed"
    shutil.rmtree(changed, ignore_errors=True)
    replacements = []
    for change in programs.SOURCE_CHANGES:
        copy = changed / change.module
        if not copy.exists():
            shutil.copytree(directories[change.module], copy)
            replacements.append(f"replace {change.module} => {copy}\n")
        source = copy / change.file
        text = source.read_text()
        if change.old not in text:
            raise Failed(
                f"{change.old!r} is no longer in {change.module}/{change.file}",
                "look at what replaced it, and adapt SOURCE_CHANGES in moltghost/local/programs.py",
            )
        source.write_text(text.replace(change.old, change.new))
    module_file = build_home / "go.mod"
    module_file.write_text((programs.SOURCES / "go.mod").read_text() + "".join(replacements))
    shutil.copy(programs.SOURCES / "go.sum", build_home / "go.sum")
    return module_file


def _copy_custom_resources(directories: dict[str, Path]) -> None:
    target = programs.built_home() / "crds"
    partial = target.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for copied in programs.CUSTOM_RESOURCES:
        source = directories[copied.module] / copied.file
        (partial / source.name).write_bytes(source.read_bytes())
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)


class _Compilation:
    """One ``go build``, with progress counted in packages."""

    def __init__(
        self, program: Program, go: golang.Go, module_file: Path, packages: int, report: Report
    ) -> None:
        self._program = program
        self._go = go
        self._module_file = module_file
        self._packages = packages
        self._report = report
        self._lines: list[str] = []

    def run(self, position: str) -> None:
        """Build the program; ``position`` is like ``3 of 7``."""
        task = f"build {self._program.name}"
        self._report(Event(task=task, state="started", detail=position))
        target = programs.binary(self._program.name)
        # A compiler whose starter was killed may still write to its own.
        partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
        code = self._compile(partial, task, position)
        if code:
            self._report(Event(task=task, state="failed"))
            raise golang.build_failure(f"building {self._program.name}", "\n".join(self._lines))
        partial.rename(target)
        self._report(Event(task=task, state="done", detail=position))

    def _compile(self, output: Path, task: str, position: str) -> int:
        process = subprocess.Popen(
            self._command(output),
            cwd=programs.SOURCES,
            env=self._go.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        reader = threading.Thread(target=self._read, args=(process,), daemon=True)
        reader.start()
        try:
            while reader.is_alive():
                reader.join(_REPORT_EVERY_SECONDS)
                self._report(self._running(task, position))
            return process.wait()
        finally:
            process.terminate()

    def _command(self, output: Path) -> list[str]:
        flags = ["-v", "-modfile", str(self._module_file), "-o", str(output)]
        linker = ["-ldflags", programs.linker_flags(self._program)]
        return self._go.command("build", *flags, *linker, self._program.package)

    def _read(self, process: subprocess.Popen[str]) -> None:
        for line in process.stderr or ():
            self._lines.append(line.rstrip())

    def _running(self, task: str, position: str) -> Event:
        compiled = len(self._lines)
        detail = f"{position}, {compiled} of {self._packages} packages"
        fraction = min(compiled / self._packages, 0.99) if self._packages else None
        return Event(task=task, state="running", detail=detail, fraction=fraction)
