"""Becomes a program of the cluster, after writing down who it is.

Runs as a script with Python's standard library only: ``launch.py RECORD FINGERPRINT PROGRAM
[ARGUMENT ...]``. The program runs in a session of its own, as a child of init. Its pid and start
time are in the record *before* it starts, so that there is no program without a record, however
its starter was interrupted. Exits 0 once the program runs, else prints why it can't.
"""

import json
import os
import sys
from pathlib import Path

# proc(5): field 22 of /proc/PID/stat, counted from field 3.
_START_TICKS = 19


def _main(record: str, fingerprint: str, *command: str) -> int:
    # Closed by the kernel when the program starts: what can be read from it is an error.
    reader, writer = os.pipe2(os.O_CLOEXEC)
    if os.fork() == 0:
        try:
            os.setsid()
            # Whatever a program writes (etcd's data, logs) is for the user alone.
            os.umask(0o077)
            _write_record(Path(record), fingerprint)
            os.execv(command[0], command)  # noqa: S606 - no shell is wanted
        except OSError as error:
            os.write(writer, str(error).encode())
            os._exit(1)
    os.close(writer)
    error_text = os.read(reader, 4096).decode()
    sys.stderr.write(error_text)
    return 1 if error_text else 0


def _write_record(record: Path, fingerprint: str) -> None:
    # The program's name comes before the last ")" and may hold spaces.
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    facts = {
        "pid": os.getpid(),
        "start_ticks": int(fields[_START_TICKS]),
        "boot_id": Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
        "fingerprint": fingerprint,
    }
    partial = record.with_suffix(".partial")
    partial.write_text(json.dumps(facts))
    partial.replace(record)


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
