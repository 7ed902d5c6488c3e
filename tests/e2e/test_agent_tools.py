"""agent-tools with a real S3 server and a real Ollama, as processes of this machine.

The model is tiny and random; the path is a real one's: build, publish, copy, load, prove.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from botocore.config import Config

from moltghost.local.build import builder, programs
from tests.e2e.tiny_model import TRAINED_CONTEXT, write_tiny
from tests.e2e.tools_machine import (
    ACCESS,
    BUCKET,
    SECRET,
    STORE,
    Loader,
    Machine,
    Run,
    free_port,
    wait_for,
)

pytestmark = pytest.mark.e2e

PROGRAMS = ("agent-tools", "ollama", "weights-store")


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A weights store with the model's source in it, and an Ollama that builds."""
    builder.ensure_built(names=PROGRAMS)
    folder = tmp_path_factory.mktemp("agent-tools")
    ports = {name: free_port() for name in ("weights-store", "ollama", "loader")}
    machine = Machine(folder, {}, ports)
    key, data = folder / "key.json", folder / "s3"
    key.write_text(json.dumps({"access_key": ACCESS, "secret_key": SECRET}))
    key.chmod(0o600)
    data.mkdir()
    listen = machine.store.removeprefix("http://")
    machine.start("weights-store", f"--directory={data}", f"--key-file={key}", f"--listen={listen}")
    try:
        _fill(machine)
        machine.start_ollama(folder / "building")
        yield machine
    finally:
        for name in tuple(machine.processes):
            machine.stop(name, signal.SIGKILL)


def _fill(machine: Machine) -> None:
    s3 = boto3.client(
        "s3",
        endpoint_url=machine.store,
        aws_access_key_id=ACCESS,
        aws_secret_access_key=SECRET,
        region_name="us-east-1",
        config=Config(retries={"max_attempts": 10}),
    )
    wait_for(lambda: socket.create_connection(("127.0.0.1", machine.ports["weights-store"]), 1))
    s3.create_bucket(Bucket=BUCKET)
    statement = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": ["s3:GetObject"],
        "Resource": [f"arn:aws:s3:::{BUCKET}/stores/*"],
    }
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(policy))
    source = machine.folder / "tiny.gguf"
    write_tiny(source)
    s3.upload_file(str(source), BUCKET, f"sources/{_sha256(source)}.gguf")


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def build(machine: Machine, **changed: str) -> Run:
    """What the weights job does."""
    source = _sha256(machine.folder / "tiny.gguf")
    options = {
        "source": f"s3://{BUCKET}/sources/{source}.gguf",
        "sha256": source,
        "source-name": "random",
        "licence": "none",
        "to": f"s3://{BUCKET}/{STORE}",
        "models": str(machine.folder / "building"),
        "model": "tiny",
        "quantization": "Q4_K_M",
        "quantize": "q4_K_M",
        "ollama-version": programs.program("ollama").version.removeprefix("v"),
        **changed,
    }
    return machine.tools(
        "build",
        *(f"--{name}={value}" for name, value in options.items() if value),
        environment={
            "AWS_ACCESS_KEY_ID": ACCESS,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "BUILD_OLLAMA": machine.ollama,
            "BUILD_OPTIONS": json.dumps({"template": "{{ .System }} {{ .Prompt }}"}),
        },
    )


@pytest.fixture(scope="module")
def built(machine: Machine) -> Run:
    """The model's store, built once."""
    run = build(machine)
    assert run.code == 0, run.text
    return run


def weights_blob(machine: Machine) -> Path:
    """The one large file of the store in the bucket."""
    blobs = (machine.bucket_folder / STORE / "blobs").iterdir()
    [large] = [path for path in blobs if path.stat().st_size > 100_000]
    return large


def test_a_source_is_quantized_and_published(machine: Machine, built: Run) -> None:
    assert built.stages == {"select", "download", "quantize", "publish"}
    index = json.loads((machine.bucket_folder / STORE / "store.json").read_text())
    assert (index["version"], index["model"], index["quantization"]) == (1, "tiny", "Q4_K_M")
    files = {file["path"]: file for file in index["files"]}
    for path, file in files.items():
        stored = machine.bucket_folder / STORE / path
        assert (stored.stat().st_size, _sha256(stored)) == (file["size"], file["sha256"])
    # Weights, template, parameters or the like, config; and the manifest.
    assert len(files) >= 4
    source_bytes = (machine.folder / "tiny.gguf").stat().st_size
    assert max(file["size"] for file in files.values()) < 0.6 * source_bytes


def test_a_store_that_is_there_is_not_built_again(machine: Machine, built: Run) -> None:
    before = (machine.bucket_folder / STORE / "store.json").stat().st_mtime_ns
    again = build(machine)
    assert again.code == 0
    assert "is there already" in again.lines[-1]["message"]
    assert (machine.bucket_folder / STORE / "store.json").stat().st_mtime_ns == before


def test_what_is_quantized_already_is_not_quantized_again(machine: Machine, built: Run) -> None:
    blob = weights_blob(machine)
    run = build(
        machine,
        source=f"s3://{BUCKET}/{STORE}/blobs/{blob.name}",
        sha256=blob.name.removeprefix("sha256-"),
        to=f"s3://{BUCKET}/{STORE}-again",
    )
    assert run.code == 1
    assert "only F16, BF16 and F32 can be quantized" in run.lines[-1]["message"]
    assert "leave --quantize out" in run.lines[-1]["next"]


def test_without_a_store_the_copy_says_what_to_do(machine: Machine, tmp_path: Path) -> None:
    url = f"s3://{BUCKET}/stores/nothing"
    run = machine.tools("weights", "--from", url, "--to", str(tmp_path))
    assert run.code == 1
    assert run.lines[-1]["stage"] == "failed"
    assert "moltghost weights" in run.lines[-1]["next"]


