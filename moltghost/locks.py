"""One at a time: a lock between processes that a dead one can't leave behind.

The lock is the kernel's (``flock``) on a file; the file's text only tells who holds it.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from moltghost.errors import Refused

_RETRY_SECONDS = 0.1
_LONGEST_TEXT_BYTES = 1000


@contextmanager
def held(file: Path, subject: str, operation: str) -> Iterator[None]:
    """Hold a lock, or refuse at once.

    Args:
        file: the lock file; it is made with its folder, and stays.
        subject: what is locked, e.g. ``stack my-agent.local``.
        operation: what is done meanwhile, e.g. ``up``; shown to whoever comes second.

    Raises:
        Refused: another process holds it.
    """
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if not _try_lock(descriptor):
            raise Refused(
                f"{subject} is being changed by another process: {_holder(descriptor)}",
                "wait until it ends, or end it; nothing is left locked when it does",
            )
        text = json.dumps({"pid": os.getpid(), "operation": operation, "since": _now()})
        with suppress(OSError):  # on a full disk, whoever comes second isn't told who came first
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, text.encode(), 0)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def exclusive(path: Path, *, on_wait: Callable[[str], None]) -> Iterator[None]:
    """Hold ``path`` as a lock; wait for as long as another process holds it.

    The holder may delete the file: whoever waits then takes the lock of the new file.

    Args:
        path: the lock file; it is made, with its folder, and holds the holder's pid.
        on_wait: called once with the holder's pid (or ``"?"``) when there is something to wait for.
    """
    descriptor = _acquire(path, on_wait)
    try:
        yield
    finally:
        os.close(descriptor)


def _acquire(path: Path, on_wait: Callable[[str], None]) -> int:
    told = False
    while True:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if _try_lock(descriptor) and _is_current(descriptor, path):
            with suppress(OSError):  # as in `held`
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, str(os.getpid()).encode(), 0)
            return descriptor
        holder = os.pread(descriptor, 20, 0).decode() or "?"
        os.close(descriptor)
        if not told:
            on_wait(holder)
            told = True
        time.sleep(_RETRY_SECONDS)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_current(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _holder(descriptor: int) -> str:
    try:
        owner = json.loads(os.pread(descriptor, _LONGEST_TEXT_BYTES, 0))
        return f"{owner['operation']} with pid {owner['pid']}, since {owner['since']}"
    except (ValueError, KeyError, TypeError):
        return "it has just begun"


def _now() -> str:
    return datetime.now(UTC).isoformat(sep=" ", timespec="seconds")
