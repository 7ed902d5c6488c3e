"""Files that survive a kill and a full disk: complete in the old version or in the new one."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from moltghost.errors import Refused

_PRIVATE_FILE = 0o600
_PRIVATE_FOLDER = 0o700


def write_private(path: Path, text: str) -> None:
    """Replace a file of mode 0600 in one step, on disk when this returns.

    Raises:
        OSError: the disk is full or the folder can't be written; the old file is intact.
    """
    with _temporary(path, text) as temporary:
        temporary.replace(path)
    sync(path.parent)


def replace_text(target: Path, text: str) -> Path:
    """Replace a file that others may read in one step; its mode stays.

    The draft's name is always the same, so that what a kill leaves is overwritten.

    Raises:
        OSError: it couldn't be written; the old file is intact.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.draft")
    try:
        with draft.open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        if target.exists():
            shutil.copymode(target, draft)
        draft.replace(target)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    return target


def create_private(path: Path, text: str) -> None:
    """Write a file of mode 0600 unless it exists: of two who try at once, one wins."""
    with _temporary(path, text) as temporary, suppress(FileExistsError):
        path.hardlink_to(temporary)
    sync(path.parent)


@contextmanager
def _temporary(path: Path, text: str) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True, mode=_PRIVATE_FOLDER)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _PRIVATE_FILE)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        yield temporary
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


def read_private(path: Path) -> str:
    """The text of a file that only its owner may read.

    Raises:
        Refused: others may read it.
    """
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise Refused(f"{path} can be read by others", f"run: chmod 600 {path}")
    return path.read_text()


def remove(path: Path) -> None:
    """Remove a file, on disk when this returns. A missing file is no error."""
    path.unlink(missing_ok=True)
    sync(path.parent)


def sync(path: Path) -> None:
    """Have a file's bytes, or a folder's names, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
