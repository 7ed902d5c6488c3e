"""What is asked: the model, how it is served, and where it may run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from moltghost.errors import Refused
from moltghost.models.catalogue import kv_bytes_per_element
from moltghost.models.hardware import gpu_kind, instance_types
from moltghost.models.names import ModelChoice, find_model
from moltghost.sizing.footprint import Load
from moltghost.sizing.kv_cache import UNQUANTIZED
from moltghost.units import format_context

DEFAULT_CONTEXT = 32768
# What an agent's config takes. llama.cpp itself ends at 256 (LLAMA_MAX_SEQ of llama-cparams.h).
MOST_SLOTS = 64
# llama.cpp is built for no more devices (GGML_CUDA_MAX_DEVICES of ggml-cuda.h).
MOST_GPUS = 16
# The pools of an environment that follows the product text, cheapest card first.
DEFAULT_GPU_KINDS = ("l40s", "a100-40", "a100-80", "h100")
# What `--gpu` says for a model on the CPU, and the pool and type of the node that takes it: the
# embedded cluster's own, which is this machine.
NO_GPU = "none"
MACHINE = "machine"
# `a100` is not a card but a wish: the smaller one that fits.
GPU_WISHES = {"a100": ("a100-40", "a100-80")}


@dataclass(frozen=True, slots=True)
class Pool:
    """A class of nodes that an environment has.

    Attributes:
        name: the pool's name.
        gpu: its GPU kind; None for the machine's own node, which runs models on the CPU.
        instance_types: EC2 types it may start.
    """

    name: str
    gpu: str | None
    instance_types: tuple[str, ...]


def default_pools(gpu_kinds: Sequence[str] = DEFAULT_GPU_KINDS) -> tuple[Pool, ...]:
    """One pool per GPU kind, named after it, with every type of the catalogue that carries it."""
    return tuple(
        Pool(kind, kind, tuple(t.type for t in instance_types().values() if t.gpu == kind))
        for kind in (gpu_kind(k).kind for k in gpu_kinds)
    )


def machine_pool() -> Pool:
    """The machine's own node, which runs models without a GPU."""
    return Pool(MACHINE, None, (MACHINE,))


@dataclass(frozen=True, slots=True)
class SizingRequest:
    """A question to `size`.

    Attributes:
        model: name as users type it, `llama3.1-70b-q4`.
        context: tokens per slot.
        parallel: slots served at once.
        kv_cache: `f16`, `q8_0` or `q4_0`.
        gpu: only this GPU kind (`a100`: the smaller that fits); replaces the memory floor.
            `none`: no GPU at all, the model runs on the CPU of the machine's own node.
        memory_gb: at least this much nominal GPU memory in total (2 x 80 = 160); replaces the
            floor, never the arithmetic.
        dedicated: the agent gets, and pays, a node of its own.
        min_context: the shortest context that who asks can use; no remedy goes below it.
    """

    model: str
    context: int = DEFAULT_CONTEXT
    parallel: int = 1
    kv_cache: str = "f16"
    gpu: str | None = None
    memory_gb: int | None = None
    dedicated: bool = True
    min_context: int = 1

    @property
    def load(self) -> Load:
        """What of it decides memory."""
        return Load(self.context, self.parallel, self.kv_cache)

    @property
    def on_cpu(self) -> bool:
        """No GPU is wanted."""
        return self.gpu is not None and self.gpu.lower() == NO_GPU

    @property
    def gpu_kinds(self) -> tuple[str, ...]:
        """GPU kinds asked for, in order of preference; empty = any."""
        if self.gpu is None or self.on_cpu:
            return ()
        try:
            return GPU_WISHES.get(self.gpu.lower()) or (gpu_kind(self.gpu).kind,)
        except Refused as unknown:
            more = ", or a100 for the smaller A100 that fits"
            raise Refused(unknown.message, unknown.hint + more) from None


def check(request: SizingRequest, choice: ModelChoice | None = None) -> ModelChoice:
    """The model that a request names, after checking the rest of it.

    Args:
        request: the question.
        choice: its model, where the catalogue isn't to be asked.

    Raises:
        Refused: unknown model or GPU, or a context, slot count, cache type or memory out of range.
    """
    choice = choice or find_model(request.model)
    model = choice.model
    if not 1 <= request.context <= model.max_context:
        raise Refused(
            f"{model.id} has a context of at most {model.max_context} tokens, "
            f"{request.context} were asked for",
            f"ask for --context {format_context(model.max_context)} or less",
        )
    if not 1 <= request.parallel <= MOST_SLOTS:
        raise Refused(
            f"a model server has 1 to {MOST_SLOTS} slots, {request.parallel} were asked for",
            f"ask for --parallel {MOST_SLOTS} or less; more requests wait for a slot",
        )
    if model.one_slot and request.parallel > 1:
        raise Refused(
            f"Ollama serves {model.id} one request at a time: it forces one slot on every "
            f"{model.shape.architecture} model, {request.parallel} were asked for",
            "ask for --parallel 1, further requests wait; `moltghost models` shows which models "
            "take several",
        )
    if request.kv_cache not in kv_bytes_per_element():
        raise Refused(
            f"there is no KV cache type {request.kv_cache!r}",
            f"choose one of {', '.join(kv_bytes_per_element())}",
        )
    if request.kv_cache != UNQUANTIZED and not model.takes_quantized_kv(request.parallel):
        raise Refused(
            f"llama.cpp b10488 can't serve {model.id} with a {request.kv_cache} KV cache and "
            f"{request.parallel} slots: its graph has too few nodes, so it aborts",
            f"ask for --parallel {model.slots_with_quantized_kv}, or for --kv-cache {UNQUANTIZED}",
        )
    if request.memory_gb is not None and request.memory_gb < 1:
        raise Refused(
            f"{request.memory_gb} GB isn't an amount of GPU memory", "write it like --memory 160gb"
        )
    _ = request.gpu_kinds  # an unknown kind is refused here
    return choice
