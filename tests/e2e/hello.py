"""The agent `hello` of the machine's own node, and ways to look at it and to talk to it."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moltghost import paths
from moltghost.kube.pod_diagnosis import container_statuses
from moltghost.local.node import network
from moltghost.models import find_model
from tests.e2e.conftest import REPOSITORY, Moltghost

NAMESPACE = "agent-hello"
STREAMS = 4
CONTEXT = 16384


@dataclass(frozen=True)
class Hello:
    """The agent, and ways to look at it."""

    moltghost: Moltghost

    @property
    def gate_url(self) -> str:
        service = self.moltghost.cluster.client.get("v1", "Service", "model-server", NAMESPACE)
        assert service
        return f"http://{service['spec']['clusterIP']}:11434"

    @property
    def source(self) -> Path:
        """The GGUF file that its store was built from, in the user's cache."""
        download = find_model("gemma3-270m-q4").file.download
        assert download
        return paths.cache_home() / "weights" / f"{download.sha256}.gguf"

    def token(self, name: str = "gate-token-1", namespace: str = NAMESPACE) -> str:
        secret = self.moltghost.cluster.client.get("v1", "Secret", name, namespace)
        assert secret
        return base64.b64decode(secret["data"]["token"]).decode()

    def pods(self, name: str = "model-server") -> list[dict[str, Any]]:
        labels = {"app.kubernetes.io/name": name}
        return self.moltghost.cluster.client.list("v1", "Pod", NAMESPACE, labels=labels)

    def processes(self, program: str) -> list[int]:
        """Processes of the agent's containers that were started as ``program``."""
        mine = f"moltghost-{network.identity(self.moltghost.cluster.state / 'cluster')}/"
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                arguments = (entry / "cmdline").read_bytes().split(b"\0")
                groups = (entry / "cgroup").read_text()
            except OSError:
                continue
            if mine in groups and Path(arguments[0].decode()).name == program:
                found.append(int(entry.name))
        return sorted(found)

    def inside(self, *command: str, **more: Any) -> subprocess.Popen[str]:
        """A program in the network of the runtime's pod, which is who asks the gate."""
        runtime, *_ = self.processes("node")
        return subprocess.Popen(
            ["/usr/bin/nsenter", f"--net=/proc/{runtime}/ns/net", *command],
            text=True,
            cwd=REPOSITORY,
            stdin=subprocess.DEVNULL,
            **more,
        )

    def status_of(self, method: str, path: str, token: str | None) -> int:
        """What the gate answers."""
        program = (
            "import os, sys, urllib.request, urllib.error\n"
            "url, method = sys.argv[1:]\n"
            "token = os.environ['TOKEN']\n"
            "request = urllib.request.Request(url, method=method, data=b'{}' if method != 'GET' "
            "else None)\n"
            "if token: request.add_header('Authorization', 'Bearer ' + token)\n"
            "try: print(urllib.request.urlopen(request, timeout=20).status)\n"
            "except urllib.error.HTTPError as error: print(error.code)\n"
        )
        url = self.gate_url + path
        asked = self.inside(
            *(sys.executable, "-c", program, url, method),
            stdout=subprocess.PIPE,
            env={"TOKEN": token or "", "PATH": os.environ["PATH"]},
        )
        out, _ = asked.communicate(timeout=60)
        return int(out)

    def answer(self, text: str = "What is the capital of France?") -> str:
        """What the agent says, through OpenClaw."""
        said = self.moltghost("agent", "chat", "hello", "--message", text, "--json", timeout=300)
        return str(json.loads(said)["answer"])

    def restarts(self, container: str) -> int:
        """How often a container of the newest model server was started again."""
        newest = max(self.pods(), key=lambda pod: str(pod["metadata"]["creationTimestamp"]))
        every = container_statuses(newest)
        return int(next(each["restartCount"] for each in every if each["name"] == container))

    def wait_until_ready(self) -> None:
        until(lambda: self.moltghost.json("agent", "status", "hello")["ready"])

    @contextmanager
    def streams(self, folder: Path) -> Iterator[Callable[[], list[dict[str, Any]]]]:
        """Streams are open as long as the context lasts; then the call gives how each ended."""
        token, stop = folder / "token", folder / "stop"
        token.write_text(self.token())
        module = ("-m", "tests.e2e.streams", self.gate_url, str(token), str(stop))
        client = self.inside(
            sys.executable, *module, str(STREAMS), str(CONTEXT), stdout=subprocess.PIPE
        )
        ended: list[dict[str, Any]] = []

        def result() -> list[dict[str, Any]]:
            if not ended:
                stop.touch()
                out, _ = client.communicate(timeout=180)
                ended.extend(json.loads(out))
            return ended

        try:
            time.sleep(5)  # every stream has begun
            yield result
        finally:
            stop.touch()
            if client.poll() is None:
                client.terminate()
                client.wait(30)


@contextmanager
def conversations(hello: Hello) -> Iterator[list[str]]:
    """Somebody asks through OpenClaw, again and again; the list has what was answered.

    The first answer that fails ends it, and is raised when the context ends.
    """
    answers: list[str] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            answers.append(hello.answer())

    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ask)
        try:
            yield answers
        finally:
            stop.set()
        asking.result(timeout=300)


def until(true: Callable[[], Any], seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.5)
