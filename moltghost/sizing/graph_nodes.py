"""The graph that llama.cpp reserves memory for, as a list of nodes in the order of execution."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from moltghost.models.shape import Shape
from moltghost.sizing.allocator import Tensor, peak_bytes

F32, F16, I32, I64 = 4, 2, 4, 8
# GGML_SCHED_MAX_COPIES: with several GPUs the scheduler keeps this many copies of each input of a
# GPU, so that batches can follow one another (ggml/src/ggml-backend.cpp).
PIPELINE_COPIES = 4
_CUDA_ALIGNMENT, _HOST_ALIGNMENT = 128, 32
_ROTATION = 64  # a quantized cache is rotated by Hadamard matrices of this size and multiples


class Device(Enum):
    """What runs the graph.

    Attributes:
        HOST: the CPU alone: every input lies in the buffer from the start.
        GPU: one GPU; inputs come from the host at the start.
        PIPELINE: one of several GPUs.
    """

    HOST = "host"
    GPU = "gpu"
    PIPELINE = "pipeline"


@dataclass(frozen=True, slots=True)
class Batch:
    """The worst case that is reserved.

    Attributes:
        tokens: of one ubatch, over all slots.
        outputs: rows of logits: one per slot.
        cells: KV cells that one slot's attention spans.
        window_cells: the same in layers with a sliding window.
        streams: slots, each with cells of its own.
        quantized: the cache is not f16: keys and values are rotated on their way in.
    """

    tokens: int
    outputs: int
    cells: int
    window_cells: int
    streams: int
    quantized: bool


@dataclass(frozen=True, slots=True)
class Span:
    """What attention over so many cells needs: its mask, and rotations of keys and values."""

    cells: int
    mask: Tensor
    keys: Tensor | None = None
    values: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Rows:
    """How many tokens a layer's second half computes, and what their layout is called."""

    layout: str
    count: int


class Nodes:
    """Collects tensors in the order of execution.

    Attributes:
        inputs: tensors that are there before the first node.
        cache: stands for what has a buffer of its own; only what is stored in it shows.
        expanded: nodes up to here are in the engine's graph; what is asked for later but added to
            the graph at once (`ahead`) comes right behind them.
        position: the tokens' positions, once the graph has them as an input.
        scale: a factor for each token's query, where the architecture has one.
        f16_copies: flash attention keeps a layer's quantized K and V as f16 behind its result.
    """

    def __init__(self, shape: Shape, batch: Batch, device: Device, *, f16_copies: bool) -> None:
        self.shape = shape
        self.batch = batch
        self.device = device
        self.f16_copies = f16_copies
        self.inputs: list[Tensor] = []
        self.nodes: list[Tensor] = []
        self.expanded = 0
        self.cache = Tensor(0)
        self.position: Tensor | None = None
        self.scale: Tensor | None = None

    @property
    def tokens(self) -> int:
        """Of one ubatch."""
        return self.batch.tokens

    def peak_bytes(self) -> int:
        """What the allocator reserves for it."""
        alignment = _HOST_ALIGNMENT if self.device is Device.HOST else _CUDA_ALIGNMENT
        return peak_bytes(self.inputs, self.nodes, alignment=alignment)

    def input(self, size_bytes: int, layout: str = "input") -> Tensor:
        """An input of the graph, where the device needs it."""
        if self.device is Device.PIPELINE:
            copies = [Tensor(size_bytes, layout, kept=True) for _ in range(PIPELINE_COPIES)]
            self.inputs += copies
            return copies[0]
        tensor = Tensor(size_bytes, layout)
        (self.inputs if self.device is Device.HOST else self.nodes).append(tensor)
        return tensor

    def new(self, elements: int, layout: str, *sources: Tensor, more_bytes: int = 0) -> Tensor:
        """The result of an operation, as F32."""
        tensor = Tensor(elements * F32 + more_bytes, layout, sources)
        self.nodes.append(tensor)
        return tensor

    def in_place(self, *sources: Tensor, layout: str = "") -> Tensor:
        """The result of an operation that may overwrite a source.

        It is as large as the first of them that isn't a view.
        """
        first = next(each for each in sources if each.view_of is None)
        tensor = Tensor(first.size_bytes, layout or first.layout, sources, in_place=True)
        self.nodes.append(tensor)
        return tensor

    def view(self, of: Tensor) -> Tensor:
        """Another look at a tensor's memory."""
        tensor = Tensor(0, None, (of,), view_of=of.view_of or of)
        self.nodes.append(tensor)
        return tensor

    def store(self, what: Tensor) -> None:
        """Copy a tensor into the cache."""
        self.nodes.append(Tensor(0, None, (self.view(what),), view_of=self.cache))

    def expand(self) -> None:
        """Everything so far is added to the graph (`ggml_build_forward_expand`)."""
        self.expanded = len(self.nodes)

    def ahead(self, elements: int, layout: str) -> Tensor:
        """Rows of the cache, added to the graph before anything that only waits to be used."""
        found = Tensor(elements * F32, layout, (self.cache,))
        waiting = Tensor(0, "waiting", (self.cache,))  # of sequences that wait nothing is copied
        stored = Tensor(0, None, (waiting,), view_of=self.cache)
        self.nodes[self.expanded : self.expanded] = [found, waiting, stored]
        self.expanded += 3
        return found

    def norm(self, source: Tensor) -> Tensor:
        """A norm and its weights."""
        return self.in_place(self.in_place(source))

    def norm_of_view(self, source: Tensor, elements: int, layout: str) -> Tensor:
        """The same of a view, which is never overwritten."""
        return self.in_place(self.new(elements, layout, source))

    def span(self, cells: int, head_dim: int) -> Span:
        """Inputs of attention over so many cells."""
        tokens = self.tokens
        for _ in range(1 if self.shape.mla else 2):  # where keys and values are stored
            self.input(tokens * I64)
        mask = self.input(cells * tokens * F16)
        if not self.batch.quantized or head_dim % _ROTATION or self.shape.mla:
            return Span(cells, mask)
        side = _ROTATION
        while head_dim % (2 * side) == 0:
            side *= 2
        keys = self.input(side * side * F32)
        return Span(cells, mask, keys, self.input(_ROTATION * _ROTATION * F32))

    def rotate(self, source: Tensor, elements: int, rotation: Tensor | None) -> Tensor:
        """Keys, values or queries as a quantized cache wants them."""
        if rotation is None:
            return source
        flat = self.view(source)
        return self.view(self.new(elements, "rotated", rotation, flat))
