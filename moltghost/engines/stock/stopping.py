"""Ctrl-C while the CLI works: it ends in order, with its state saved and its lock released.

Why: docs/decisions/0033.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import TypeVar

from moltghost.engines.interrupt import interruptible
from moltghost.engines.stock.command import StoppableCommand
from moltghost.errors import Interrupted, MoltghostError

T = TypeVar("T")
_WATCH_SECONDS = 0.1  # how soon the CLI is told


def stoppable(command: StoppableCommand, work: Callable[[], T]) -> T:
    """Do work with the CLI so that Ctrl-C ends what it does between two steps.

    Raises:
        Interrupted: it was stopped.
    """

    def run(cancelled: threading.Event) -> T:
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(_WATCH_SECONDS):
                if cancelled.is_set():
                    command.stop()
                    return

        threading.Thread(target=watch, name="stop", daemon=True).start()
        try:
            return work()
        except MoltghostError as error:
            if cancelled.is_set():
                raise Interrupted("stopped on request") from error
            raise
        finally:
            ended.set()

    try:
        return interruptible(run)
    except KeyboardInterrupt:
        # Asked twice: the CLI gives up what it is waiting for.
        command.stop(signal.SIGTERM)
        raise
