"""Check our own Go programs with the project's own Go: format, vet, tests.

What passed is remembered by a hash of its sources, so an unchanged program is not checked again.
Go and its caches stay in the cache folder: the first run takes minutes, later ones seconds.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from moltghost import locks, paths
from moltghost.errors import Failed, MoltghostError
from moltghost.local.build import go as golang
from moltghost.local.build import programs, recipes
from moltghost.progress import Event

HOMES = sorted({program.home for program in programs.PROGRAMS if not program.module})


def main() -> None:
    """Check every program of our own; exits 1 at the first that fails."""
    home = paths.cache_home() / "check-go"
    home.mkdir(parents=True, exist_ok=True)
    try:
        with locks.exclusive(home / "lock", on_wait=lambda holder: _say(f"waiting for {holder}")):
            for program in HOMES:
                _check(program, home)
    except MoltghostError as error:
        sys.exit(f"error: {error}")


def _check(program: Path, home: Path) -> None:
    passed = home / f"{program.name}.passed"
    key = _key(program)
    if passed.exists() and passed.read_text() == key:
        _say(f"{program.name}: unchanged since it passed")
        return
    go = golang.install(home, _report)
    if unformatted := _run(program, go, str(go.root / "bin" / "gofmt"), "-l", "."):
        raise Failed(f"{program.name}: not formatted: {unformatted}", f"gofmt -w {program}")
    _say(f"{program.name}: formatted")
    # What has no tests is compiled when it is built; doing so here would take minutes for nothing.
    if any(program.rglob("*_test.go")):
        _run(program, go, *go.command("vet", "./..."))
        _say(_run(program, go, *go.command("test", "./...")))
    passed.write_text(key)


def _key(program: Path) -> str:
    digest = hashlib.sha256(recipes.go_version().encode())
    for file in sorted(path for path in program.rglob("*") if path.is_file()):
        digest.update(f"{file.relative_to(program)}\0".encode() + file.read_bytes())
    return digest.hexdigest()


def _run(program: Path, go: golang.Go, *command: str) -> str:
    result = subprocess.run(
        command, cwd=program, env=go.environment(), capture_output=True, text=True
    )
    if result.returncode:
        raise Failed(
            f"{program.name}: {' '.join(command[1:])} failed:\n{result.stdout}{result.stderr}",
            f"run it again in {program} while you mend it",
        )
    return result.stdout.strip()


def _report(event: Event) -> None:
    if event.state == "started":
        _say(event.task)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
