"""How much memory ggml's graph allocator takes for a graph: its own rules, replayed.

llama.cpp reserves one compute buffer per device for the worst graph. Its size is where the
allocator's high-water mark ends up: tensors get the best-fitting free block, are freed after their
last use, and some operations overwrite their input. Source: ggml/src/ggml-alloc.c of llama.cpp
b10488 (`ggml_dyn_tallocr_alloc`, `ggml_gallocr_allocate_node`, `ggml_gallocr_alloc_graph_impl`).
Only sizes are replayed; nothing is allocated.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

_ENDLESS = 1 << 62


class Tensor:
    """A tensor of the graph.

    Args:
        size_bytes: what its buffer needs; ignored for a view.
        layout: equal for tensors of the same type, shape and strides; None is like no other.
        sources: tensors that it is computed from; weights and caches are not part of the graph.
        view_of: the tensor whose memory it shows, None for one with memory of its own.
        in_place: its operation may overwrite a source of the same layout.
        kept: never freed, as inputs and outputs of a pipelined graph are.
    """

    __slots__ = (
        "allocated",
        "children",
        "in_place",
        "kept",
        "layout",
        "offset",
        "size_bytes",
        "sources",
        "view_of",
        "views",
    )

    def __init__(
        self,
        size_bytes: int,
        layout: Hashable = None,
        sources: Sequence[Tensor] = (),
        *,
        view_of: Tensor | None = None,
        in_place: bool = False,
        kept: bool = False,
    ) -> None:
        self.size_bytes = size_bytes
        self.layout = layout
        self.sources = sources
        self.view_of = view_of
        self.in_place = in_place
        self.kept = kept
        self.children = 0
        self.views = 0
        self.offset = 0
        self.allocated = False


def peak_bytes(inputs: Sequence[Tensor], nodes: Sequence[Tensor], *, alignment: int) -> int:
    """The buffer that the allocator reserves.

    Args:
        inputs: tensors that are there before the first node, in the order of their allocation.
        nodes: the graph in the order of its execution.
        alignment: of the device's buffers in bytes.
    """
    arena = _Arena(alignment)
    for tensor in inputs:
        _allocate(arena, tensor)
    for node in nodes:
        if node.view_of is not None:
            node.view_of.views += 1
        for source in node.sources:
            source.children += 1
    for node in nodes:
        for source in node.sources:
            _allocate(arena, source)
        _allocate(arena, node)
        for source in node.sources:
            source.children -= 1
            _free_if_done(arena, source)
    return arena.peak


def _allocate(arena: _Arena, tensor: Tensor) -> None:
    if tensor.allocated or tensor.view_of is not None:
        return
    tensor.allocated = True
    if tensor.in_place and (parent := _reusable(tensor)):
        tensor.offset = parent.offset
        parent.allocated = False
        return
    tensor.offset = arena.take(tensor.size_bytes)


def _reusable(tensor: Tensor) -> Tensor | None:
    """The first source that may be overwritten. Views never are: the allocator owns no view."""
    return next(
        (
            source
            for source in tensor.sources
            if source.allocated
            and not source.kept
            and source.layout == tensor.layout
            and source.children == 1
            and not source.views
        ),
        None,
    )


def _free_if_done(arena: _Arena, source: Tensor) -> None:
    if source.children or source.views:
        return
    owner = source
    if source.view_of is not None:
        owner = source.view_of
        owner.views -= 1
        if owner.views or owner.children:
            return
    if owner.allocated and not owner.kept:
        arena.give_back(owner.offset, owner.size_bytes)
        owner.allocated = False


class _Arena:
    """Free blocks by offset; the last one is endless, and is taken for want of others only."""

    def __init__(self, alignment: int) -> None:
        self._alignment = alignment
        self._free: list[list[int]] = [[0, _ENDLESS]]
        self.peak = 0

    def take(self, size: int) -> int:
        size = self._aligned(size)
        best, best_size = -1, _ENDLESS
        for index, (_, free) in enumerate(self._free[:-1]):
            if size <= free <= best_size:
                best, best_size = index, free
        block = self._free[best]
        offset = block[0]
        block[0] += size
        block[1] -= size
        if not block[1]:
            del self._free[best]
        self.peak = max(self.peak, offset + size)
        return offset

    def give_back(self, offset: int, size: int) -> None:
        size = self._aligned(size)
        index = next(
            (i for i, block in enumerate(self._free) if block[0] > offset), len(self._free)
        )
        self._free.insert(index, [offset, size])
        self._merge(index)
        if index:
            self._merge(index - 1)

    def _merge(self, index: int) -> None:
        """Join a block with the next one where they touch."""
        if index + 1 < len(self._free):
            block, following = self._free[index], self._free[index + 1]
            if block[0] + block[1] == following[0]:
                block[1] += following[1]
                del self._free[index + 1]

    def _aligned(self, size: int) -> int:
        return -(-size // self._alignment) * self._alignment
