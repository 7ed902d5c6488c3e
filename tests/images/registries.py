"""Registries in memory, in crane's place."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from moltghost.images.archive import Archive
from moltghost.images.crane import Crane, NoSuchImage
from moltghost.progress import Report, silent

DESTINATION = "111122223333.dkr.ecr.us-east-1.amazonaws.com/moltghost-prod"
# What an environment runs, by repository: source and tag.
UPSTREAM = {
    "ollama": "docker.io/ollama/ollama:0.33.3",
    "openclaw": "ghcr.io/openclaw/openclaw:2026.9.6",
    "k8s-device-plugin": "nvcr.io/nvidia/k8s-device-plugin:v0.20.0",
    "dcgm-exporter": "nvcr.io/nvidia/k8s/dcgm-exporter:4.4.1-4.6.0-ubuntu22.04",
}
OURS = {"gate": "2.11.9", "agent-tools": "0.1.0"}


class Registries(Crane):
    """What every registry has, by reference; upstream's images are there from the start."""

    def __init__(self) -> None:
        super().__init__(Path("/nonexistent"))
        self.images = {source: f'{{"{name}": 1}}'.encode() for name, source in UPSTREAM.items()}
        self.changes: list[tuple[str, str, str]] = []
        self.asked: list[str] = []
        self.breaks_at = ""

    @contextmanager
    def connect(self, _plan: Any) -> Iterator[Crane]:
        yield self

    def put(self, name: str, content: bytes) -> None:
        """Put an image into the environment's registry."""
        tag = UPSTREAM[name].rpartition(":")[2] if name in UPSTREAM else OURS[name]
        self.images[f"{DESTINATION}/{name}:{tag}"] = content

    def manifest(self, reference: str) -> bytes:
        self.asked.append(reference)
        if reference not in self.images:
            raise NoSuchImage(f"MANIFEST_UNKNOWN: {reference}", NoSuchImage.next_step)
        return self.images[reference]

    def copy(self, source: str, target: str, report: Report = silent) -> None:
        repository, _, digest = source.partition("@")
        found = [
            content
            for reference, content in self.images.items()
            if reference.rpartition(":")[0] == repository and digest_of(content) == digest
        ]
        self._change("copy", source, target, found[0])

    def push(self, archive: Archive, target: str, report: Report = silent) -> None:
        self._change("push", archive.digest, target, archive.manifest_bytes())

    def _change(self, verb: str, source: str, target: str, content: bytes) -> None:
        if self.breaks_at and self.breaks_at in target:
            raise KeyboardInterrupt("stop")
        self.changes.append((verb, source, target))
        self.images[target] = content


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
