"""Ctrl-C: the run is asked to stop, stops between two steps, and says how to continue."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from moltghost.engines.interrupt import interruptible, stop_if
from moltghost.errors import Interrupted

PROGRAM = """
import signal, threading, time
# What runs in the background of a shell starts with Ctrl-C ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
from moltghost.engines.interrupt import interruptible, stop_if
from moltghost.errors import Interrupted

def work(cancelled: threading.Event) -> None:
    print("working", flush=True)
    while True:
        time.sleep(0.02)
        stop_if(cancelled)

try:
    interruptible(work)
except Interrupted as error:
    print(error)
"""


def test_ctrl_c_stops_the_work_and_says_how_to_go_on() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True
    ) as run:
        try:
            assert run.stdout is not None
            assert run.stdout.readline() == "working\n"
            run.send_signal(signal.SIGINT)
            said, _ = run.communicate(timeout=10)
        finally:
            run.kill()
    assert run.returncode == 0
    assert "stopped on request" in said
    assert "run the same command again" in said


def press_ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def until_stopped(cancelled: threading.Event) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        time.sleep(0.001)
        stop_if(cancelled)
    raise AssertionError("nobody asked to stop")


def test_ctrl_c_before_the_work_has_begun_lets_it_stop_by_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start = threading.Thread.start

    def start_after_ctrl_c(thread: threading.Thread) -> None:
        press_ctrl_c()
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_after_ctrl_c)
    with pytest.raises(Interrupted, match="run the same command again"):
        interruptible(until_stopped)


def test_ctrl_c_at_any_moment_ends_between_two_steps_or_after_the_last() -> None:
    for tenths_of_milliseconds in range(200):
        steps = {"begun": 0, "ended": 0}

        def work(cancelled: threading.Event, steps: dict[str, int] = steps) -> None:
            for _ in range(10):
                steps["begun"] += 1
                time.sleep(0.0005)
                steps["ended"] += 1
                stop_if(cancelled)

        presser = threading.Timer(tenths_of_milliseconds / 10_000, press_ctrl_c)
        try:
            presser.start()
            interruptible(work)
            presser.join()
        except (Interrupted, KeyboardInterrupt):
            presser.join()
        assert steps["begun"] == steps["ended"]


def test_a_second_ctrl_c_stops_at_once() -> None:
    released = threading.Event()

    def never_looks(cancelled: threading.Event) -> None:
        press_ctrl_c()
        assert cancelled.wait(30)
        press_ctrl_c()
        released.wait(30)

    try:
        with pytest.raises(KeyboardInterrupt):
            interruptible(never_looks)
    finally:
        released.set()


def test_what_ctrl_c_did_before_it_does_again_afterwards() -> None:
    before = signal.getsignal(signal.SIGINT)
    during = interruptible(lambda _cancelled: signal.getsignal(signal.SIGINT))
    assert during is not before
    assert signal.getsignal(signal.SIGINT) is before


def test_an_ignored_ctrl_c_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert interruptible(lambda _cancelled: signal.getsignal(signal.SIGINT)) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_in_another_thread_ctrl_c_is_left_to_the_main_one() -> None:
    during: list[object] = []
    thread = threading.Thread(
        target=lambda: during.append(
            interruptible(lambda _cancelled: signal.getsignal(signal.SIGINT))
        )
    )
    thread.start()
    thread.join()
    assert during == [signal.getsignal(signal.SIGINT)]
