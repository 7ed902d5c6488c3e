"""A cluster that has Jobs and one way for each to go, and GGUF files as small as can be."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, cast

from moltghost.kube.client import Client
from moltghost.kube.errors import api_error
from moltghost.kube.pod_diagnosis import LiveObject
from moltghost.models import find_model
from moltghost.planning.weights import Source, WeightsJobPlan, plan_weights_job
from tests.examples import LOCAL
from tests.kube.clusters import node

SHA256 = "ab" * 32
LINES = (
    '{"stage":"select","message":"gemma3-270m Q4_K_M"}',
    '{"stage":"download","done":50,"total":100,"rate":25,"eta":2}',
    "what isn't JSON is passed over",
    '{"stage":"quantize","message":"writing manifest"}',
    '{"stage":"publish","done":100,"total":100,"rate":50}',
)


def plan(sha256: str = SHA256) -> WeightsJobPlan:
    source = Source(
        url=f"s3://moltghost-weights-local/sources/{sha256}.gguf",
        sha256=sha256,
        size_bytes=100,
        name="file:x.gguf",
        licence="gemma",
    )
    return plan_weights_job(LOCAL, find_model("gemma3-270m-q4"), source, quantize=False)


class JobCluster:
    """What of `Client` a weights job needs.

    Args:
        ending: condition that a job gets once its log was read; empty: it goes on.
        message: termination message of the build.
        waiting: state of the build container until it starts, one for each look.
        on_run: called when a job begins to run, as the build does its work.
    """

    def __init__(
        self,
        *,
        ending: str = "Complete",
        message: str = "",
        waiting: list[dict[str, Any]] | None = None,
        on_run: Callable[[], None] = lambda: None,
        namespace: bool = True,
        machine: bool = True,
    ) -> None:
        self.jobs: dict[str, dict[str, Any]] = {}
        self.secrets: dict[str, dict[str, Any]] = {}
        self.log_reads = 0
        self.pod_uid = "first"
        self.created = 0
        self._ending, self._message = ending, message
        self._waiting = list(waiting or [])
        self._on_run = on_run
        self._namespace, self._machine = namespace, machine

    def get(
        self, _api: str, kind: str, name: str, _namespace: str | None = None
    ) -> dict[str, Any] | None:
        found = self.jobs.get(name)
        return deepcopy(found) if found else None

    def create(self, obj: LiveObject, *, manager: str) -> dict[str, Any]:
        assert manager
        if not self._namespace:
            raise api_error(404, "NotFound", "namespaces moltghost-weights not found")
        name = obj["metadata"]["name"]
        if name in self.jobs:
            raise api_error(409, "AlreadyExists", f"jobs {name} already exists")
        self.created += 1
        job = deepcopy(cast("dict[str, Any]", obj))
        job["metadata"]["uid"] = f"uid-{self.created}"
        job["status"] = {}
        self.jobs[name] = job
        return deepcopy(job)

    def apply(self, obj: LiveObject, *, manager: str) -> None:
        assert manager
        self.secrets[obj["metadata"]["name"]] = dict(obj)

    def patch(
        self, _api: str, kind: str, name: str, _namespace: str, body: Any, *, manager: str
    ) -> None:
        assert (kind, manager) == ("Job", "moltghost")
        if body["metadata"]["uid"] != self.jobs[name]["metadata"]["uid"]:
            raise api_error(422, "Invalid", "metadata.uid: field is immutable")
        self.jobs[name]["spec"].update(body["spec"])
        self._on_run()

    def delete(
        self, _api: str, kind: str, name: str, _namespace: str, *, propagation: str, uid: str
    ) -> bool:
        assert (kind, propagation) == ("Job", "Foreground")
        assert self.jobs[name]["metadata"]["uid"] == uid
        del self.jobs[name]
        return True

    def list(self, _api: str, kind: str, *_: str, **__: Any) -> list[dict[str, Any]]:
        if kind == "Node":
            return [node("machine", "machine", simulated=False)] if self._machine else []
        if kind == "Job":
            return list(deepcopy(self.jobs).values())
        if kind != "Pod":
            return []
        return [self._pod(job) for job in self.jobs.values() if not job["spec"]["suspend"]]

    def follow_log(self, _pod: str, _namespace: str, container: str) -> Iterator[str]:
        assert container == "build"
        self.log_reads += 1
        yield from LINES
        for job in self.jobs.values():
            if self._ending:
                job["status"]["conditions"] = [
                    {"type": self._ending, "status": "True", "message": "BackoffLimitExceeded"}
                ]

    def _pod(self, job: Mapping[str, Any]) -> dict[str, Any]:
        state: dict[str, Any] = {"running": {}}
        if job["status"].get("conditions"):
            state = {"terminated": {"exitCode": 1, "message": self._message}}
        elif self._waiting:
            state = {"waiting": self._waiting.pop(0)}
        return {
            "metadata": {
                "name": "build-x",
                "namespace": "moltghost-weights",
                "uid": self.pod_uid,
                "creationTimestamp": "2026-11-25T13:00:00Z",
            },
            "spec": {"initContainers": [{"name": "ollama"}], "containers": [{"name": "build"}]},
            "status": {
                "conditions": [{"type": "PodScheduled", "status": "True"}],
                "containerStatuses": [{"name": "build", "ready": False, "state": state}],
            },
        }


def client(cluster: JobCluster) -> Client:
    return cast("Client", cluster)


def _text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def write_gguf(
    path: Path,
    *,
    architecture: str = "gemma3",
    file_type: int = 15,
    rows: int = 262_144,
    hidden: int = 640,
    layers: int = 18,
) -> Path:
    """A GGUF with the parameters of Gemma 3 270M and nothing but holes for weights.

    Args:
        path: where to.
        architecture: as the header says it.
        file_type: llama.cpp's number; 15 is Q4_K_M, 1 is F16.
        rows: of the token embedding.
        hidden: columns of it.
        layers: each gets the same share of what is left.
    """
    per_layer = (268_098_176 - 262_144 * 640) // (18 * 640)
    tensors = [("token_embd.weight", hidden, rows)]
    tensors += [(f"blk.{n}.attn_q.weight", hidden, per_layer) for n in range(layers)]
    values: list[tuple[str, int | str]] = [
        ("general.architecture", architecture),
        ("general.file_type", file_type),
        (f"{architecture}.block_count", layers),
        (f"{architecture}.context_length", 32_768),
        (f"{architecture}.embedding_length", hidden),
        (f"{architecture}.feed_forward_length", 2048),
        (f"{architecture}.attention.head_count", 4),
        (f"{architecture}.attention.head_count_kv", 1),
    ]
    header = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(values))
    for key, value in values:
        header += _text(key)
        header += (
            struct.pack("<I", 8) + _text(value)
            if isinstance(value, str)
            else struct.pack("<II", 4, value)
        )
    offset = 0
    for name, columns, count in tensors:
        header += _text(name) + struct.pack("<IQQIQ", 2, columns, count, 1, offset)
        offset += 2 * columns * count  # F16
    with path.open("wb") as stream:
        stream.write(header)
        stream.truncate(len(header) + 64 + offset)
    return path
