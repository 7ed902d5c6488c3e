"""A weights store, an Ollama and agent-tools as processes of this machine, for tests."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moltghost.local.build import programs
from tests.e2e.tiny_model import TRAINED_CONTEXT

BUCKET = "weights"
STORE = "stores/ollama/tiny/Q4_K_M"
ALIAS = "moltghost/agent:current"
ACCESS, SECRET = "test", "test-secret-of-the-store"


@dataclass
class Machine:
    """The programs at work in one folder, each at its port."""

    folder: Path
    processes: dict[str, subprocess.Popen[bytes]]
    ports: dict[str, int]

    @property
    def store(self) -> str:
        return f"http://127.0.0.1:{self.ports['weights-store']}"

    @property
    def ollama(self) -> str:
        return f"http://127.0.0.1:{self.ports['ollama']}"

    @property
    def bucket_folder(self) -> Path:
        return self.folder / "s3" / "objects" / BUCKET

    def start(self, name: str, *args: str, **environment: str) -> None:
        log = (self.folder / f"{name}.log").open("ab")
        self.processes[name] = subprocess.Popen(
            [programs.binary(name.partition("@")[0]), *args],
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder), **environment},
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )

    def stop(self, name: str, how: signal.Signals = signal.SIGTERM) -> int:
        """End a process and what it started; returns its exit status."""
        process = self.processes.pop(name)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, how)
        return process.wait(timeout=30)

    def start_ollama(self, models: Path) -> None:
        self.start(
            "ollama",
            "serve",
            OLLAMA_HOST=self.ollama.removeprefix("http://"),
            OLLAMA_MODELS=str(models),
            OLLAMA_KEEP_ALIVE="-1",
            OLLAMA_MAX_LOADED_MODELS="1",
        )
        wait_for(lambda: request(self.ports["ollama"], "GET", "/api/version"))

    def tools(self, *args: str, environment: Mapping[str, str] = {}) -> Run:
        """Run agent-tools to its end."""
        done = subprocess.run(
            [programs.binary("agent-tools"), *args],
            env={"AWS_ENDPOINT_URL_S3": self.store, **environment},
            capture_output=True,
            text=True,
            timeout=180,
        )
        return Run(done.returncode, done.stdout)

    def copy(self, to: Path) -> Run:
        """What the init container does, without credentials."""
        to.mkdir(exist_ok=True)
        return self.tools("weights", "--from", f"s3://{BUCKET}/{STORE}", "--to", str(to))


@dataclass
class Run:
    code: int
    text: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]

    @property
    def stages(self) -> set[str]:
        return {line["stage"] for line in self.lines}


def request(port: int, method: str, path: str, body: Any = None) -> bytes:
    """The content of an answer of 200 from a port of this machine."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, json.dumps(body) if body is not None else None)
        answer = connection.getresponse()
        content = answer.read()
    finally:
        connection.close()
    assert answer.status == 200, content
    return content


def wait_for(what: Callable[[], Any], seconds: float = 30) -> Any:
    """Call until it neither raises nor returns something false."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if found := what():
                return found
        except OSError:
            pass
        assert time.monotonic() < deadline, "it didn't happen in time"
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@dataclass
class Loader:
    machine: Machine
    models: Path
    context: int = TRAINED_CONTEXT

    def environment(self) -> dict[str, str]:
        return {
            "LOADER_OLLAMA": self.machine.ollama,
            "LOADER_STORE": str(self.models),
            "LOADER_MODEL": ALIAS,
            "LOADER_CONTEXT": str(self.context),
            "LOADER_GPUS": "0",
            "LOADER_PREDICTED_BYTES": "5000000",
            "LOADER_LISTEN": f"127.0.0.1:{self.machine.ports['loader']}",
        }

    def start(self) -> None:
        self.machine.start("agent-tools@loader", "loader", **self.environment())

    def says(self, question: str) -> bool:
        run = self.machine.tools("loader", "--check", question, environment=self.environment())
        return run.code == 0

    def metrics(self) -> dict[str, float]:
        text = request(self.machine.ports["loader"], "GET", "/metrics").decode()
        lines = [line for line in text.splitlines() if not line.startswith("#")]
        return {name: float(value) for name, value in (line.split() for line in lines)}

    def running(self) -> list[dict[str, Any]]:
        answer = json.loads(request(self.machine.ports["ollama"], "GET", "/api/ps"))
        models: list[dict[str, Any]] = answer["models"]
        return models

    def ask(self, **body: Any) -> dict[str, Any]:
        sent = {"model": ALIAS, "stream": False, **body}
        answer = request(self.machine.ports["ollama"], "POST", "/api/generate", sent)
        found: dict[str, Any] = json.loads(answer)
        return found
