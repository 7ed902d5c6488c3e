"""One change of a stack at a time.

The lock is the kernel's (``flock``), so a process that dies leaves none behind; the file's text
only tells who holds it.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from moltghost.errors import Refused


@contextmanager
def stack_lock(folder: Path, stack: str, operation: str) -> Iterator[None]:
    """Hold the lock of a stack.

    Args:
        folder: where the lock files are.
        stack: the stack's name.
        operation: what is done meanwhile, e.g. ``up``; shown to whoever comes second.

    Raises:
        Refused: another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(folder / f"{stack}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused(
                f"stack {stack} is being changed by another process: {_holder(file.read())}",
                "wait until it ends, or end it; nothing is left locked when it does",
            ) from None
        file.truncate(0)
        json.dump({"pid": os.getpid(), "operation": operation, "since": _now()}, file)
        file.flush()
        yield
        file.truncate(0)


def _holder(text: str) -> str:
    try:
        owner = json.loads(text)
        return f"{owner['operation']} with pid {owner['pid']}, since {owner['since']}"
    except (ValueError, KeyError, TypeError):
        return "it has just begun"


def _now() -> str:
    return datetime.now(UTC).isoformat(sep=" ", timespec="seconds")
