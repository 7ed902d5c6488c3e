"""A port of a pod on this machine's loopback, through the API server: what `kubectl` does.

The way goes over the kubelet into the pod's own network, so no NetworkPolicy has to be opened for
it, and whoever may not `create pods/portforward` in the namespace is refused by the cluster.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from moltghost.errors import Failed, Refused

_READY = re.compile(r"Forwarding from 127\.0\.0\.1:(\d+) ")
_END_SECONDS = 5
_LAST_LINES = 10  # of what it complained of


@dataclass(frozen=True)
class Forward:
    """An open forward; ``process`` ends when the pod goes or the connection breaks."""

    port: int
    process: subprocess.Popen[str]


def find_kubectl(built: Path | None) -> Path:
    """The cluster's own kubectl where it has one, else the machine's.

    Raises:
        Refused: there is none.
    """
    if built and built.exists():
        return built
    if found := shutil.which("kubectl"):
        return Path(found)
    raise Refused(
        "kubectl isn't on the PATH, and it is what reaches into the agent's namespace",
        "install it as https://kubernetes.io/docs/tasks/tools/ says, or bring the embedded cluster "
        "up, which has its own",
    )


@contextmanager
def forwarded(
    kubectl: Path, kubeconfig: Path, namespace: str, target: str, port: int
) -> Iterator[Forward]:
    """A free port on loopback that leads to ``port`` of ``target``, such as ``service/runtime``.

    Raises:
        Failed: the cluster refused it, in its words.
    """
    command = [str(kubectl), "--kubeconfig", str(kubeconfig), "--namespace", namespace]
    command += ["port-forward", "--address", "127.0.0.1", target, f":{port}"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stdout is not None and process.stderr is not None  # noqa: S101 piped above
        complaints: deque[str] = deque(maxlen=_LAST_LINES)
        reader = _drained(process.stderr, complaints)
        line = process.stdout.readline()
        if not (ready := _READY.search(line)):
            process.terminate()
            reader.join(_END_SECONDS)
            said = ("".join(complaints) or line).strip()
            raise Failed(
                f"{target} in {namespace} can't be reached: {said or 'kubectl said nothing'}",
                "moltghost agent status shows whether the agent is ready",
            )
        _drained(process.stdout, deque(maxlen=0))
        yield Forward(int(ready[1]), process)
    finally:
        process.terminate()
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _drained(stream: IO[str], kept: deque[str]) -> threading.Thread:
    """Read all that kubectl says, a line or more for each connection: it waits on a full pipe."""
    thread = threading.Thread(target=kept.extend, args=(stream,), daemon=True)
    thread.start()
    return thread
