"""Stopping on request: Ctrl-C ends a run between two steps, never inside one."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

from moltghost.errors import Interrupted

T = TypeVar("T")


def stop_if(cancelled: threading.Event) -> None:
    """Raise ``Interrupted`` once the user has asked to stop."""
    if cancelled.is_set():
        raise Interrupted("stopped on request")


def interruptible(work: Callable[[threading.Event], T]) -> T:
    """Run in a thread, so that Ctrl-C asks it to stop instead of breaking it in the middle.

    A second Ctrl-C raises ``KeyboardInterrupt`` at once. Whoever calls this from another thread
    than the main one has Ctrl-C, which Python gives to the main thread only, in their own hands.

    Raises:
        Interrupted: it was stopped, or the request came when it had just ended.
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

    with _ctrl_c_sets(cancelled):
        threading.Thread(target=run, name="engine", daemon=True).start()
        # Not Thread.join: interrupted, it takes the thread for ended (Python 3.11).
        ended.wait()
    if failed and not isinstance(failed[0], Interrupted):
        raise failed[0]
    if failed or cancelled.is_set():
        raise Interrupted(
            "stopped on request; the state has what was done until then",
            "run the same command again to continue",
        )
    return done[0]


@contextmanager
def _ctrl_c_sets(cancelled: threading.Event) -> Iterator[None]:
    """Have the first Ctrl-C set an event instead of raising, in the main thread.

    The handler is there before the work begins: ``KeyboardInterrupt`` comes wherever Python is,
    so that no ``try`` is early enough to catch it. Where Ctrl-C is ignored, it stays ignored.
    """

    def ask(_signal: int, _frame: FrameType | None) -> None:
        if cancelled.is_set():
            raise KeyboardInterrupt
        cancelled.set()

    before = signal.getsignal(signal.SIGINT)
    if before in (signal.SIG_IGN, None) or threading.current_thread() != threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, ask)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
