"""Ctrl-C: the run is asked to stop, stops between two steps, and says how to go on."""

from __future__ import annotations

import signal
import subprocess
import sys

PROGRAM = """
import signal, threading, time
# What runs in the background of a shell starts with Ctrl-C ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
from moltghost.engines.embedded.interrupt import interruptible, stop_if
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
