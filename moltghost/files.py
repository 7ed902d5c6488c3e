"""Files that survive a kill and a full disk: complete in the old version or in the new one.

Every writer that replaces a file does it by this module. ``durable`` says whether it must survive a
power loss as well: the new version is on the disk then when the call returns, which costs two
``fsync``. What can be made again (certificates of a cluster, caches) doesn't need it.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from moltghost.errors import Refused

_PRIVATE_FILE = 0o600
_PRIVATE_FOLDER = 0o700
_ANY_FILE = 0o666  # less the umask


def make_private_folder(path: Path) -> Path:
    """Make a folder of mode 0700, with its parents; one that exists gets the mode."""
    path.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
    path.chmod(_PRIVATE_FOLDER)
    return path


def write_private(path: Path, content: bytes | str, *, durable: bool) -> None:
    """Write a file of mode 0600 in one step, with its folder; equal content is left as it is.

    Raises:
        OSError: the disk is full or the folder can't be written; the old file is intact. Only if
            the very last step of a durable write fails, the new one is there, whole.
    """
    data = content.encode() if isinstance(content, str) else content
    if path.exists() and path.read_bytes() == data:
        path.chmod(_PRIVATE_FILE)
        if durable:
            sync(path)
        return
    path.parent.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
    with _draft(path, _PRIVATE_FILE) as (draft, stream):
        stream.write(data)
        _replace(draft, stream, path, durable=durable)


def create_private(path: Path, text: str) -> None:
    """Write a file of mode 0600 unless it exists, durably: of two who try at once, one wins."""
    path.parent.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
    with _draft(path, _PRIVATE_FILE) as (draft, stream):
        if path.exists():
            draft.unlink()
        else:
            stream.write(text.encode())
            _replace(draft, stream, path, durable=True)


def read_private(path: Path) -> str:
    """Return the text of a file that only its owner may read.

    Raises:
        Refused: others may read it.
    """
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise Refused(f"{path} can be read by others", f"run: chmod 600 {path}")
    return path.read_text()


def write_text(path: Path, text: str, *, durable: bool) -> Path:
    """Write a file that others may read in one step, with its folder; its mode stays.

    Raises:
        OSError: as in ``write_private``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else None
    with _draft(path, mode) as (draft, stream):
        stream.write(text.encode())
        _replace(draft, stream, path, durable=durable)
    return path


def move_into_place(partial: Path, target: Path, *, durable: bool) -> None:
    """Make a file that was written under another name, on the same disk, the target."""
    if durable:
        sync(partial)
    partial.replace(target)
    if durable:
        sync(target.parent)


def remove(path: Path) -> None:
    """Remove a file durably. A missing file is not an error."""
    path.unlink(missing_ok=True)
    sync(path.parent)


def sync(path: Path) -> None:
    """Have a file's bytes, or a folder's names, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _draft(path: Path, mode: int | None) -> Iterator[tuple[Path, BinaryIO]]:
    """Open an empty file next to ``path`` to write to; it is removed if that fails.

    Its name is always the same, so that the next write takes over what a kill leaves, and it is
    locked, so that of two processes that write the same file one waits for the other.
    """
    draft = path.with_name(f".{path.name}.draft")
    with os.fdopen(_locked(draft, _ANY_FILE if mode is None else mode), "wb") as stream:
        try:
            stream.truncate()
            if mode is not None:
                os.fchmod(stream.fileno(), mode)
            yield draft, stream
        except BaseException:
            draft.unlink(missing_ok=True)
            raise


def _locked(draft: Path, mode: int) -> int:
    while True:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, mode)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        try:
            if os.path.samestat(os.fstat(descriptor), draft.stat()):
                return descriptor
        except FileNotFoundError:
            pass
        os.close(descriptor)  # who held it has moved it into place


def _replace(draft: Path, stream: BinaryIO, path: Path, *, durable: bool) -> None:
    stream.flush()
    move_into_place(draft, path, durable=durable)
