from __future__ import annotations

import json
import os
import signal
import stat
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from moltghost.errors import Failed
from moltghost.local.cluster.processes import Command, ProcessTable, last_lines

SLEEP = "/bin/sleep"


def sleeping(name: str = "sleeper", seconds: str = "60") -> Command:
    return Command(name=name, arguments=(SLEEP, seconds), environment={})


def shell(script: str, name: str = "shell") -> Command:
    return Command(name=name, arguments=("/bin/sh", "-c", script), environment={"PATH": "/bin"})


def wait_for(condition: object, seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[ProcessTable]:
    supervisor = ProcessTable(tmp_path)
    yield supervisor
    supervisor.stop(supervisor.names(), patience_seconds=0)


def test_a_started_process_is_known_by_its_record_at_once(supervisor: ProcessTable) -> None:
    supervisor.start(sleeping())
    record = supervisor.record("sleeper")
    assert record
    assert record.is_alive()
    assert Path(f"/proc/{record.pid}/comm").read_text().strip() == "sleep"
    assert record.fingerprint == sleeping().fingerprint()


def test_it_lives_in_a_session_of_its_own_and_is_not_our_child(supervisor: ProcessTable) -> None:
    supervisor.start(sleeping())
    record = supervisor.record("sleeper")
    assert record
    assert os.getsid(record.pid) == record.pid
    with pytest.raises(ChildProcessError):
        os.waitpid(record.pid, os.WNOHANG)


def test_records_and_logs_are_private_and_so_is_what_a_process_writes(
    supervisor: ProcessTable, tmp_path: Path
) -> None:
    supervisor.start(shell("echo hello; echo data > data; exec sleep 60"))
    wait_for(lambda: (tmp_path / "data").exists() and supervisor.log("shell").read_text())
    assert supervisor.log("shell").read_text() == "hello\n"
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_it_inherits_nothing_of_our_environment(
    supervisor: ProcessTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    supervisor.start(replace(sleeping(), environment={"HOME": "/nowhere"}))
    record = supervisor.record("sleeper")
    assert record
    environment = Path(f"/proc/{record.pid}/environ").read_text()
    assert "HOME=/nowhere" in environment
    assert "hunter2" not in environment


def test_a_killed_process_is_dead(supervisor: ProcessTable) -> None:
    supervisor.start(sleeping())
    record = supervisor.record("sleeper")
    assert record
    os.kill(record.pid, signal.SIGKILL)
    wait_for(lambda: not record.is_alive())


@pytest.mark.parametrize("field", ["start_ticks", "boot_id"])
def test_another_process_with_the_same_pid_is_neither_taken_for_it_nor_stopped(
    supervisor: ProcessTable, tmp_path: Path, field: str
) -> None:
    supervisor.start(sleeping())
    real = supervisor.record("sleeper")
    assert real
    path = tmp_path / "run" / "sleeper.json"
    facts = json.loads(path.read_text())
    facts[field] = 1 if field == "start_ticks" else "an earlier boot"
    path.write_text(json.dumps(facts))
    stale = supervisor.record("sleeper")
    assert stale
    assert not stale.is_alive()
    assert supervisor.stop(["sleeper"], patience_seconds=0) == []
    assert real.is_alive()
    os.kill(real.pid, signal.SIGKILL)


def test_stop_ends_only_the_named_and_forgets_them(supervisor: ProcessTable) -> None:
    supervisor.start(sleeping("one"))
    supervisor.start(sleeping("two"))
    assert supervisor.stop(["one", "never-started"], patience_seconds=3) == ["one"]
    assert supervisor.names() == ["two"]
    two = supervisor.record("two")
    assert two
    assert two.is_alive()


def test_what_does_not_heed_the_polite_signal_is_killed(supervisor: ProcessTable) -> None:
    supervisor.start(shell("trap '' TERM; echo ready; while :; do sleep 0.1; done"))
    wait_for(lambda: supervisor.log("shell").read_text() == "ready\n")
    record = supervisor.record("shell")
    assert record
    assert supervisor.stop(["shell"], patience_seconds=0.3) == ["shell"]
    assert not record.is_alive()


def test_a_program_that_cannot_be_executed_is_an_error_that_says_why(
    supervisor: ProcessTable,
) -> None:
    missing = Command(name="etcd", arguments=("/nowhere/etcd",), environment={})
    with pytest.raises(Failed, match=r"(?s)etcd could not be started: .*No such file"):
        supervisor.start(missing)
    record = supervisor.record("etcd")
    assert record is None or not record.is_alive()


def test_a_big_log_is_emptied_while_its_process_writes_on(supervisor: ProcessTable) -> None:
    supervisor.start(shell("while [ ! -e more ]; do sleep 0.02; done; echo new; exec sleep 60"))
    log = supervisor.log("shell")
    with log.open("ab") as file:
        file.truncate(21 * 1024**2)
        file.write(b"the end")
    supervisor.bound_logs()
    (log.parents[1] / "more").touch()
    wait_for(lambda: log.read_text())
    assert log.read_text() == "new\n"
    old = log.with_suffix(".log.old")
    assert old.stat().st_size == 20 * 1024**2
    assert old.read_bytes().endswith(b"the end")
    assert stat.S_IMODE(old.stat().st_mode) == 0o600


def test_a_log_that_is_not_big_is_left_alone(supervisor: ProcessTable) -> None:
    supervisor.start(shell("echo hello; exec sleep 60"))
    wait_for(lambda: supervisor.log("shell").read_text())
    supervisor.bound_logs()
    assert supervisor.log("shell").read_text() == "hello\n"
    assert not supervisor.log("shell").with_suffix(".log.old").exists()


def test_the_fingerprint_follows_arguments_environment_and_file_contents(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("1")
    command = replace(sleeping(), files=(config,))
    before = command.fingerprint()
    assert replace(command, arguments=(SLEEP, "61")).fingerprint() != before
    assert replace(command, environment={"A": "b"}).fingerprint() != before
    config.write_text("2")
    assert command.fingerprint() != before


def test_a_broken_record_counts_as_none(supervisor: ProcessTable, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "etcd.json").write_text('{"pid": 1}')
    assert supervisor.record("etcd") is None


def test_the_end_of_a_log_is_shown(tmp_path: Path) -> None:
    log = tmp_path / "etcd.log"
    assert last_lines(log) == ""
    log.write_text("".join(f"line {n}\n" for n in range(10_000)))
    assert last_lines(log, 2) == "line 9998\nline 9999"


@pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root")
def test_what_joins_a_process_with_namespaces_of_its_own_ends_with_it(
    supervisor: ProcessTable,
) -> None:
    supervisor.start(replace(sleeping("holder"), namespaces="new"))
    holder = supervisor.record("holder")
    assert holder
    supervisor.start(replace(sleeping("guest"), namespaces=str(holder.pid)))
    guest = supervisor.record("guest")
    assert guest
    for kind in ("pid", "net", "mnt"):
        ours = Path(f"/proc/self/ns/{kind}").stat().st_ino
        theirs = Path(f"/proc/{holder.pid}/ns/{kind}").stat().st_ino
        assert Path(f"/proc/{guest.pid}/ns/{kind}").stat().st_ino == theirs != ours
    supervisor.stop(["holder"], patience_seconds=0)
    wait_for(lambda: not guest.is_alive())


def test_a_namespace_that_is_gone_is_an_error_that_says_so(supervisor: ProcessTable) -> None:
    with pytest.raises(Failed, match=r"joiner could not be started: .*No such file"):
        supervisor.start(replace(sleeping("joiner"), namespaces="999999999"))
    assert supervisor.record("joiner") is None