def test_a_store_is_copied_without_credentials(
    machine: Machine, built: Run, tmp_path: Path
) -> None:
    run = machine.copy(tmp_path)
    assert run.code == 0, run.text
    index = json.loads((tmp_path / "store.json").read_text())
    for file in index["files"]:
        assert _sha256(tmp_path / file["path"]) == file["sha256"]
    last = run.lines[-1]
    assert last["stage"] == "copy"
    assert last["done"] == last["total"] == sum(file["size"] for file in index["files"])


def test_a_blob_that_is_corrupt_in_the_store_is_refused_by_name(
    machine: Machine, built: Run, tmp_path: Path
) -> None:
    blob = weights_blob(machine)
    good = blob.read_bytes()
    try:
        with blob.open("r+b") as file:
            file.seek(len(good) // 2)
            file.write(bytes([good[len(good) // 2] ^ 1]))
        run = machine.copy(tmp_path)
    finally:
        with blob.open("r+b") as file:
            file.write(good)
    assert run.code == 1
    assert f"{blob.name} is corrupt" in run.lines[-1]["message"]
    assert not (tmp_path / "store.json").exists()
    assert machine.copy(tmp_path).code == 0


@pytest.fixture
def loader(machine: Machine, built: Run, tmp_path: Path) -> Iterator[Loader]:
    """A loader beside an Ollama with the copied store."""
    models = tmp_path / "models"
    run = machine.copy(models)
    assert run.code == 0, run.text
    machine.stop("ollama")
    machine.start_ollama(models)
    loader = Loader(machine, models)
    loader.start()
    yield loader
    if "agent-tools@loader" in machine.processes:
        machine.stop("agent-tools@loader")
    machine.stop("ollama")
    machine.start_ollama(machine.folder / "building")


def test_a_model_is_proven_with_a_real_ollama(loader: Loader) -> None:
    wait_for(lambda: loader.says("proven"))
    [model] = loader.running()
    index = json.loads((loader.models / "store.json").read_text())
    assert model["digest"] == index["manifest"]["digest"].removeprefix("sha256:")
    assert model["context_length"] == TRAINED_CONTEXT
    assert model["size_vram"] == 0
    metrics = loader.metrics()
    assert metrics["moltghost_loader_proven"] == 1
    assert metrics["moltghost_loader_memory_bytes"] == model["size"] > 0


def test_a_model_that_a_request_took_out_of_memory_is_loaded_again(loader: Loader) -> None:
    wait_for(lambda: loader.says("proven"))
    assert loader.ask(keep_alive=0)["done_reason"] == "unload"
    wait_for(lambda: loader.metrics()["moltghost_loader_reloads_total"] >= 1)
    wait_for(lambda: loader.says("proven"))
    assert loader.says("healthy")


def test_ollama_killed_and_back_is_proven_again(loader: Loader) -> None:
    wait_for(lambda: loader.says("proven"))
    loader.machine.stop("ollama", signal.SIGKILL)
    assert not loader.says("proven")
    wait_for(lambda: not loader.says("healthy"))
    loader.machine.start_ollama(loader.models)
    wait_for(lambda: loader.says("healthy"))
    assert loader.says("proven")


def test_a_loader_that_is_gone_proves_nothing_and_a_new_one_looks_itself(loader: Loader) -> None:
    wait_for(lambda: loader.says("proven"))
    loader.machine.stop("agent-tools@loader", signal.SIGKILL)
    assert not loader.says("proven")
    loader.start()
    wait_for(lambda: loader.says("proven"))
    assert loader.machine.stop("agent-tools@loader") == 0


def test_another_model_than_the_stores_ends_the_loader(loader: Loader) -> None:
    wait_for(lambda: loader.says("proven"))
    loader.machine.stop("agent-tools@loader")
    index = json.loads((loader.models / "store.json").read_text())
    other = "0" * 64
    index["manifest"]["digest"] = f"sha256:{other}"
    for file in index["files"]:
        if file["path"] == index["manifest"]["path"]:
            file["sha256"] = other
    (loader.models / "store.json").write_text(json.dumps(index))
    run = loader.machine.tools("loader", environment=loader.environment())
    assert run.code == 1
    assert "another model is loaded" in run.lines[-1]["message"]


def test_a_gpu_plan_is_not_proven_on_a_cpu(loader: Loader) -> None:
    wait_for(lambda: loader.says("proven"))
    loader.machine.stop("agent-tools@loader")
    run = loader.machine.tools("loader", environment={**loader.environment(), "LOADER_GPUS": "1"})
    assert run.code == 1
    assert "0 of its" in run.lines[-1]["message"]
    assert "more memory than its plan says" in run.lines[-1]["next"]


def test_the_store_away_for_a_while_is_waited_for(
    machine: Machine, built: Run, tmp_path: Path
) -> None:
    away = machine.processes["weights-store"]
    os.killpg(away.pid, signal.SIGSTOP)
    try:
        run = subprocess.Popen(
            [
                programs.binary("agent-tools"),
                *("weights", "--from", f"s3://{BUCKET}/{STORE}", "--to", str(tmp_path)),
            ],
            env={"AWS_ENDPOINT_URL_S3": machine.store},
            stdout=subprocess.PIPE,
            text=True,
        )
        time.sleep(30)
        assert run.poll() is None
    finally:
        os.killpg(away.pid, signal.SIGCONT)
    out, _ = run.communicate(timeout=60)
    assert run.returncode == 0, out
    assert "can't be read for" in out
    assert (tmp_path / "store.json").exists()
