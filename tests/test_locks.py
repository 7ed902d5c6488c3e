from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from moltghost.errors import Refused
from moltghost.locks import exclusive, held


def fail_if_waiting(holder: str) -> None:
    raise AssertionError(f"waits for {holder}")


def test_whoever_comes_second_is_told_the_holder_once_and_waits(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    told: list[str] = []
    order: list[str] = []

    def second() -> None:
        with exclusive(path, on_wait=told.append):
            order.append("second")

    thread = threading.Thread(target=second)
    with exclusive(path, on_wait=fail_if_waiting):
        thread.start()
        deadline = time.monotonic() + 5
        while not told and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.25)  # several of its attempts
        order.append("first")
    thread.join(5)
    assert told == [str(os.getpid())]
    assert order == ["first", "second"]


def test_a_lock_whose_file_was_deleted_by_its_holder_can_be_taken(tmp_path: Path) -> None:
    path = tmp_path / "home" / "lock"
    entered = threading.Event()
    told = threading.Event()

    def waiter() -> None:
        with exclusive(path, on_wait=lambda _holder: told.set()):
            assert path.exists()
            entered.set()

    thread = threading.Thread(target=waiter)
    with exclusive(path, on_wait=fail_if_waiting):
        thread.start()
        assert told.wait(5)
        path.unlink()
        path.parent.rmdir()
    thread.join(5)
    assert entered.is_set()


def test_a_lock_left_by_a_dead_process_is_free(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.write_text("1")
    with exclusive(path, on_wait=fail_if_waiting):
        assert path.read_text() == str(os.getpid())


def test_a_full_disk_keeps_nobody_from_a_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with exclusive(tmp_path / "lock", on_wait=fail_if_waiting):
        pass


HOLD = """
import sys, time
from pathlib import Path
from moltghost.locks import held
with held(Path(sys.argv[1]) / "a.lock", "stack a.local", "up"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_lock_names_its_holder_and_dies_with_it(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"

        with (
            pytest.raises(Refused, match=f"stack a.local .* up with pid {holder.pid}, since 20"),
            held(tmp_path / "a.lock", "stack a.local", "up"),
        ):
            pass
        with held(tmp_path / "b.lock", "stack b.local", "up"):
            pass
        holder.kill()

    with held(tmp_path / "a.lock", "stack a.local", "up"):
        pass
