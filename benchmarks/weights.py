"""Copying and verifying a model store, beside what one core can hash and the disk can do.

Run: python -m benchmarks.weights. It builds agent-tools and the weights store if need be, and
works in a temporary folder that it removes. The store answers on loopback and shares the cores, so
the copy is of a machine with nothing else to do only where there are cores to spare.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import boto3

from benchmarks.timing import machine, seconds, table
from moltghost.local.build import builder, programs
from moltghost.units import GIB, MIB

_WEIGHTS_BYTES = GIB
_BUCKET, _STORE = "weights", "stores/bench"
_MANIFEST = "manifests/registry.ollama.ai/moltghost/agent/current"
_ACCESS, _SECRET = "bench", "bench-secret"


def write_store(folder: Path) -> dict[str, Path]:
    """A store of random weights; returns its files by their path in it."""
    weights = folder / "weights"
    digest = hashlib.sha256()
    with weights.open("wb") as file:
        for _ in range(_WEIGHTS_BYTES // MIB):
            piece = os.urandom(MIB)
            digest.update(piece)
            file.write(piece)
    blob = digest.hexdigest()
    config = folder / "config"
    config.write_text("{}")
    config_sum = hashlib.sha256(b"{}").hexdigest()
    manifest = folder / "manifest"
    manifest.write_text(
        json.dumps(
            {
                "config": {"digest": f"sha256:{config_sum}", "size": 2},
                "layers": [{"digest": f"sha256:{blob}", "size": _WEIGHTS_BYTES}],
            }
        )
    )
    manifest_sum = hashlib.sha256(manifest.read_bytes()).hexdigest()
    files = {
        f"blobs/sha256-{blob}": (weights, blob),
        f"blobs/sha256-{config_sum}": (config, config_sum),
        _MANIFEST: (manifest, manifest_sum),
    }
    index = folder / "store.json"
    index.write_text(
        json.dumps(
            {
                "version": 1,
                "manifest": {"path": _MANIFEST, "digest": f"sha256:{manifest_sum}"},
                "files": [
                    {"path": path, "size": file.stat().st_size, "sha256": digest}
                    for path, (file, digest) in files.items()
                ],
            }
        )
    )
    return {**{path: file for path, (file, _) in files.items()}, "store.json": index}


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The weights store on an empty directory; yields its URL."""
    data, key = folder / "s3", folder / "key.json"
    data.mkdir()
    key.write_text(json.dumps({"access_key": _ACCESS, "secret_key": _SECRET}))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        address = "{}:{}".format(*listener.getsockname())
    options = (f"--directory={data}", f"--key-file={key}", f"--listen={address}")
    process = subprocess.Popen(
        [
            programs.binary("weights-store"),
            *options,
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        host, port = address.split(":")
        for _ in range(100):
            with socket.socket() as client:
                if client.connect_ex((host, int(port))) == 0:
                    break
            time.sleep(0.1)
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait()


def upload(url: str, files: dict[str, Path]) -> None:
    """Put a store's files into the bucket."""
    s3 = boto3.client(
        "s3",
        endpoint_url=url,
        aws_access_key_id=_ACCESS,
        aws_secret_access_key=_SECRET,
        region_name="us-east-1",
    )
    s3.create_bucket(Bucket=_BUCKET)
    for path, file in files.items():
        s3.upload_file(str(file), _BUCKET, f"{_STORE}/{path}")


@dataclass(frozen=True)
class Pass:
    """One pass over the weights: the best of several."""

    seconds: float
    cpu_seconds: float

    def __str__(self) -> str:
        return (
            f"{_WEIGHTS_BYTES / self.seconds / 1e9:.2f} GB/s, "
            f"{_WEIGHTS_BYTES / self.cpu_seconds / 1e9:.2f} GB per CPU second"
        )


def timed(work: Callable[[], object], repeats: int = 3) -> Pass:
    """Wall-clock and CPU time of child processes; the latter hardly depends on other load."""
    passes = []
    for _ in range(repeats):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        took = seconds(work, 1)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        passes.append((took, cpu))
    return Pass(min(took for took, _ in passes), min(cpu for _, cpu in passes))


def measure(folder: Path, url: str, weights: Path) -> list[tuple[str, str]]:
    """Rates of the copy, of its parts and of what bounds it."""
    target = folder / "models"
    environment = {
        "AWS_ENDPOINT_URL_S3": url,
        "AWS_ACCESS_KEY_ID": _ACCESS,
        "AWS_SECRET_ACCESS_KEY": _SECRET,
    }

    def copy() -> None:
        subprocess.run(
            [
                programs.binary("agent-tools"),
                *("weights", "--from", f"s3://{_BUCKET}/{_STORE}", "--to", target),
            ],
            env=environment,
            check=True,
            stdout=subprocess.DEVNULL,
        )

    def copy_anew() -> None:
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        copy()

    def write() -> None:
        output = f"of={folder / 'written'}"
        command = ["dd", f"if={weights}", output, "bs=8M", "conv=fsync", "status=none"]
        subprocess.run(command, check=True)
        (folder / "written").unlink()

    hashing = ["openssl", "dgst", "-sha256", weights]
    hashed = timed(lambda: subprocess.run(hashing, check=True, stdout=subprocess.DEVNULL))
    written = timed(write)
    copied = timed(copy_anew)
    verified = timed(copy)
    bound = max(hashed.seconds, written.seconds)
    return [
        ("`openssl dgst -sha256`, one core, from memory", str(hashed)),
        ("`dd` from memory to the disk, synced", str(written)),
        ("`agent-tools weights`, copied, verified and synced", str(copied)),
        ("`agent-tools weights`, everything there: verified only", str(verified)),
        ("copy: share of the slower of `dd` and `openssl`", share(bound, copied.seconds)),
        ("verification: share of `openssl`", share(hashed.seconds, verified.seconds)),
        ("verification: share of `openssl`, CPU", share(hashed.cpu_seconds, verified.cpu_seconds)),
    ]


def share(bound: float, took: float) -> str:
    """How close a pass came to what bounds it."""
    return f"{100 * bound / took:.0f} %"


def main() -> None:
    """Measure and print a table."""
    builder.ensure_built(names=("agent-tools", "weights-store"))
    with tempfile.TemporaryDirectory(prefix="moltghost-bench-", dir="/var/tmp") as name:
        folder = Path(name)
        files = write_store(folder)
        with serving(folder) as url:
            upload(url, files)
            rows = measure(folder, url, folder / "weights")
    print(machine())
    print(f"a store of {_WEIGHTS_BYTES / GIB:.0f} GiB")
    print(table(rows))


if __name__ == "__main__":
    main()
