"""Running a Pulumi program in this process with the real SDK.

Each run has its own event loop, contexts and modules, so that several stacks can run one after
another. This is the only module that touches internals of the SDK (``run_in_stack`` and
``Settings``), which is why the version of ``pulumi`` is pinned.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
import re
import runpy
import sys
import traceback
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import pulumi
from pulumi.runtime import settings
from pulumi.runtime.config import set_all_config
from pulumi.runtime.proto import engine_pb2
from pulumi.runtime.stack import run_in_stack

from moltghost.engines.embedded import monitor as monitor_module
from moltghost.engines.pulumi.project import Project, StackConfig
from moltghost.errors import Failed, MoltghostError, Refused
from moltghost.ownership import program_of

log = logging.getLogger(__name__)

_MONITOR_FILE = monitor_module.__file__
_ORGANIZATION = "organization"  # what DIY backends call it
_KEPT_PACKAGE = "moltghost"  # ours, loaded before the program and shared with it
_RPC_THREADS = 256  # a registration blocks its thread until the object is ready
_UNSUPPORTED = re.compile(r"The Pulumi CLI does not support (?P<what>.+?)\. Please update")


class Messages(Protocol):
    """Receives what the program logs."""

    def program_message(self, severity: str, text: str) -> None:
        """One message; severity is ``info``, ``warning`` or ``error``."""
        ...


class EngineService:
    """The Engine service, as far as the SDK calls it."""

    def __init__(self, messages: Messages) -> None:
        self._messages = messages

    def Log(self, request: Any) -> None:
        """Pass a message on; the SDK's own chatter goes to the debug log."""
        severity = engine_pb2.LogSeverity.Name(request.severity).lower()
        if severity == "debug":
            log.debug("%s", request.message)
        else:
            self._messages.program_message(severity, request.message)

    def RequirePulumiVersion(self, request: Any) -> None:
        """Accept: there is no CLI whose version could be wrong."""


def run_program(
    project: Project,
    stack: str,
    config: StackConfig,
    monitor: Any,
    messages: Messages,
    *,
    dry_run: bool,
) -> None:
    """Run the program of a project once, to its end.

    Args:
        project: the project.
        stack: the stack's name.
        config: its configuration.
        monitor: the ResourceMonitor service, called from many threads.
        messages: receives what the program logs.
        dry_run: whether this is a preview.

    Raises:
        MoltghostError: what the program or the monitor raised, or that the program failed.
    """
    entry = project.program / "__main__.py"
    if not entry.exists():
        raise Refused(f"the project's program is missing: {entry}", "create it")

    def run() -> None:
        set_all_config(dict(config.values), list(config.secret_keys))
        settings.reset_options(
            project=project.name,
            stack=stack,
            root_directory=str(project.folder),
            preview=dry_run,
            organization=_ORGANIZATION,
        )
        settings.SETTINGS.monitor = monitor
        settings.SETTINGS.engine = EngineService(messages)
        modules = _program_modules(project.program)
        with program_of("embedded"), modules, _event_loop() as loop:
            loop.run_until_complete(run_in_stack(lambda: _run_file(entry)))

    # A program that fails leaves outputs that nobody awaits any more.
    warnings.filterwarnings("ignore", r"coroutine 'Output\.", RuntimeWarning)
    try:
        contextvars.copy_context().run(run)
    except MoltghostError:
        raise
    except (Exception, SystemExit) as error:
        raise _readable(error, project, stack) from error


def _run_file(entry: Path) -> None:
    runpy.run_path(str(entry), run_name="__main__")


@contextmanager
def _event_loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    executor = ThreadPoolExecutor(_RPC_THREADS, thread_name_prefix="resource")
    loop.set_default_executor(executor)
    loop.set_exception_handler(
        lambda _loop, context: log.debug("%s", context.get("message"), exc_info=True)
    )
    asyncio.set_event_loop(loop)
    try:
        yield loop
    finally:
        _cancel_all(loop)
        executor.shutdown(wait=True)
        asyncio.set_event_loop(None)
        loop.close()


def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))


@contextmanager
def _program_modules(folder: Path) -> Iterator[None]:
    """Import from the program's folder, and forget its modules afterwards.

    A module that makes resources when it is imported must do so in every run, as it does in a
    process of its own.
    """
    before, working = set(sys.modules), Path.cwd()
    sys.path.insert(0, str(folder))
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(working)
        sys.path.remove(str(folder))
        for name in set(sys.modules) - before:
            if _is_program_module(name, folder):
                del sys.modules[name]


def _is_program_module(name: str, folder: Path) -> bool:
    if name.partition(".")[0] == _KEPT_PACKAGE:
        return False
    file = getattr(sys.modules[name], "__file__", None)
    return file is not None and _inside(Path(file), folder)


def _inside(file: Path, folder: Path) -> bool:
    file, folder = file.resolve(), folder.resolve()
    return file.is_relative_to(folder) and "site-packages" not in file.parts


def _readable(error: BaseException, project: Project, stack: str) -> MoltghostError:
    log.debug("the program of stack %s failed", stack, exc_info=error)
    text = str(error)
    if unsupported := _UNSUPPORTED.search(text):
        return Refused(
            f"the program of stack {stack} uses {unsupported['what']}, "
            "which the embedded engine doesn't support",
            "run this stack with the Pulumi CLI: pulumi up",
        )
    if isinstance(error, pulumi.RunError):
        return Refused(f"the program of stack {stack} stopped: {text}", "see its message")
    if _in_engine(error):
        return Failed(
            f"the embedded engine failed on stack {stack}: {type(error).__name__}: {text}",
            "this is a defect of the engine, not of the program; --debug shows the traceback",
        )
    place = _place(error, project.program)
    return Refused(
        f"the program of stack {stack} failed{place}: {type(error).__name__}: {text}",
        "correct the program or the configuration; --debug shows the traceback",
    )


def _in_engine(error: BaseException) -> bool:
    """Whether the monitor raised it, and not the program or the SDK."""
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and any(frame.filename == _MONITOR_FILE for frame in frames)


def _place(error: BaseException, folder: Path) -> str:
    """Where in the program's own files it went wrong, e.g. `` in infra/agent.py line 12``."""
    chain: BaseException | None = error
    while chain is not None:
        for frame in reversed(traceback.extract_tb(chain.__traceback__)):
            if _inside(Path(frame.filename), folder):
                file = Path(frame.filename).resolve().relative_to(folder.resolve())
                return f" in {file} line {frame.lineno}"
        chain = chain.__cause__ or chain.__context__
    return ""
