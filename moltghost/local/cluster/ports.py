"""Loopback ports: free ones chosen once and remembered, chosen again where another took one."""

from __future__ import annotations

import json
import random
import socket
from collections.abc import Collection, Mapping
from pathlib import Path

from moltghost.errors import Failed
from moltghost.files import write_private

LOOPBACK = "127.0.0.1"

# Below the kernel's range for outgoing connections (32768 and up), so that none of those takes
# a port while its process is down.
_CANDIDATES = range(20000, 32000)

# The ports of each process.
PORTS: Mapping[str, tuple[str, ...]] = {
    "etcd": ("etcd", "etcd-peer"),
    "kube-apiserver": ("kube-apiserver",),
    "kube-controller-manager": ("kube-controller-manager",),
    "kube-scheduler": ("kube-scheduler",),
    "kwok": ("kwok",),
    "karpenter": ("karpenter", "karpenter-metrics"),
    "weights-store": ("weights-store",),
}

# Those of the machine's own node that are not in its namespace.
NODE_PORTS: Mapping[str, tuple[str, ...]] = {
    "machine-forward": ("machine-forward",),
    "machine-volumes": ("machine-volumes",),
}


def read_ports(path: Path) -> dict[str, int]:
    """The remembered ports by name; empty if there are none."""
    try:
        ports: dict[str, int] = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return ports


def ensure_ports(path: Path, *, running: Collection[str]) -> dict[str, int]:
    """Ports by name, remembered in ``path``.

    Args:
        path: where they are remembered.
        running: processes that hold their ports; those of the others are chosen again if taken.
    """
    ports = read_ports(path)
    for process, names in {**PORTS, **NODE_PORTS}.items():
        for name in names:
            keep = name in ports and (process in running or _is_free(ports[name]))
            if not keep:
                ports[name] = _choose(excluding=ports.values())
    write_private(path, json.dumps(ports, indent=2) + "\n", durable=False)
    return ports


def _choose(*, excluding: Collection[int]) -> int:
    for candidate in random.sample(_CANDIDATES, len(_CANDIDATES)):
        if candidate not in excluding and _is_free(candidate):
            return candidate
    raise Failed(
        f"no free port between {_CANDIDATES.start} and {_CANDIDATES.stop} on {LOOPBACK}",
        "stop some of the programs that listen there (ss -tln lists them)",
    )


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # A port in TIME_WAIT can be listened on; so do our Go programs.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
