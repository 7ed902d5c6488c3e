"""Builds programs once and keeps them in the cache.

A program is built into a temporary folder and renamed, so an interrupted build leaves only
finished ones behind and the next one carries on. The Go toolchain and its caches live below
``build/`` while the build lasts and are removed after it.

Programs in C are compiled beside those in Go: the two share no packages worth mentioning, and
compiling C at a low priority fills the cores that loading packages and linking leave idle.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed
from pathlib import Path

from moltghost import locks
from moltghost.errors import Failed, Refused
from moltghost.local.build import go as golang
from moltghost.local.build import programs, recipes
from moltghost.local.build.recipes import Program, SourceChange
from moltghost.progress import Event, Report, silent
from moltghost.units import GIB, format_bytes

# Measured on linux/amd64: 4.9 GiB at the peak of a build from nothing (build cache 3.3, modules
# 0.8, Go 0.25, finished programs 0.45, the linker's temporary files), with room to spare.
NEEDED_BYTES = 7 * GIB

_HEADERS = Path("/usr/include")
_REPORT_EVERY_SECONDS = 2.0

#: C and C++ compiler to the Debian package that has it.
_COMPILERS = {"cc": "gcc", "c++": "g++"}


def is_built(names: Iterable[str] = programs.CONTROL_PLANE) -> bool:
    """Whether nothing of these is left to build."""
    return not _missing(names)


def ensure_built(report: Report = silent, names: Sequence[str] = programs.CONTROL_PLANE) -> None:
    """Build what is missing of these programs; return at once when nothing is.

    Raises:
        Refused: unsupported platform, not enough disk space, or no C compiler where one is needed.
        Failed: Go could not be installed, or a build failed; with the last lines of its output.
    """
    if is_built(names):
        report(Event(task="build toolchain", state="cached"))
        return
    home = recipes.toolchain_home()

    def on_wait(holder: str) -> None:
        detail = f"waiting for process {holder}, which is building it"
        report(Event(task="build toolchain", state="running", detail=detail))

    with locks.exclusive(home / "lock", on_wait=on_wait):
        missing = _missing(names)
        if missing:
            _refuse_full_disk(home)
            _refuse_without_compiler(missing)
            _build(home, missing, len(names), report)


def _build(home: Path, missing: Sequence[Program], wanted: int, report: Report) -> None:
    report(Event(task="build toolchain", state="started"))
    for partial in home.glob(".*.partial"):
        shutil.rmtree(partial)
    build_home = home / "build"
    go = golang.install(build_home, report)
    report(Event(task="download sources", state="started"))
    packages = _packages_to_compile(go, missing)
    report(Event(task="download sources", state="done"))
    positions = itertools.count(wanted - len(missing) + 1)
    stopped = threading.Event()

    def build_all(lane: Iterable[Program]) -> None:
        for program in lane:
            if not stopped.is_set():
                compilation = _Compilation(program, go, packages[program.name], report, stopped)
                _build_one(home, compilation, f"{next(positions)} of {wanted}")

    lanes = [[each for each in missing if each.cgo is cgo] for cgo in (False, True)]
    with ThreadPoolExecutor(len(lanes)) as pool:
        try:
            for lane in as_completed([pool.submit(build_all, lane) for lane in lanes]):
                lane.result()
        finally:  # where one failed or was interrupted, the other ends too
            stopped.set()
    shutil.rmtree(build_home, ignore_errors=True)
    report(Event(task="build toolchain", state="done"))


def _build_one(home: Path, compilation: _Compilation, position: str) -> None:
    program, go = compilation.program, compilation.go
    directories = _module_directories(go, program)
    module_file = _changed_module_file(go.build_home, program, directories)
    # A compiler whose starter was killed may still write to its own.
    partial = home / f".{program.name}.{os.getpid()}.partial"
    partial.mkdir()
    compilation.run(module_file, partial / program.name, position)
    _copy_manifests(program, directories, partial)
    if program.is_built():  # brought here from elsewhere meanwhile
        shutil.rmtree(partial)
    else:
        partial.rename(program.built_home)


def _missing(names: Iterable[str]) -> list[Program]:
    return [program for program in map(programs.program, names) if not program.is_built()]


def _refuse_full_disk(home: Path) -> None:
    free = shutil.disk_usage(home).free
    if free < NEEDED_BYTES:
        raise Refused(
            f"building the embedded cluster needs {format_bytes(NEEDED_BYTES)} in {home}, "
            f"{format_bytes(free)} are free",
            "free some space, or set XDG_CACHE_HOME to a folder on a larger disk",
        )


def _refuse_without_compiler(missing: Iterable[Program]) -> None:
    """Refuse at once, with all that is missing, what would fail after minutes of building."""
    compiled = [program for program in missing if program.cgo]
    absent = [name for name in _COMPILERS if compiled and shutil.which(name) is None]
    headers = [
        each
        for program in missing
        for each in program.headers
        if not (_HEADERS / each.file).exists()
    ]
    lacking = [*(_COMPILERS[name] for name in absent), *(each.package for each in headers)]
    if lacking:
        what = [*(f"the compiler {name}" for name in absent), *(each.file for each in headers)]
        raise Refused(
            f"building {', '.join(program.name for program in compiled)} needs what this machine "
            f"lacks: {', '.join(what)}",
            f"apt-get install {' '.join(lacking)} (as root), then run the same command again",
        )


def _packages_to_compile(go: golang.Go, missing: Iterable[Program]) -> dict[str, int]:
    """How many packages each program adds to those of the programs built before it."""
    seen: set[tuple[Path, str]] = set()
    counts = {}
    for program in missing:
        tags = ["-tags", ",".join(program.tags)] if program.tags else []
        listed = go.output(
            "list", *tags, "-deps", program.package, cwd=program.home, cgo=program.cgo
        )
        packages = {(program.home, package) for package in listed.split()}
        counts[program.name] = len(packages - seen)
        seen |= packages
    return counts


def _module_directories(go: golang.Go, program: Program) -> dict[str, Path]:
    """Where the modules are that a program changes, adds to or copies from."""
    modules = {change.module for change in program.changes}
    modules |= {copied.module for copied in program.manifests}
    modules |= {name for each in program.added for name in (each.module, each.source_module)}
    if not modules:
        return {}
    # A module of which no package is compiled has not been downloaded yet.
    go.output("mod", "download", *sorted(modules), cwd=program.home)
    template = "{{.Path}} {{.Dir}}"
    listed = go.output("list", "-m", "-f", template, *sorted(modules), cwd=program.home)
    return {path: Path(directory) for path, directory in map(str.split, listed.splitlines())}


def _changed_module_file(build_home: Path, program: Program, directories: dict[str, Path]) -> Path:
    """A ``go.mod`` that builds from changed copies of the modules; its own if there are none."""
    changes, additions = program.changes, program.added
    modules = dict.fromkeys(
        [*(each.module for each in changes), *(each.module for each in additions)]
    )
    if not modules:
        return program.home / "go.mod"
    changed = build_home / "changed" / program.name
    shutil.rmtree(changed, ignore_errors=True)
    for module in modules:
        shutil.copytree(directories[module], changed / module)
    for change in program.changes:
        _change(changed / change.module / change.file, change, program)
    for added in program.added:
        target = changed / added.module / added.file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(directories[added.source_module] / added.source_file, target)
    module_file = changed / "go.mod"
    replacements = "".join(f"replace {module} => {changed / module}\n" for module in modules)
    module_file.write_text((program.home / "go.mod").read_text() + replacements)
    shutil.copy(program.home / "go.sum", changed / "go.sum")
    return module_file


def _change(source: Path, change: SourceChange, program: Program) -> None:
    text = source.read_text()
    if change.old not in text:
        raise Failed(
            f"{change.old!r} is no longer in {change.module}/{change.file}",
            f"look at what replaced it, and adapt the changes of {program.name} in "
            "moltghost/local/build/programs.py",
        )
    source.write_text(text.replace(change.old, change.new))


def _copy_manifests(program: Program, directories: dict[str, Path], target: Path) -> None:
    for copied in program.manifests:
        source = directories[copied.module] / copied.file
        copy = target / "manifests" / source.name
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(source.read_bytes())


class _Compilation:
    """One ``go build``, with progress counted in packages.

    Args:
        program: what is built.
        go: with what.
        packages: how many it compiles.
        report: told how far it is.
        stopped: set when it is to end early.
    """

    def __init__(
        self,
        program: Program,
        go: golang.Go,
        packages: int,
        report: Report,
        stopped: threading.Event,
    ) -> None:
        self.program = program
        self.go = go
        self._packages = packages
        self._report = report
        self._stopped = stopped
        self._lines: list[str] = []

    def run(self, module_file: Path, target: Path, position: str) -> None:
        """Build the program into ``target``; ``position`` is like ``3 of 7``."""
        task = f"build {self.program.name}"
        self._report(Event(task=task, state="started", detail=position))
        if self._compile(self._command(module_file, target), task, position):
            self._report(Event(task=task, state="failed"))
            raise golang.build_failure(f"building {self.program.name}", "\n".join(self._lines))
        self._report(Event(task=task, state="done", detail=position))

    def _compile(self, command: Sequence[str], task: str, position: str) -> int:
        process = subprocess.Popen(
            command,
            cwd=self.program.home,
            env=self.go.environment(cgo=self.program.cgo, c_flags=self.program.c_flags),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        reader = threading.Thread(target=self._read, args=(process,), daemon=True)
        reader.start()
        try:
            while reader.is_alive():
                reader.join(_REPORT_EVERY_SECONDS)
                if self._stopped.is_set():
                    raise CancelledError
                self._report(self._running(task, position))
            return process.wait()
        finally:
            process.terminate()

    def _command(self, module_file: Path, output: Path) -> list[str]:
        flags = ["-v", "-modfile", str(module_file), "-o", str(output)]
        flags += recipes.build_flags(self.program)
        command = self.go.command("build", *flags, self.program.package)
        return ["nice", *command] if self.program.cgo else command

    def _read(self, process: subprocess.Popen[str]) -> None:
        for line in process.stderr or ():
            self._lines.append(line.rstrip())

    def _running(self, task: str, position: str) -> Event:
        compiled = len(self._lines)
        detail = f"{position}, {compiled} of {self._packages} packages"
        fraction = min(compiled / self._packages, 0.99) if self._packages else None
        return Event(task=task, state="running", detail=detail, fraction=fraction)
