"""The node's network: its addresses, and the cable between its namespace and this machine.

The cable's addresses come from 198.18.0.0/15, which is reserved for measurements (RFC 2544) and
so is nobody's: a /24 that no route of this machine uses. This machine has one more interface and
nothing else: no rule, no forwarding, no other route. In the namespace the cable is the only way
out; it has no route beyond, and packets of pods are not passed on to it.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import subprocess
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from moltghost.errors import Failed
from moltghost.files import write_private
from moltghost.local.node.requirements import find_program

#: Addresses of pods; equal in every cluster, as no two namespaces meet.
POD_RANGE = "10.244.0.0/24"

_CABLES = ipaddress.IPv4Network("198.18.0.0/15")
_CABLE_BITS = 24
_FAR_END = "eth0"
_GONE_SECONDS = 20.0
_POLL_SECONDS = 0.05

# Whatever leaves a pod stays in the namespace, and nothing comes in for it.
_RULES = f"""
table inet moltghost {{
    chain forward {{
        type filter hook forward priority 0; policy accept;
        iifname "{_FAR_END}" drop
        oifname "{_FAR_END}" drop
    }}
}}
"""


@dataclass(frozen=True)
class Cable:
    """One cluster's cable.

    Args:
        name: of the interface on this machine.
        subnet: of the two ends.
    """

    name: str
    subnet: ipaddress.IPv4Network

    @property
    def near(self) -> str:
        """This machine's address."""
        return str(self.subnet[1])

    @property
    def far(self) -> str:
        """The node's address."""
        return str(self.subnet[2])


def identity(home: Path) -> str:
    """Eight characters that name what one cluster has on this machine."""
    return hashlib.sha256(str(home).encode()).hexdigest()[:8]


def cable_name(home: Path) -> str:
    """Name of a cluster's interface on this machine."""
    return f"mg-{identity(home)}"


def read_cable(home: Path, remembered: Path) -> Cable | None:
    """The cable that the cluster was given; ``None`` if it was given none."""
    try:
        subnet = ipaddress.IPv4Network(json.loads(remembered.read_text())["subnet"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return Cable(cable_name(home), subnet)


def ensure_cable(home: Path, remembered: Path) -> Cable:
    """A cable with addresses that this machine doesn't use otherwise, remembered in a file.

    Raises:
        Failed: every subnet is in use.
    """
    name = cable_name(home)
    used = list(_routes(excluding=name))
    known = read_cable(home, remembered)
    candidates = [known.subnet] if known else []
    for subnet in [*candidates, *_subnets(home)]:
        if not any(subnet.overlaps(other) for other in used):
            write_private(remembered, json.dumps({"subnet": str(subnet)}) + "\n", durable=False)
            return Cable(name, subnet)
    raise Failed(
        f"every address of {_CABLES} is in a route of this machine",
        "remove the routes that aren't needed (ip route), or run without the machine's own node",
    )


def plug_in(cable: Cable, pid: int) -> None:
    """Lay the cable into the namespace of a process, unless it is there.

    Raises:
        Failed: a command failed, with what it printed.
    """
    if (Path("/sys/class/net") / cable.name).exists():
        if _in_namespace(pid, "ip", "link", "show", _FAR_END, check=False):
            return
        unplug(cable.name)
    far_end = ("peer", "name", _FAR_END, "netns", str(pid))
    _run("ip", "link", "add", cable.name, "type", "veth", *far_end)
    # No address of its own choosing: nothing here speaks IPv6.
    _run("ip", "link", "set", cable.name, "addrgenmode", "none")
    _run("ip", "address", "add", f"{cable.near}/{_CABLE_BITS}", "dev", cable.name)
    _run("ip", "link", "set", cable.name, "up")
    _in_namespace(pid, "nft", "-f", "-", stdin=_RULES)
    _in_namespace(pid, "ip", "link", "set", "lo", "up")
    _in_namespace(pid, "ip", "address", "add", f"{cable.far}/{_CABLE_BITS}", "dev", _FAR_END)
    _in_namespace(pid, "ip", "link", "set", _FAR_END, "up")


def unplug(name: str) -> None:
    """Remove an interface of this machine if it is still there, and wait until it is gone.

    Raises:
        Failed: it stays.
    """
    interface = Path("/sys/class/net") / name
    deadline = time.monotonic() + _GONE_SECONDS
    # The kernel takes it away with the namespace, a moment after the last process.
    while interface.exists():
        _run("ip", "link", "delete", name, check=False)
        if time.monotonic() > deadline:
            raise Failed(f"the interface {name} can't be removed", f"ip link delete {name}")
        time.sleep(_POLL_SECONDS)


def _subnets(home: Path) -> Iterator[ipaddress.IPv4Network]:
    subnets = list(_CABLES.subnets(new_prefix=_CABLE_BITS))
    first = int(identity(home), 16) % len(subnets)
    yield from subnets[first:]
    yield from subnets[:first]


def _routes(*, excluding: str) -> Iterable[ipaddress.IPv4Network]:
    for route in json.loads(_run("ip", "-json", "-4", "route", "show", "table", "all")):
        if route.get("dev") != excluding and route["dst"] != "default":
            yield ipaddress.IPv4Network(route["dst"], strict=False)


def _in_namespace(pid: int, *command: str, stdin: str = "", check: bool = True) -> str:
    return _run("nsenter", f"--net=/proc/{pid}/ns/net", *command, stdin=stdin, check=check)


def _run(*command: str, stdin: str = "", check: bool = True) -> str:
    program = find_program(command[0]) or command[0]
    result = subprocess.run(
        [program, *command[1:]], input=stdin, capture_output=True, text=True, check=False
    )
    if check and result.returncode:
        raise Failed(
            f"{' '.join(command)} failed: {result.stderr.strip()}",
            "run moltghost local up again; moltghost local down removes the cluster's network",
        )
    return result.stdout
