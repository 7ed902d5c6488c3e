"""A GGUF's header as a few lines of JSON, and back.

Layers that are alike are written once: `blk.*.attn_q.weight`, with the numbers of the layers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from moltghost.models.catalogue import block_types
from moltghost.models.gguf import GgufFile, GgufTensor, GgufValue

_LAYER = re.compile(r"blk\.(?P<layer>\d{1,6})\.(?P<rest>.+)")
_EVERY = "blk.*."
# What a plan reads of `general.`, beside all of the architecture's own values.
_GENERAL = ("architecture", "type", "name", "file_type", "license")
_MOST_LAYERS, _MOST_TENSORS, _MOST_DIMENSIONS = 1 << 12, 1 << 16, 4
_MOST_ELEMENTS, _MOST_VALUES = 1 << 63, 1 << 10


def record_of_header(file: GgufFile) -> str:
    """What of a header decides sizes, as JSON with a line for each value and kind of tensor."""
    values = json.dumps(_values(file.metadata), indent=3)[:-1].rstrip()
    rows = ",\n   ".join(json.dumps(row) for row in _rows(file.tensors))
    return (
        f'{{\n  "bytes": {file.file_bytes},\n  "values": {values}\n  }},\n'
        f'  "tensors": [\n   {rows}\n  ]\n }}'
    )


def header_of(path: Path, record: Mapping[str, Any]) -> GgufFile:
    """The header that a record holds.

    Args:
        path: what messages call it.
        record: as `record_of_header` writes it, after JSON.

    Raises:
        ValueError, KeyError, TypeError: it isn't one.
    """
    values = record["values"]
    if not isinstance(values, dict) or len(values) > _MOST_VALUES:
        raise ValueError("its values aren't those of a header")
    tensors = [tensor for row in record["tensors"] for tensor in _tensors(row)]
    if not 0 < len(tensors) <= _MOST_TENSORS or len({t.name for t in tensors}) != len(tensors):
        raise ValueError("its tensors are none, too many, or one is there twice")
    total, found = sum(tensor.size_bytes for tensor in tensors), record["bytes"]
    if type(found) is not int or found < total:
        raise ValueError(f"its file has {found!r} bytes, and its tensors need {total}")
    metadata = {str(key): _value(value) for key, value in values.items()}
    return GgufFile(path, MappingProxyType(metadata), tuple(tensors), found)


def _values(metadata: Mapping[str, GgufValue]) -> dict[str, Any]:
    architecture = metadata.get("general.architecture")
    wanted = {f"general.{key}" for key in _GENERAL}
    return {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in metadata.items()
        if (key in wanted or key.startswith(f"{architecture}."))
        and isinstance(value, str | int | float | tuple)
    }


def _value(value: object) -> GgufValue:
    if isinstance(value, list):
        return tuple(_scalar(each) for each in value)
    return value if isinstance(value, str) else _scalar(value)


def _scalar(value: object) -> int | float | bool:
    if isinstance(value, bool | int | float):
        return value
    raise ValueError(f"{value!r} isn't a value of a header")


def _rows(tensors: Iterable[GgufTensor]) -> list[list[Any]]:
    """Name, dimensions and type; of layers that are alike, which ones they are."""
    layers: dict[tuple[str, tuple[int, ...], str], list[int]] = {}
    for tensor in tensors:
        match = _LAYER.fullmatch(tensor.name)
        name = _EVERY + match["rest"] if match else tensor.name
        found = layers.setdefault((name, tensor.dimensions, tensor.type), [])
        if match:
            found.append(int(match["layer"]))
    return [
        [name, list(dimensions), kind, *([_ranges(numbers)] if numbers else [])]
        for (name, dimensions, kind), numbers in layers.items()
    ]


def _ranges(numbers: Sequence[int]) -> str:
    """`0-3, 7` for 0, 1, 2, 3, 7."""
    found: list[list[int]] = []
    for number in sorted(numbers):
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in found)


def _tensors(row: Sequence[Any]) -> list[GgufTensor]:
    name, dimensions, kind, *layers = row
    if not isinstance(name, str) or kind not in block_types():
        raise ValueError(f"{str(row)[:80]} isn't a tensor")
    if not 1 <= len(dimensions) <= _MOST_DIMENSIONS or not all(
        type(d) is int and d > 0 for d in dimensions
    ):
        raise ValueError(f"tensor {name} can't have the dimensions {dimensions}")
    shape = tuple(dimensions)
    first = GgufTensor(name, shape, kind)
    if first.elements >= _MOST_ELEMENTS or shape[0] % block_types()[kind][0]:
        raise ValueError(f"tensor {name} can't be {shape} of {kind}")
    if not layers:
        return [first]
    rest = name.removeprefix(_EVERY)
    return [GgufTensor(f"blk.{n}.{rest}", shape, kind) for n in _numbers(layers[0])]


def _numbers(text: str) -> Iterable[int]:
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        start, end = int(first), int(last or first)
        if not 0 <= start <= end < _MOST_LAYERS:
            raise ValueError(f"{text!r} aren't numbers of layers")
        yield from range(start, end + 1)
