"""Carries out many jobs side by side, in worker processes; one that fails stops no other."""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.context import ForkServerContext

from moltghost.engines.embedded.interrupt import interruptible
from moltghost.errors import Interrupted
from moltghost.lifecycle.fleet_worker import Job, News, Outcome, Tools, lost, serve

DEFAULT_PARALLEL = 16
MAX_PARALLEL = 64  # each is a process of some 100 MB

# Imported once, before the workers are forked, and shared by them.
_PRELOADED = ["moltghost.lifecycle.fleet_preload"]

Watch = Callable[[str, News | Outcome], None]
"""Called with an agent's name and what became of it; from several threads."""


def run_jobs(
    jobs: Sequence[Job], tools: Tools, *, parallel: int, watch: Watch
) -> tuple[list[Outcome], list[Job]]:
    """Do the jobs, at most ``parallel`` at a time.

    Ctrl-C stops each running job between two steps and begins no other; a second one stops at once.

    Returns:
        The outcomes in the order of the jobs, and the jobs that were never begun.
    """
    run = _Run(jobs, tools, watch)
    with suppress(Interrupted):
        interruptible(lambda cancelled: run.all(min(parallel, len(jobs)), cancelled))
    ended = run.outcomes
    return (
        [ended[job.stack.agent] for job in jobs if job.stack.agent in ended],
        [job for job in jobs if job.stack.agent not in ended],
    )


class _Run:
    def __init__(self, jobs: Sequence[Job], tools: Tools, watch: Watch) -> None:
        self.outcomes: dict[str, Outcome] = {}
        self._tools = tools
        self._watch = watch
        self._waiting: queue.SimpleQueue[Job] = queue.SimpleQueue()
        for job in jobs:
            self._waiting.put(job)
        self._context: ForkServerContext = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(_PRELOADED)
        self._busy: set[int] = set()
        self._lock = threading.Lock()

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
        while not ended.wait(0.1):
            if cancelled.is_set():
                with self._lock:
                    for pid in self._busy:
                        with suppress(ProcessLookupError):
                            os.kill(pid, signal.SIGINT)
                return

    def _work(self, cancelled: threading.Event) -> None:
        """One worker after the other, if they die; one job after the other."""
        worker: _Process | None = None
        while not cancelled.is_set():
            try:
                job = self._waiting.get_nowait()
            except queue.Empty:
                break
            worker = worker or _Process(self._context, self._tools)
            with self._lock:
                if cancelled.is_set():
                    break
                self._busy.add(worker.pid)
            outcome = worker.outcome(job, self._watch)
            with self._lock:
                self._busy.discard(worker.pid)
                self.outcomes[job.stack.agent] = outcome
            self._watch(job.stack.agent, outcome)
            if not worker.alive:
                worker = None
        if worker:
            worker.close()


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

    def outcome(self, job: Job, watch: Watch) -> Outcome:
        """Have a job done, passing its news on."""
        try:
            self._pipe.send(job)
            while isinstance(said := self._pipe.recv(), News):
                watch(job.stack.agent, said)
        except (EOFError, OSError):
            self._process.join()
            self.alive = False
            return lost(job, self._process.exitcode)
        assert isinstance(said, Outcome)  # noqa: S101 the worker sends nothing else
        return said

    def close(self) -> None:
        """Let it end: there are no more jobs."""
        self._pipe.close()
        self._process.join()
