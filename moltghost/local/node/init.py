"""Pid 1 of the node's namespaces: arranges its mounts, then reaps what it inherits.

Runs as a script with Python's standard library only: ``init.py SETTINGS`` with the settings as
JSON (``components.Node.init``). The node sees this machine's files, with folders of its own in
place of ``/run`` and ``/var``. Nothing that it mounts is seen outside.
"""

import ctypes
import json
import os
import signal
import sys
import time
from pathlib import Path

# sys/mount.h
_NO_SUID, _NO_DEVICES, _NO_EXECUTION, _BIND = 0x2, 0x4, 0x8, 0x1000
_RECURSIVE, _SLAVE = 0x4000, 0x80000

_HIDDEN = ("/run", "/var")
_libc = ctypes.CDLL(None, use_errno=True)


def _main(settings_text: str) -> int:
    settings = json.loads(settings_text)
    # What this machine unmounts is unmounted here too; what is mounted here stays here.
    _mount("", "/", "", _SLAVE | _RECURSIVE)
    _mount("proc", "/proc", "proc", _NO_SUID | _NO_DEVICES | _NO_EXECUTION)
    kept = {path: os.open(path, os.O_PATH) for path in settings["kept"]}
    for folder in _HIDDEN:
        _mount("tmpfs", folder, "tmpfs", _NO_SUID | _NO_DEVICES, "mode=755")
    Path("/var/run").symlink_to("/run")
    for path, descriptor in kept.items():
        if path.startswith(tuple(f"{folder}/" for folder in _HIDDEN)):
            _bind(f"/proc/self/fd/{descriptor}", path)
        os.close(descriptor)
    for target, source in settings["bound"].items():
        Path(source).mkdir(parents=True, exist_ok=True)
        _bind(source, target)
    for setting, value in settings["pretended"].items():
        _pretend(Path("/proc/sys") / setting, value)
    for setting, value in settings["network"].items():
        file = Path("/proc/sys/net") / setting
        if file.exists():  # a kernel without IPv6 has nothing to turn off
            file.write_text(value)
    Path(settings["ready"]).touch()
    _reap()
    return 1


def _bind(source: str, target: str) -> None:
    Path(target).mkdir(parents=True, exist_ok=True)
    _mount(source, target, "", _BIND)


def _pretend(setting: Path, value: str) -> None:
    """Let readers find a value, and writers change it, without changing this machine's."""
    if setting.exists():
        file = Path("/run/sysctl") / setting.relative_to("/proc/sys")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(value + "\n")
        _mount(str(file), str(setting), "", _BIND)


def _mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    texts = [text.encode() for text in (source, target, kind)]
    if _libc.mount(*texts, ctypes.c_ulong(flags), options.encode()):
        number = ctypes.get_errno()
        raise OSError(number, f"mounting {source or kind} on {target}: {os.strerror(number)}")


def _reap() -> None:
    # Pid 1 gets no signal that it has no handler for, except from outside.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    while True:
        try:
            os.wait()
        except ChildProcessError:
            time.sleep(1)


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
