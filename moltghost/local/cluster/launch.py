"""Becomes a program of the cluster, after writing down who it is.

Runs as a script with Python's standard library only: ``launch.py SETTINGS PROGRAM [ARGUMENT ...]``
with the settings as JSON (``processes.ProcessTable.start``). The program runs in a session of its
own, as a child of init, and in other namespaces where the settings say so. Its pid and start time
are in the record *before* it starts, so that there is no program without a record, however its
starter was interrupted. Exits 0 once the program runs, else prints why it can't.
"""

import ctypes
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

# proc(5): field 22 of /proc/PID/stat, counted from field 3.
_START_TICKS = 19
# sched.h
_MOUNTS, _NETWORK, _PIDS = 0x00020000, 0x40000000, 0x20000000
_FILES = {_MOUNTS: "mnt", _NETWORK: "net", _PIDS: "pid"}

_libc = ctypes.CDLL(None, use_errno=True)


def _main(settings_text: str, *command: str) -> int:
    settings = json.loads(settings_text)
    # Both closed by the kernel when the program starts: what can be read from the first is an
    # error; what can't be read from the second is a starter that died before the record was there.
    errors, error = os.pipe2(os.O_CLOEXEC)
    permissions, permission = os.pipe2(os.O_CLOEXEC)
    try:
        enter_others = _namespaces(settings["namespaces"])
        pid = os.fork()
    except OSError as failure:
        sys.stderr.write(str(failure))
        return 1
    if pid == 0:
        try:
            os.close(permission)
            os.setsid()
            os.umask(settings["umask"])
            enter_others()
            os.chdir(settings["folder"])
            if os.read(permissions, 1):
                os.execv(command[0], command)  # noqa: S606 - no shell is wanted
        except OSError as failure:
            os.write(error, str(failure).encode())
        os._exit(1)
    os.close(error)
    _write_record(Path(settings["record"]), pid, settings["fingerprint"])
    os.write(permission, b"+")
    error_text = os.read(errors, 4096).decode()
    sys.stderr.write(error_text)
    return 1 if error_text else 0


def _namespaces(wanted: str) -> Callable[[], None]:
    """Choose the namespaces of children; returns what a child does to be in the others.

    A process can't change the pids it sees itself by, so those are chosen before it is made.
    """
    if wanted == "new":
        _call(_libc.unshare, _PIDS)
        return lambda: _call(_libc.unshare, _MOUNTS | _NETWORK)
    if wanted:
        kinds = (_PIDS, _NETWORK, _MOUNTS)
        files = {kind: os.open(f"/proc/{wanted}/ns/{_FILES[kind]}", os.O_RDONLY) for kind in kinds}
        _call(_libc.setns, files[_PIDS], _PIDS)

        def enter() -> None:
            for kind in (_NETWORK, _MOUNTS):
                _call(_libc.setns, files[kind], kind)

        return enter
    return lambda: None


def _call(function: Callable[..., int], *arguments: int) -> None:
    if function(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, f"no namespaces: {os.strerror(number)}")


def _write_record(record: Path, pid: int, fingerprint: str) -> None:
    # The program's name comes before the last ")" and may hold spaces.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    facts = {
        "pid": pid,
        "start_ticks": int(fields[_START_TICKS]),
        "boot_id": Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
        "fingerprint": fingerprint,
    }
    partial = record.with_suffix(".partial")
    # The launcher's own umask is whatever its caller's is.
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(facts, file)
    partial.replace(record)


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
