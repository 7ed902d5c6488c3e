"""The answer of `size`: frozen, comparable, and JSON as scripts rely on it.

Keys ending in `_bytes` are integers, prices are USD as numbers, speeds are intervals `[low, high]`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from decimal import Decimal

from moltghost.sizing.cost import Cost
from moltghost.sizing.floors import Floor
from moltghost.sizing.footprint import Footprint
from moltghost.sizing.request import SizingRequest
from moltghost.sizing.resources import LoadTimes, Resources
from moltghost.sizing.throughput import Speed

JsonValue = str | int | float | bool | None | list["JsonValue"] | dict[str, "JsonValue"]


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the model runs.

    Attributes:
        usd_per_hour: the share of the GPUs taken.
        node_usd_per_hour: the whole node; a dedicated agent pays it.
        free_bytes_per_gpu: what a CUDA process finds free on each GPU.
    """

    gpu: str
    gpu_count: int
    instance_type: str
    pool: str
    usd_per_hour: Decimal
    node_usd_per_hour: Decimal
    node_gpu_count: int
    dedicated: bool
    free_bytes_per_gpu: int

    @property
    def hardware(self) -> str:
        """What computes, in words: `4 x a100-80`, or `CPU`."""
        return f"{self.gpu_count} x {self.gpu}" if self.gpu_count else "CPU"


@dataclass(frozen=True, slots=True)
class Candidate:
    """One instance type and why it is, or isn't, the placement.

    Attributes:
        gpu_count: GPUs it takes; all of the node's where even they don't suffice.
        fits: it could be chosen.
        verdict: the reason as a word: `fits`, `floor`, `no pool`, ...
        usd_per_hour: of those GPUs; `node_usd_per_hour`: of the node. None = not offered.
    """

    instance_type: str
    gpu: str
    gpu_count: int
    fits: bool
    verdict: str
    reason: str
    usd_per_hour: Decimal | None
    node_usd_per_hour: Decimal | None
    pool: str | None


@dataclass(frozen=True, slots=True)
class Sizing:
    """Everything that follows from a model, a context and an environment's pools.

    Attributes:
        model: its id; `name` has the quantization too.
        batch: tokens per batch that Ollama will choose.
        file_bytes: the model file.
        ollama_tag: its tag in the Ollama library, None where there is none.
        floor: the product text's row for its class; `floor_applied` is False where `--gpu` or
            `--memory` replaced its memory.
        why: sentences for people.
    """

    model: str
    name: str
    quantization: str
    context: int
    parallel: int
    kv_cache: str
    batch: int
    file_bytes: int
    ollama_tag: str | None
    footprint: Footprint
    placement: Placement
    candidates: tuple[Candidate, ...]
    resources: Resources
    load: LoadTimes
    speed: Speed
    cost: Cost
    floor: Floor
    floor_applied: bool
    why: tuple[str, ...]
    request: SizingRequest

    def to_json(self) -> dict[str, JsonValue]:
        """Plain values for `json.dumps`."""
        return {field.name: to_json(getattr(self, field.name)) for field in fields(self)}


def to_json(value: object) -> JsonValue:
    """Plain values of dataclasses, tuples and decimals.

    Raises:
        TypeError: the value has no JSON form.
    """
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, tuple | list):
        return [to_json(item) for item in value]
    if is_dataclass(value):
        return {field.name: to_json(getattr(value, field.name)) for field in fields(value)}
    raise TypeError(f"{type(value).__name__} has no JSON form")
