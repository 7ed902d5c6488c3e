"""What this machine must have for a node of its own."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

#: Program to the Debian package that has it; ``tools/bootstrap.sh`` installs them.
PROGRAMS = {"runc": "runc", "nft": "nftables", "ip": "iproute2", "nsenter": "util-linux"}
#: Where the node's programs look for others.
SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# linux/capability.h
_CAPABILITIES = {"CAP_NET_ADMIN": 12, "CAP_SYS_ADMIN": 21, "CAP_SYS_CHROOT": 18, "CAP_MKNOD": 27}
CAP_SYS_RESOURCE = 24
_CONTROLLERS = ("cpu", "cpuset", "memory", "pids")


def unavailable() -> str:
    """Why this machine can't have a node of its own, with what to do; "" if it can."""
    if sys.platform != "linux":
        return f"it needs Linux; this is {sys.platform}"
    if os.geteuid() != 0:
        return "it needs root: run the command as root (sudo)"
    checks = (_missing_programs, _missing_capabilities, _missing_controllers, _missing_devices)
    return next((reason for check in checks if (reason := check())), "")


def has_capability(number: int) -> bool:
    """Whether this process has a capability of ``linux/capability.h``."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> number & 1)
    return False


def find_program(name: str) -> str:
    """Path of one of this machine's programs, or ""."""
    return shutil.which(name, path=SEARCH_PATH) or ""


def _missing_programs() -> str:
    missing = [package for name, package in PROGRAMS.items() if not find_program(name)]
    if not missing:
        return ""
    return f"programs are missing: apt-get install {' '.join(missing)}"


def _missing_capabilities() -> str:
    missing = [name for name, number in _CAPABILITIES.items() if not has_capability(number)]
    if not missing:
        return ""
    return f"root lacks {', '.join(missing)} here: give the container these capabilities"


def _missing_controllers() -> str:
    missing = [name for name in _CONTROLLERS if name not in _controllers()]
    if not missing:
        return ""
    return f"the cgroup controllers {', '.join(missing)} are not mounted below /sys/fs/cgroup"


def _controllers() -> set[str]:
    unified = Path("/sys/fs/cgroup/cgroup.controllers")
    if unified.exists():
        return set(unified.read_text().split())
    return {path.name for path in Path("/sys/fs/cgroup").glob("*") if path.is_dir()}


def _missing_devices() -> str:
    if "\toverlay\n" not in Path("/proc/filesystems").read_text():
        return "the kernel has no overlay file system: modprobe overlay"
    return "" if Path("/dev/kmsg").exists() else "there is no /dev/kmsg, which the kubelet reads"
