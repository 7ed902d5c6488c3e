"""Engine operations in a process of their own that kills itself at the n-th point.

The points are each write of the state and each changing request to the API server, before and
after. The engine itself knows nothing of this.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from moltghost.engines.embedded.engine import EmbeddedEngine
from moltghost.engines.pulumi import state
from moltghost.kube.transport import Transport
from moltghost.progress import silent

_SECONDS = 60
_SDK = ["pulumi_kubernetes.core.v1", "pulumi_random"]  # imported once, not in each process


class Points:
    """Counts points, and dies at the last one."""

    def __init__(self, left: int) -> None:
        self._left = left
        self._lock = threading.Lock()

    def passed(self) -> None:
        """Pass one point."""
        with self._lock:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def around(
        self, function: Callable[..., Any], counts: Callable[..., bool]
    ) -> Callable[..., Any]:
        """The function with a point before and after."""

        def wrapper(*arguments: Any, **keywords: Any) -> Any:
            if not counts(*arguments, **keywords):
                return function(*arguments, **keywords)
            self.passed()
            result = function(*arguments, **keywords)
            self.passed()
            return result

        return wrapper


def _changes(_transport: Transport, method: str, _path: str, **keywords: Any) -> bool:
    return method != "GET" and (keywords.get("query") or {}).get("dryRun") is None


def _operate(folder: Path, stack: str, operation: str, point: int) -> None:
    points = Points(point)
    state.StateStore.save = points.around(state.StateStore.save, lambda *_: True)  # type: ignore[method-assign]
    Transport.request = points.around(Transport.request, _changes)  # type: ignore[method-assign]
    engine = EmbeddedEngine(folder / "project", state=folder / "stacks", key=folder / "key")
    if operation == "up":
        engine.up(stack, report=silent)
    else:
        engine.destroy(stack, protected="refuse", report=silent)


def killed(folder: Path, stack: str, operation: str, point: int) -> bool:
    """Run an operation (``up`` or ``destroy``) that dies at a point.

    Returns:
        Whether it got as far as the point; otherwise it has ended by itself, without an error.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, *_SDK])
    process = context.Process(target=_operate, args=(folder, stack, operation, point))
    process.start()
    process.join(_SECONDS)
    assert process.exitcode in (0, -signal.SIGKILL), f"it ended with {process.exitcode}"
    return process.exitcode != 0
