"""An agent that really runs on the machine's own node: Gemma 3 270M on the CPU.

The very manifests of every agent, real containers, a real store, Ollama and OpenClaw.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from moltghost.local.node import network
from moltghost.local.node.requirements import unavailable
from tests.e2e.conftest import REPOSITORY, Moltghost

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(bool(unavailable()), reason=f"no node of its own: {unavailable()}"),
]

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

    def token(self, name: str = "gate-token-1") -> str:
        secret = self.moltghost.cluster.client.get("v1", "Secret", name, NAMESPACE)
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


@pytest.fixture(scope="module")
def hello(machine: Moltghost) -> Hello:
    """The agent, deployed; its store is built first."""
    machine.deployed.append("hello")
    options = ("--model", "gemma3-270m-q4", "--gpu", "none", "--context", "16k")
    machine("deploy", "hello", *options, "--owner", "team-a", "--yes", timeout=900)
    return Hello(machine)


def until(true: Callable[[], Any], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.5)


def answer(hello: Hello, text: str = "What is the capital of France?") -> str:
    said = hello.moltghost("agent", "chat", "hello", "--message", text, "--json", timeout=300)
    return str(json.loads(said)["answer"])


def test_it_is_ready_on_the_machine_and_is_not_simulated(hello: Hello) -> None:
    status = hello.moltghost.json("agent", "status", "hello")
    assert (status["stage"], status["ready"]) == ("ready", True)
    assert status["node"] == {"name": "machine", "instance_type": "machine", "simulated": False}
    assert status["node_usd_per_hour"] == 0


def test_a_request_is_answered_by_the_model_through_openclaw_and_the_gate(hello: Hello) -> None:
    # More than once: OpenClaw refuses to stream an answer that begins with its own timestamp.
    for _ in range(3):
        assert "Paris" in answer(hello)


def test_the_gate_opens_for_its_own_token_and_for_what_the_runtime_needs(hello: Hello) -> None:
    token = hello.token()
    assert hello.status_of("GET", "/api/ps", token) == 200
    assert hello.status_of("GET", "/api/ps", None) == 401
    assert hello.status_of("GET", "/api/ps", hello.token("gateway-token-1")) == 401
    for method, path in (
        ("DELETE", "/api/delete"),
        ("POST", "/api/pull"),
        ("POST", "/api/create"),
        ("POST", "/api/push"),
        ("POST", "/api/copy"),
        ("POST", "/api/chat/../delete"),
    ):
        assert hello.status_of(method, path, token) == 403, path


@pytest.mark.parametrize("program", ["ollama", "agent-tools", "caddy", "node"])
def test_its_processes_have_no_rights_beyond_their_own_volumes(hello: Hello, program: str) -> None:
    found = hello.processes(program)
    assert found, f"no {program} runs"
    for pid in found:
        status = dict(
            line.split(":\t", 1)
            for line in Path(f"/proc/{pid}/status").read_text().splitlines()
            if ":\t" in line
        )
        assert status["Uid"].split() == ["1000"] * 4
        assert {status[f"Cap{kind}"] for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {"0" * 16}
        assert status["NoNewPrivs"] == "1"
        assert status["Seccomp"] == "2"
        mounts = Path(f"/proc/{pid}/mountinfo").read_text().splitlines()
        [root] = [line.split() for line in mounts if line.split()[4] == "/"]
        assert root[5].split(",")[0] == "ro"
        assert not Path(f"/proc/{pid}/root/var/run/secrets/kubernetes.io").exists()


def test_no_stream_is_lost_while_it_moves_and_is_changed_and_rolled_back(
    hello: Hello, tmp_path: Path
) -> None:
    before = {pod["metadata"]["uid"] for pod in hello.pods()}
    with hello.streams(tmp_path) as result:
        hello.moltghost("agent", "move", "hello", "--yes", timeout=900)
        # Two cores hold an agent and one surge, not what still drains as well.
        until(lambda: len(hello.pods()) == 1)
        # Another number of slots is another model process, with the same context and tools.
        update = ("agent", "update", "hello", "--parallel", "2", "--yes")
        hello.moltghost(*update, timeout=900)
        until(lambda: len(hello.pods()) == 1)
        hello.moltghost("agent", "rollback", "hello", "--yes", timeout=900)
        until(lambda: len(hello.pods()) == 1)
        ended = result()
    assert {pod["metadata"]["uid"] for pod in hello.pods()}.isdisjoint(before)
    assert len(ended) >= 3 * STREAMS
    assert {stream["ended"] for stream in ended} == {"whole"}
    history = hello.moltghost.json("agent", "history", "hello")
    assert len(history) >= 3


def test_a_killed_ollama_comes_back_with_its_model_and_the_pod_stays(hello: Hello) -> None:
    [pod] = hello.pods()
    for pid in hello.processes("ollama"):
        os.kill(pid, signal.SIGKILL)
    until(lambda: restarts(hello, "ollama") >= 1)
    until(lambda: hello.moltghost.json("agent", "status", "hello")["ready"])
    assert [each["metadata"]["uid"] for each in hello.pods()] == [pod["metadata"]["uid"]]
    assert answer(hello).strip()


def test_a_killed_gate_is_started_again(hello: Hello) -> None:
    [pid] = hello.processes("caddy")
    os.kill(pid, signal.SIGKILL)
    until(lambda: restarts(hello, "gate") >= 1)
    until(lambda: hello.moltghost.json("agent", "status", "hello")["ready"])
    assert hello.status_of("GET", "/api/version", hello.token()) == 200


def test_a_restarted_kubelet_leaves_the_containers_alone(hello: Hello) -> None:
    embedded = hello.moltghost.cluster.embedded
    before = {name: hello.processes(name) for name in ("ollama", "caddy", "node")}
    record = next(each for each in embedded.status().processes if each.name == "kubelet")
    os.kill(record.pid, signal.SIGKILL)
    hello.moltghost("local", "up", timeout=300)
    assert {name: hello.processes(name) for name in before} == before
    until(lambda: hello.moltghost.json("agent", "status", "hello")["ready"])


def test_paused_it_has_no_process_and_resumed_it_answers_with_its_memory(hello: Hello) -> None:
    claim = hello.moltghost.cluster.client.get(
        "v1", "PersistentVolumeClaim", "runtime-state", NAMESPACE
    )
    assert claim
    hello.moltghost("agent", "pause", "hello", "--yes", timeout=900)
    until(lambda: not hello.processes("ollama") and not hello.processes("node"), 400)
    assert hello.moltghost.json("agent", "status", "hello")["stage"] == "paused"
    assert "is paused" in hello.moltghost("agent", "chat", "hello", "-m", "hi", code=2)
    hello.moltghost("agent", "resume", "hello", "--yes", timeout=900)
    assert answer(hello).strip()
    again = hello.moltghost.cluster.client.get(
        "v1", "PersistentVolumeClaim", "runtime-state", NAMESPACE
    )
    assert again
    assert again["metadata"]["uid"] == claim["metadata"]["uid"]


def restarts(hello: Hello, container: str) -> int:
    """How often a container of the newest model server was started again."""
    newest = max(hello.pods(), key=lambda pod: str(pod["metadata"]["creationTimestamp"]))
    status = newest["status"]
    every = [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]
    return int(next(each["restartCount"] for each in every if each["name"] == container))
