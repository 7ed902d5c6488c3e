"""How fast sizing is: plans per second, the inverse questions, a GGUF header, the command itself.

Run: python -m benchmarks.sizing. Everything is measured in one run of this process, the best of
several repeats, so the ratios mean more than the numbers. The CPU time of the command is that of a
process of its own, with Python's start-up; the `gguf` library is the reference for the header.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from decimal import Decimal
from pathlib import Path

import gguf

from benchmarks.timing import seconds
from moltghost.models import Model, find_model, models
from moltghost.models.gguf import read_gguf
from moltghost.models.gguf_model import model_of
from moltghost.sizing import SizingRequest, models_within, parse_gpus, size, what_fits
from moltghost.sizing.compute import buffers
from moltghost.sizing.footprint import Load
from tests.sizing.sparse_gguf import write_sparse

REPEATS = 5
CONTEXTS = tuple(range(1024, 32769, 1024))
COMMAND = "from moltghost.cli.main import main; main()"


def plan_each(*, anew: bool) -> None:
    """Plan one model at many contexts, with compute buffers replayed anew or remembered."""
    if anew:
        buffers.cache_clear()
    for context in CONTEXTS:
        size(SizingRequest("llama3.1-70b-q4_K_M", context=context))


def plan_all() -> None:
    """Plan every model of the catalogue once."""
    for model in models():
        size(SizingRequest(model.id, context=min(32768, model.max_context)))


def invert(model: Model) -> None:
    """The largest contexts and most slots of each quantization, nothing remembered."""
    buffers.cache_clear()
    what_fits(model, parse_gpus("4xl40s"), Load(32768))


def affordable() -> None:
    """The best of every model for $7 an hour, nothing remembered."""
    buffers.cache_clear()
    models_within(Decimal(7), SizingRequest("", context=32768))


def command_cpu_seconds(*arguments: str) -> float:
    """User and system time of one run of the command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-c", COMMAND, *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def headers(folder: Path) -> dict[str, float]:
    """Reading a 70B file's header, with a vocabulary, with ours and with the library's reader."""
    path = folder / "model.gguf"
    write_sparse(path, find_model("llama3.1-70b-q4"), vocabulary=True)
    return {
        "GGUF header of a 70B, our reader, ms": seconds(lambda: model_of(read_gguf(path))) * 1000,
        "the same, gguf library, ms": seconds(lambda: gguf.GGUFReader(path), 1) * 1000,
    }


def measure() -> dict[str, float]:
    """Name with unit -> number."""
    llama = find_model("llama3.1-70b").model
    found = {
        "plans per second, every context new": len(CONTEXTS)
        / seconds(lambda: plan_each(anew=True)),
        "plans per second, buffers remembered": len(CONTEXTS)
        / seconds(lambda: plan_each(anew=False)),
        "the whole catalogue, ms": seconds(plan_all) * 1000,
        "what 4 x l40s hold of a 70B, ms": seconds(lambda: invert(llama)) * 1000,
        "models within $7/h, ms": seconds(affordable) * 1000,
    }
    with tempfile.TemporaryDirectory() as folder:
        found |= headers(Path(folder))
    arguments = ("size", "llama3.1-70b-q4", "--context", "32k")
    found["moltghost size, CPU ms"] = (
        min(command_cpu_seconds(*arguments) for _ in range(REPEATS)) * 1000
    )
    return found


def main() -> None:
    """Measure and print."""
    for name, number in measure().items():
        print(f"{name:<40} {number:>10.1f}")


if __name__ == "__main__":
    main()
