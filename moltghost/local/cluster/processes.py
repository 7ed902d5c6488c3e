"""Starting, recognising and stopping the cluster's processes.

A process is recognised by the record that it wrote about itself (``launch.py``): pid, start time
and the boot it belongs to. Neither a reused pid nor a program of the same name is mistaken for it.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from moltghost.errors import Failed
from moltghost.files import make_private_folder, write_private

_LAUNCHER = Path(__file__).with_name("launch.py")
_LOG_LIMIT_BYTES = 20 * 1024**2
_POLL_SECONDS = 0.02
_DEATH_SECONDS = 30.0  # for the kernel to take a killed process apart on a busy machine
_TAIL_BYTES = 16 * 1024
# proc(5), fields of /proc/PID/stat counted from field 3 (state).
_STATE, _START_TICKS = 0, 19


@dataclass(frozen=True, kw_only=True)
class Command:
    """How a process is started.

    Args:
        arguments: the program's path and its arguments; they hold no secret.
        environment: the whole environment, nothing is inherited; it holds no secret.
        files: configuration that is read only at the start; when their content changes, the
            process must be restarted.
        namespaces: of mounts, network and pids: "" for this machine's, ``new`` for its own (it is
            pid 1 there, and when it ends so does everything in them), or the pid of a process
            whose namespaces it joins.
        umask: what other users may not do with what it writes.
    """

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    files: tuple[Path, ...] = ()
    namespaces: str = ""
    umask: int = 0o077

    def fingerprint(self) -> str:
        """Equal for commands that need no restart of a process started by the other."""
        parts = [*self.arguments, *map("=".join, sorted(self.environment.items()))]
        parts += [self.namespaces, oct(self.umask)]
        digest = hashlib.sha256("\0".join(parts).encode())
        for file in self.files:
            digest.update(hashlib.sha256(file.read_bytes()).digest())
        return digest.hexdigest()[:16]


@dataclass(frozen=True, kw_only=True)
class Record:
    """What a process wrote about itself."""

    pid: int
    start_ticks: int
    boot_id: str
    fingerprint: str

    def is_alive(self) -> bool:
        """Whether that very process still runs."""
        if self.boot_id != _boot_id():
            return False
        try:
            stat = Path(f"/proc/{self.pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return False
        fields = stat.rpartition(")")[2].split()
        if int(fields[_START_TICKS]) != self.start_ticks:
            return False
        return fields[_STATE] != "Z" or _has_threads(self.pid)


class ProcessTable:
    """The processes of one cluster, with their records and logs.

    Args:
        home: the cluster's folder; records are in ``run/``, logs in ``logs/``.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._records = home / "run"
        self._logs = home / "logs"

    def log(self, name: str) -> Path:
        """The log of a process."""
        return self._logs / f"{name}.log"

    def record(self, name: str) -> Record | None:
        """What the process of that name wrote when it last started, dead or alive."""
        try:
            return Record(**json.loads((self._records / f"{name}.json").read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def names(self) -> list[str]:
        """Of all processes that were ever started here and not stopped."""
        return sorted(path.stem for path in self._records.glob("*.json"))

    def bound_logs(self) -> None:
        """Empty the logs that have grown too long, and set their ends aside as ``.log.old``.

        Processes that run have opened theirs for append: what they write next begins it anew.
        """
        for log in self._logs.glob("*.log"):
            if log.stat().st_size > _LOG_LIMIT_BYTES:
                end = _end(log, _LOG_LIMIT_BYTES)
                os.truncate(log, 0)  # first: the disk may be full
                write_private(log.with_suffix(".log.old"), end, durable=False)

    def start(self, command: Command) -> None:
        """Start a process in a session of its own; it outlives this one.

        Raises:
            Failed: the program can't be executed.
        """
        make_private_folder(self._records)
        make_private_folder(self._logs)
        log = self.log(command.name)
        record = self._records / f"{command.name}.json"
        record.unlink(missing_ok=True)
        settings = {
            "record": str(record),
            "fingerprint": command.fingerprint(),
            "namespaces": command.namespaces,
            "umask": command.umask,
            "folder": str(self._home),
        }
        launcher = [sys.executable, "-I", "-S", str(_LAUNCHER), json.dumps(settings)]
        with log.open("ab") as output:
            log.chmod(0o600)
            result = subprocess.run(
                [*launcher, *command.arguments],
                cwd=self._home,
                env=dict(command.environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        if result.returncode:
            raise Failed(
                f"{command.name} could not be started: {last_lines(log)}",
                f"look at {log}",
            )

    def stop(self, names: Iterable[str], *, patience_seconds: float) -> list[str]:
        """Stop processes and forget them.

        Args:
            names: of the processes.
            patience_seconds: how long they may take to end by themselves; 0 kills at once.

        Returns:
            The names of those that were alive.
        """
        records = {name: record for name in names if (record := self.record(name))}
        alive = {name: record for name, record in records.items() if record.is_alive()}
        if patience_seconds:
            _signal(alive.values(), signal.SIGTERM)
            _wait(alive.values(), patience_seconds)
        _signal(alive.values(), signal.SIGKILL)
        _wait(alive.values(), _DEATH_SECONDS)
        for name in records:
            (self._records / f"{name}.json").unlink(missing_ok=True)
        return list(alive)


def last_lines(log: Path, count: int = 15) -> str:
    """The end of a log, for an error message."""
    if not log.exists():
        return ""
    return "\n".join(_end(log, _TAIL_BYTES).decode(errors="replace").splitlines()[-count:])


def _end(log: Path, size: int) -> bytes:
    with log.open("rb") as file:
        file.seek(-min(log.stat().st_size, size), os.SEEK_END)
        return file.read(size)


def _signal(records: Iterable[Record], number: signal.Signals) -> None:
    for record in records:
        try:
            descriptor = os.pidfd_open(record.pid)
        except ProcessLookupError:
            continue
        # Looked at again through the descriptor's process: the pid can't be reused meanwhile.
        with os.fdopen(descriptor):
            if record.is_alive():
                signal.pidfd_send_signal(descriptor, number)


def _wait(records: Iterable[Record], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and any(record.is_alive() for record in records):
        time.sleep(_POLL_SECONDS)


def _has_threads(zombie: int) -> bool:
    """Whether threads of a process still run though its first one has ended."""
    try:
        return len(list(Path(f"/proc/{zombie}/task").iterdir())) > 1
    except FileNotFoundError:
        return False


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
