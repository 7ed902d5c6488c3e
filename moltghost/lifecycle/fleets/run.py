"""Carries out many jobs side by side, in worker processes; one that fails stops no other."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from multiprocessing.context import ForkServerContext

from moltghost.engines.interrupt import interruptible
from moltghost.errors import Interrupted
from moltghost.lifecycle.fleets.jobs import Build, Job, News, Outcome, Tools, lost
from moltghost.lifecycle.fleets.worker import serve

# Imported once, before the workers are forked, and shared by them.
_PRELOADED = ["moltghost.lifecycle.fleets.preload"]

_LOOK_SECONDS = 0.1  # for Ctrl-C while there is nothing to do

Watch = Callable[[str, News | Outcome], None]
"""Called with an agent's name and what became of it; from several threads."""


def run_jobs(
    jobs: Sequence[Job], tools: Tools, *, parallel: int, watch: Watch
) -> tuple[list[Outcome], list[Job]]:
    """Do the jobs, at most ``parallel`` at a time.

    A store is built once, before the jobs that need it; they share its failure, the others don't.
    Ctrl-C stops each running job between two steps and begins no other; a second one stops at once.

    Returns:
        The outcomes in the order of the jobs, and the jobs that were never begun.
    """
    run = _Run(jobs, tools, watch)
    with suppress(Interrupted):
        interruptible(lambda cancelled: run.all(min(parallel, len(jobs)), cancelled))
    ended = run.outcomes
    return (
        [ended[job.name] for job in jobs if job.name in ended],
        [job for job in jobs if job.name not in ended],
    )


class _Run:
    def __init__(self, jobs: Sequence[Job], tools: Tools, watch: Watch) -> None:
        self.outcomes: dict[str, Outcome] = {}
        self._tools = tools
        self._watch = watch
        self._held: dict[Build, list[Job]] = {}
        for job in jobs:
            if job.store:
                build = Build(model=job.store, environment=job.stack.environment)
                self._held.setdefault(build, []).append(job)
        self._waiting = deque[Job | Build]([*self._held, *(job for job in jobs if not job.store)])
        self._context: ForkServerContext = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(_PRELOADED)
        self._busy: set[int] = set()
        self._changed = threading.Condition()

    def all(self, parallel: int, cancelled: threading.Event) -> None:
        threads = [
            threading.Thread(
                target=self._work, args=(cancelled,), name=f"fleet-{number}", daemon=True
            )
            for number in range(parallel)
        ]
        for thread in threads:
            thread.start()
        ended = threading.Event()
        stopper = threading.Thread(target=self._stop_when, args=(cancelled, ended), daemon=True)
        stopper.start()
        for thread in threads:
            thread.join()
        ended.set()

    def _stop_when(self, cancelled: threading.Event, ended: threading.Event) -> None:
        """Pass Ctrl-C on to the workers that are busy."""
        while not ended.wait(_LOOK_SECONDS):
            if cancelled.is_set():
                with self._changed:
                    for pid in self._busy:
                        with suppress(ProcessLookupError):
                            os.kill(pid, signal.SIGINT)
                return

    def _work(self, cancelled: threading.Event) -> None:
        """One worker after the other, if they die; one task after the other."""
        worker: _Process | None = None
        while task := self._next(cancelled):
            try:
                worker = worker or _Process(self._context, self._tools)
            except (EOFError, OSError):  # no room for one more process
                self._end(task, lost(task, None))
                continue
            with self._changed:
                if cancelled.is_set():
                    break
                self._busy.add(worker.pid)
            outcome = worker.outcome(task, self._tell)
            with self._changed:
                self._busy.discard(worker.pid)
            self._end(task, outcome)
            if not worker.alive:
                worker = None
        if worker:
            worker.close()

    def _next(self, cancelled: threading.Event) -> Job | Build | None:
        """Wait for something to do; None when nothing will come any more."""
        with self._changed:
            while not cancelled.is_set():
                if self._waiting:
                    return self._waiting.popleft()
                if not self._held:
                    return None
                self._changed.wait(_LOOK_SECONDS)
        return None

    def _tell(self, task: Job | Build, news: News) -> None:
        for job in [task] if isinstance(task, Job) else self._held[task]:
            self._watch(job.name, news)

    def _end(self, task: Job | Build, outcome: Outcome) -> None:
        """Keep a job's outcome; a build lets go of its jobs, or ends them as it ended."""
        if isinstance(task, Build) and outcome.succeeded:
            for job in self._held[task]:
                self._watch(job.name, News(phase="queued"))
            with self._changed:
                self._waiting.extendleft(reversed(self._held.pop(task)))
                self._changed.notify_all()
            return
        with self._changed:
            jobs = self._held.pop(task) if isinstance(task, Build) else [task]
            self.outcomes |= {job.name: replace(outcome, agent=job.name) for job in jobs}
            self._changed.notify_all()
        for job in jobs:
            self._watch(job.name, self.outcomes[job.name])


class _Process:
    """A worker's process, seen from the parent."""

    def __init__(self, context: ForkServerContext, tools: Tools) -> None:
        self._pipe, theirs = context.Pipe()
        # A daemon: it doesn't outlive us by more than its present step.
        self._process = context.Process(target=serve, args=(theirs, tools), daemon=True)
        self._process.start()
        theirs.close()
        assert self._process.pid is not None  # noqa: S101 it was started
        self.pid = self._process.pid
        self.alive = True

    def outcome(self, task: Job | Build, tell: Callable[[Job | Build, News], None]) -> Outcome:
        """Have a task done, passing its news on."""
        try:
            self._pipe.send(task)
            while isinstance(said := self._pipe.recv(), News):
                tell(task, said)
        except (EOFError, OSError):
            self._process.join()
            self.alive = False
            return lost(task, self._process.exitcode)
        assert isinstance(said, Outcome)  # noqa: S101 the worker sends nothing else
        return said

    def close(self) -> None:
        """Let it end: there are no more jobs."""
        self._pipe.close()
        self._process.join()
