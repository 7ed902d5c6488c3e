"""`weights add` with the real store and the real `agent-tools build`, run as the job's pod runs it.

What stands in here: the cluster (a Job is a process of this test), and Ollama, which writes a
manifest and the source as its only layer. On the machine's own node both are real.
"""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from moltghost.environments.embedded import EmbeddedEnvironment
from moltghost.errors import Failed
from moltghost.lifecycle.weights import job as running
from moltghost.lifecycle.weights.build import Added, add
from moltghost.lifecycle.weights.source import Request
from moltghost.local.build import builder, programs
from moltghost.local.cluster import weights_store
from moltghost.progress import Event, silent
from moltghost.weights_store.store import StoreState, read_store
from moltghost.weights_store.verify import verify_store
from tests.e2e.store_process import Store
from tests.lifecycle.projects import environment, project
from tests.lifecycle.weights.jobs import JobCluster, write_gguf

pytestmark = pytest.mark.e2e

PREFIX = "stores/ollama-0.17.4/gemma3-270m/Q4_K_M/"
MANIFEST = "manifests/registry.ollama.ai/moltghost/agent/current"


class Ollama(ThreadingHTTPServer):
    """Stands in for Ollama's `create`: the source becomes the model's layer as it is."""

    def __init__(self, models: Path, version: str = "0.17.4") -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.models, self.version = models, version
        self.asked: list[dict[str, Any]] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def create(self, request: dict[str, Any]) -> None:
        self.asked.append(request)
        source = request["files"]["model.gguf"]
        layers = []
        for data in (b"{}", (self.models / "blobs" / source.replace(":", "-")).read_bytes()):
            digest = sha256(data).hexdigest()
            (self.models / "blobs" / f"sha256-{digest}").write_bytes(data)
            layers.append({"digest": f"sha256:{digest}", "size": len(data)})
        manifest = self.models / MANIFEST
        manifest.parent.mkdir(parents=True, exist_ok=True)
        manifest.write_text(json.dumps({"config": layers[0], "layers": layers[1:]}))


class _Handler(BaseHTTPRequestHandler):
    server: Ollama

    def do_GET(self) -> None:
        self._answer(json.dumps({"version": self.server.version}))

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        self.server.create(json.loads(self.rfile.read(length)))
        self._answer('{"status":"writing manifest"}\n{"status":"success"}\n')

    def _answer(self, text: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: Any) -> None:
        pass


class ProcessCluster(JobCluster):
    """A cluster whose Job is a process: the very arguments, environment and key of its pod."""

    def __init__(self, store: Store, ollama: Ollama) -> None:
        super().__init__(on_run=self._run)
        self._store, self._ollama = store, ollama
        self._lines: list[str] = []

    def _run(self) -> None:
        [job] = self.jobs.values()
        container = job["spec"]["template"]["spec"]["containers"][0]
        environment = {each["name"]: each["value"] for each in container["env"]}
        secret = self.secrets[container["envFrom"][0]["secretRef"]["name"]]
        # What is an address or a path in the pod is another one here.
        environment |= {
            **secret["stringData"],
            "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{self._store.port}",
            "AWS_REGION": "us-east-1",
            "BUILD_OLLAMA": self._ollama.url,
            "HOME": str(self._ollama.models),
        }
        arguments = [
            f"--models={self._ollama.models}" if each.startswith("--models=") else each
            for each in container["args"]
        ]
        done = subprocess.run(
            [programs.binary("agent-tools"), *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self._lines = done.stdout.splitlines()
        self._ending = "Failed" if done.returncode else "Complete"
        last = json.loads(self._lines[-1])
        self._message = f"{last.get('message', '')}\n{last.get('next', '')}"

    def follow_log(self, *arguments: str) -> Iterator[str]:
        yield from self._lines
        for _ in super().follow_log(*arguments):
            pass


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    builder.ensure_built(names=["weights-store", "agent-tools"])
    found = Store(tmp_path_factory.mktemp("home"))
    found.start()
    weights_store.ensure_bucket(found.bucket.location)
    yield found
    found.stop()


@pytest.fixture
def ollama(tmp_path: Path) -> Iterator[Ollama]:
    models = tmp_path / "models"
    (models / "blobs").mkdir(parents=True)
    found = Ollama(models)
    yield found
    found.shutdown()
    found.server_close()


@pytest.fixture
def adds(
    store: Store, ollama: Ollama, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Added]]:
    """Runs `weights add` of a small GGUF."""
    monkeypatch.setenv("MOLTGHOST_STATE", str(tmp_path / "state"))
    monkeypatch.setattr(
        EmbeddedEnvironment, "_location", lambda _environment: store.bucket.location
    )
    monkeypatch.setattr(running, "_POLL_SECONDS", 0.0)
    file = write_gguf(tmp_path / "model.gguf", hidden=1)
    folder = tmp_path / "project"
    folder.mkdir()
    here = project(folder)

    def run(report: Any = silent, **request: Any) -> Added:
        asked = {"model": "gemma3-270m-q4", "from_": str(file), "unchecked": True, **request}
        return add(environment(here, ProcessCluster(store, ollama)), Request(**asked), report)

    yield run
    store.bucket.delete(list(store.bucket.sizes("")))


def test_a_store_is_built_verified_and_copied_by_a_pod_without_credentials(
    adds: Callable[..., Added], store: Store, ollama: Ollama, tmp_path: Path
) -> None:
    events: list[Event] = []
    added = adds(events.append)
    assert added.built
    assert added.store.record is not None
    assert added.store.record.source == "file:model.gguf"
    assert added.store.record.ollama_version == "0.17.4"
    assert [event.task for event in events if event.state == "done"][2:] == [
        "select",
        "download",
        "quantize",
        "publish",
    ]
    assert verify_store(store.bucket, added.store) == []
    [asked] = ollama.asked
    assert asked["model"] == "moltghost/agent:current"
    assert "Question:" in asked["template"], "the file has no template of its own"

    copied = tmp_path / "copied"
    copied.mkdir()
    done = subprocess.run(
        [
            programs.binary("agent-tools"),
            "weights",
            f"--from=s3://{store.bucket.name}/{PREFIX.rstrip('/')}",
            f"--to={copied}",
        ],
        env={"AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{store.port}", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for each in added.store.record.files:
        assert sha256((copied / each.path).read_bytes()).hexdigest() == each.sha256


def test_a_second_add_changes_nothing(adds: Callable[..., Added], ollama: Ollama) -> None:
    adds()
    assert adds().built is False
    assert len(ollama.asked) == 1


def test_a_refusal_of_the_build_is_told_with_its_next_step_and_leaves_no_store(
    adds: Callable[..., Added], store: Store, ollama: Ollama
) -> None:
    ollama.version = "0.33.3"
    with pytest.raises(Failed, match=r"failed: the Ollama beside is 0\.33\.3") as failed:
        adds()
    assert "planning/images.json" in failed.value.hint
    assert read_store(store.bucket, PREFIX).state is StoreState.ABSENT
    ollama.version = "0.17.4"
    assert adds().built


def test_a_store_that_rotted_is_found_replaced_and_good_again(
    adds: Callable[..., Added], store: Store
) -> None:
    record = adds().store.record
    assert record is not None
    largest = max(record.files, key=lambda file: file.size)
    with (store.objects / PREFIX / largest.path).open("r+b") as file:
        file.seek(largest.size // 2)
        file.write(b"rot")
    [finding] = verify_store(store.bucket, read_store(store.bucket, PREFIX))
    assert finding.key == PREFIX + largest.path
    replaced = adds(replace=True).store
    assert verify_store(store.bucket, replaced) == []
