"""Stopping on request: Ctrl-C ends a run between two steps, never inside one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from moltghost.errors import Interrupted

T = TypeVar("T")

_POLL_SECONDS = 0.1  # how soon Ctrl-C is noticed


def stop_if(cancelled: threading.Event) -> None:
    """Raise ``Interrupted`` once the user has asked to stop."""
    if cancelled.is_set():
        raise Interrupted("stopped on request")


def interruptible(work: Callable[[threading.Event], T]) -> T:
    """Run in a thread, so that Ctrl-C asks it to stop instead of breaking it in the middle.

    Raises:
        Interrupted: it was stopped.
    """
    cancelled, ended = threading.Event(), threading.Event()
    done: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            done.append(work(cancelled))
        except BaseException as error:
            failed.append(error)
        finally:
            ended.set()

    threading.Thread(target=run, name="engine", daemon=True).start()
    while True:
        try:
            # Not Thread.join: interrupted, it takes the thread for ended (Python 3.11).
            if ended.wait(_POLL_SECONDS):
                break
        except KeyboardInterrupt:
            if cancelled.is_set():
                raise
            cancelled.set()
    if failed and isinstance(failed[0], Interrupted):
        raise Interrupted(
            "stopped on request; the state has what was done until then",
            "run the same command again to go on",
        )
    if failed:
        raise failed[0]
    return done[0]
