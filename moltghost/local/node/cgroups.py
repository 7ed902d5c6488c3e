"""The node's cgroups: one folder per hierarchy, under which the kubelet makes those of pods."""

from __future__ import annotations

import time
from pathlib import Path

from moltghost.errors import Failed

_ROOT = Path("/sys/fs/cgroup")
_EMPTY_SECONDS = 20.0
_POLL_SECONDS = 0.05
# A new cpuset is empty, and no process can be in it.
_INHERITED = ("cpuset.mems", "cpuset.cpus")


def is_unified() -> bool:
    """Whether this machine has cgroup v2 only."""
    return (_ROOT / "cgroup.controllers").exists()


def make(name: str) -> None:
    """The cgroup of that name at the top of every hierarchy."""
    for hierarchy in _hierarchies():
        folder = hierarchy / name
        folder.mkdir(exist_ok=True)
        for setting in _INHERITED:
            file = folder / setting
            if not is_unified() and file.exists() and not file.read_text().strip():
                file.write_text((hierarchy / setting).read_text())


def remove(name: str) -> None:
    """Remove the cgroup of that name with those below it; no process may be left in them.

    Raises:
        Failed: one can't be removed.
    """
    deadline = time.monotonic() + _EMPTY_SECONDS
    # With v1, runc makes them in the v2 hierarchy beside it as well.
    for hierarchy in [*_hierarchies(), _ROOT / "unified"]:
        while (folder := hierarchy / name).exists():
            try:
                _remove(folder)
            except OSError as error:
                # The kernel says so for a moment after the last process has ended.
                if time.monotonic() > deadline:
                    raise Failed(
                        f"the cgroup {folder} can't be removed: {error.strerror}",
                        "end the processes that its cgroup.procs names, and run the command again",
                    ) from error
                time.sleep(_POLL_SECONDS)


def _remove(folder: Path) -> None:
    for child in folder.iterdir():
        if child.is_dir():
            _remove(child)
    folder.rmdir()


def _hierarchies() -> list[Path]:
    if is_unified():
        return [_ROOT]
    # Links such as `cpu,cpuacct` lead to the same; the kubelet leaves `unified`, v2, alone.
    folders = (path for path in _ROOT.iterdir() if path.is_dir() and not path.is_symlink())
    return sorted(folder for folder in folders if (folder / "tasks").exists())
