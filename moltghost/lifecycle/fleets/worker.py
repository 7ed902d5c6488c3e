"""One worker of a fleet: a process that changes one agent after the other.

A program of Pulumi's has its process to itself (working folder, modules, event loop), so that
agents change side by side in processes. A worker is told what to do through a pipe and answers
through it: news while it works, then how it ended.

Why: docs/decisions/0035.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection

from moltghost.engines.interface import Op, Result
from moltghost.errors import Interrupted, MoltghostError, Refused
from moltghost.kube.pools import NoRoom
from moltghost.lifecycle.agents.apply import apply, destroy
from moltghost.lifecycle.agents.change import AgentChange
from moltghost.lifecycle.agents.room import check_room
from moltghost.lifecycle.fleets.jobs import Build, Job, News, Outcome, Phase, Tools
from moltghost.lifecycle.weights.source import Request
from moltghost.planning.karpenter import CONSOLIDATE_AFTER_SECONDS
from moltghost.progress import Event, Report

# A node that an update left is given back after this long, and Karpenter looks every 10 s.
_ROOM_PATIENCE_SECONDS = 3 * CONSOLIDATE_AFTER_SECONDS
_ROOM_PAUSE_SECONDS = 5.0
_NEWS_SECONDS = 0.5  # details of one agent are passed on no more often
_LOOK_SECONDS = 0.1  # for Ctrl-C while a store is built


def serve(pipe: Connection, tools: Tools) -> None:
    """Do the jobs that come through the pipe, until it is closed.

    The first Ctrl-C stops the job between two steps; that of the terminal reaches only the parent,
    which passes it on.
    """
    os.setpgid(0, 0)
    asked = threading.Event()
    signal.signal(signal.SIGINT, lambda _signal, _frame: asked.set())
    worker = _Worker(pipe, tools, asked)
    while True:
        try:
            job = pipe.recv()
        except EOFError:
            return
        worker.answer(worker.outcome(job))


class _Worker:
    def __init__(self, pipe: Connection, tools: Tools, asked: threading.Event) -> None:
        self._pipe = pipe
        self._tools = tools
        self._asked = asked
        self._lock = threading.Lock()
        self._told = 0.0

    def outcome(self, task: Job | Build) -> Outcome:
        """Do it; whatever happens is told, nothing is raised."""
        began = time.monotonic()
        ended = Outcome(agent=task.name, ending="done", seconds=0.0, changes={})
        try:
            if isinstance(task, Build):
                self._build(task)
            else:
                ended = _with_result(ended, self._done(task))
        except Interrupted as error:
            ended = replace(ended, ending="interrupted", message=error.message, hint=error.hint)
        except Refused as error:
            ended = replace(ended, ending="refused", message=error.message, hint=error.hint)
        except MoltghostError as error:
            ended = replace(ended, ending="failed", message=error.message, hint=error.hint)
        except Exception as error:
            message = f"internal error: {type(error).__name__}: {error}"
            hint = _shows_where(task)
            ended = replace(ended, ending="failed", message=message, hint=hint)
        return replace(ended, seconds=time.monotonic() - began)

    def _done(self, job: Job) -> Result:
        self._stop_if_asked()
        project = self._tools.environment.project
        engine = self._tools.engine_for(project)
        if job.prepared is None:
            self._tell("destroying")
            return destroy(
                project,
                job.stack,
                engine,
                delete_data=job.delete_data,
                report=self._reporter("destroying"),
            )
        self._tell("checking")
        self._await_room(job.prepared.change)
        self._stop_if_asked()
        report = self._reporter("applying")
        return apply(self._tools.environment, job.prepared, engine, report)

    def _await_room(self, change: AgentChange) -> None:
        """Wait for the nodes that the fleet's earlier surges have left to go.

        The fleet as a whole fits, which was checked before it began.

        Raises:
            NoRoom: the pool is still full.
            Refused: there is no such pool, or no cluster that answers.
            Interrupted: by Ctrl-C.
        """
        deadline = time.monotonic() + _ROOM_PATIENCE_SECONDS
        while True:
            try:
                return check_room(change, self._tools.environment.client)
            except NoRoom as full:
                if time.monotonic() > deadline:
                    raise
                self._tell("waiting for room", full.message)
            self._asked.wait(_ROOM_PAUSE_SECONDS)
            self._stop_if_asked()

    def _stop_if_asked(self) -> None:
        if self._asked.is_set():
            raise Interrupted("stopped on request before anything was changed")

    def _build(self, build: Build) -> None:
        """Have a store built; Ctrl-C ends only the wait for what runs in the cluster.

        Raises:
            Refused: it can't be built without more from a person.
            Failed: the build failed.
            Interrupted: by Ctrl-C; the same command joins the build.
        """
        failed: list[Exception] = []

        def report(event: Event) -> None:
            self._stop_if_asked()  # ends what runs here, such as an upload
            self._tell("weights", _detail(event))

        def work() -> None:
            try:
                request = Request(model=build.model)
                self._tools.build(self._tools.environment, request, report)
            except Exception as error:
                failed.append(error)

        self._tell("weights")
        thread = threading.Thread(target=work, name="build", daemon=True)
        thread.start()
        while thread.is_alive():
            thread.join(_LOOK_SECONDS)
            self._stop_if_asked()
        if failed:
            raise failed[0]

    def _reporter(self, phase: Phase) -> Report:
        def report(event: Event) -> None:
            if self._asked.is_set():  # Ctrl-C came before the engine had begun to listen for it
                self._asked.clear()
                os.kill(os.getpid(), signal.SIGINT)
            planning = event.task.startswith("preview ")
            self._tell("checking" if planning else phase, _detail(event))

        return report

    def _tell(self, phase: Phase, detail: str = "") -> None:
        """Pass news on; called from the engine's threads."""
        with self._lock:
            now = time.monotonic()
            if detail and now - self._told < _NEWS_SECONDS:
                return
            self._told = now
            self._send(News(phase=phase, detail=detail))

    def answer(self, outcome: Outcome) -> None:
        """Tell how a job ended."""
        with self._lock:
            self._send(outcome)

    def _send(self, said: News | Outcome) -> None:
        # A parent that was killed hears nothing; what was begun is still brought to its end.
        with suppress(OSError):
            self._pipe.send(said)


def _detail(event: Event) -> str:
    return f"{event.task}: {event.detail}" if event.state == "running" else event.task


def _with_result(ended: Outcome, result: Result) -> Outcome:
    changes = {
        str(op): count for op, count in result.counts().items() if op not in (Op.SAME, Op.READ)
    }
    return replace(
        ended,
        ending="done" if changes else "unchanged",
        changes=changes,
        warnings=result.warnings,
    )


def _shows_where(task: Job | Build) -> str:
    if isinstance(task, Build):
        command = f"weights add {task.model} --env {task.environment}"
    else:
        command = f"up {task.stack}"
    return f"moltghost --debug {command} shows where"
