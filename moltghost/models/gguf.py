"""The header of a GGUF file: metadata and tensor table, read with bounds.

A file from anywhere is an input like any other: no count or length in it is believed before the
bytes for it are there, nothing large is kept, and vocabularies are walked over. Format: ggml's
docs/gguf.md, versions 2 and 3, little endian. Weights are never read.
"""

from __future__ import annotations

import os
import re
import stat
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from moltghost.errors import Refused
from moltghost.models.catalogue import block_ids, block_types
from moltghost.models.foreign_files import foreign_file

_MAGIC, _VERSIONS = b"GGUF", (2, 3)
_ALIGNMENT, _ALIGNMENT_KEY = 32, "general.alignment"
_MAX_DIMENSIONS = 4  # GGML_MAX_DIMS
_MAX_ELEMENTS = 1 << 63
# Bounds far above any model's header; what exceeds them is no model.
_MAX_VALUES, _MAX_TENSORS = 1 << 10, 1 << 16
_MAX_NAME = 1 << 8
_MAX_TEXT = 1 << 24
_MAX_TEXTS = 1 << 22  # strings in all arrays; the largest vocabularies have 2^18
_KEPT_TEXT, _KEPT_ITEMS = 1 << 10, 1 << 10
CHAT_TEMPLATE = "tokenizer.chat_template"
"""Key of how a chat is written, in Jinja; the one long text that is kept."""
_KEPT_TEMPLATE = 1 << 18
_WINDOW = 1 << 20
_LOOK_BYTES = 64  # enough to tell what a file is that is no GGUF
_PARTS = re.compile(r"(?P<stem>.+)-(?P<part>\d{5})-of-(?P<count>\d{5})\.gguf$")
_MAX_PARTS = 1000

_SCALARS = {
    0: struct.Struct("<B"),
    1: struct.Struct("<b"),
    2: struct.Struct("<H"),
    3: struct.Struct("<h"),
    4: struct.Struct("<I"),
    5: struct.Struct("<i"),
    6: struct.Struct("<f"),
    7: struct.Struct("<?"),
    10: struct.Struct("<Q"),
    11: struct.Struct("<q"),
    12: struct.Struct("<d"),
}
_TEXT, _ARRAY = 8, 9
_U32, _U64 = _SCALARS[4], _SCALARS[10]


@dataclass(frozen=True, slots=True)
class LengthOnly:
    """An array or a text that is too long to keep: only its length is."""

    length: int


GgufValue = str | int | float | bool | tuple[int | float | bool, ...] | LengthOnly


@dataclass(frozen=True, slots=True)
class GgufTensor:
    """A tensor of the file. `dimensions` are ggml's: the length of a row first."""

    name: str
    dimensions: tuple[int, ...]
    type: str

    @property
    def elements(self) -> int:
        """Product of the dimensions."""
        product = 1
        for dimension in self.dimensions:
            product *= dimension
        return product

    @property
    def size_bytes(self) -> int:
        """Bytes in the file and in memory."""
        elements, size = block_types()[self.type]
        return self.elements // elements * size


@dataclass(frozen=True, slots=True, eq=False)
class GgufFile:
    """What a file says about itself.

    Attributes:
        metadata: key -> value; long texts and arrays only by their length.
        tensors: in the file's order, over all parts of a split file.
        file_bytes: size, over all parts.
    """

    path: Path
    metadata: Mapping[str, GgufValue]
    tensors: tuple[GgufTensor, ...]
    file_bytes: int

    @property
    def chat_template(self) -> str | None:
        """How a chat is written, in Jinja; None where the file doesn't say or it is too long."""
        found = self.metadata.get(CHAT_TEMPLATE)
        return found if isinstance(found, str) else None


class Stream(Protocol):
    """Bytes that can be read from any place, as those of an open file."""

    def seek(self, offset: int, /) -> int:
        """Go to a byte, counted from the start."""

    def read(self, length: int, /) -> bytes:
        """The next bytes."""


def read_gguf(path: Path) -> GgufFile:
    """Read a file's header; of a split file (`-00001-of-00003.gguf`) the headers of all parts.

    Raises:
        Refused: it isn't there, it is no GGUF, or what it says about itself can't be.
    """
    return _joined(path, [_read(part) for part in parts_of(path)])


def read_streams(parts: Sequence[tuple[Path, Stream, int]]) -> GgufFile:
    """Read the header of a file that is open, or those of all its parts.

    Args:
        parts: what messages call it, its bytes, and how many there are.

    Raises:
        Refused: it is no GGUF, or what it says about itself can't be.
    """
    return _joined(parts[0][0], [_Header(*part).read() for part in parts])


def _joined(path: Path, files: Sequence[GgufFile]) -> GgufFile:
    tensors = tuple(tensor for file in files for tensor in file.tensors)
    if len({tensor.name for tensor in tensors}) != len(tensors):
        raise _broken(path, "two tensors have the same name")
    total = sum(file.file_bytes for file in files)
    return GgufFile(path, files[0].metadata, tensors, total)


def parts_of(path: Path) -> list[Path]:
    """All parts of a split file, or the file alone.

    Raises:
        Refused: a part isn't there.
    """
    match = _PARTS.fullmatch(path.name)
    count = int(match["count"]) if match else 1
    if match is None or not 1 <= count <= _MAX_PARTS:
        return [path]
    names = [f"{match['stem']}-{part:05d}-of-{count:05d}.gguf" for part in range(1, count + 1)]
    missing = [name for name in names if not (path.parent / name).is_file()]
    if missing:
        raise Refused(
            f"{path} is one of {count} parts, and {missing[0]} isn't in the same folder",
            "put all parts in one folder",
        )
    return [path.parent / name for name in names]


def _read(path: Path) -> GgufFile:
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for its writer
            raise _broken(path, "it isn't a regular file")
        with path.open("rb", buffering=0) as stream:
            return _Header(path, stream, os.fstat(stream.fileno()).st_size).read()
    except OSError as error:
        raise Refused(f"{path}: {error.strerror}", "name a GGUF file") from error


def _broken(path: Path, why: str) -> Refused:
    return Refused(
        f"{path} is not a GGUF file that can be sized: {why}",
        "download it again; a GGUF of version 2 or 3 is taken",
    )


class _Header:
    """Reads forward through a window over the file; nothing past the file's end is asked for."""

    def __init__(self, path: Path, stream: Stream, size: int) -> None:
        self._path, self._stream, self._size = path, stream, size
        self._start, self._at, self._window = 0, 0, b""
        self._texts_left = _MAX_TEXTS

    def read(self) -> GgufFile:
        if self._take(len(_MAGIC)) != _MAGIC:
            raise foreign_file(self._path, self._window[:_LOOK_BYTES], self._size)
        version = self._number(_U32)
        if version not in _VERSIONS:
            swapped = int.from_bytes(version.to_bytes(4, "little"), "big")
            why = "it is big endian" if swapped in _VERSIONS else f"its version is {version}"
            raise _broken(self._path, why)
        tensor_count = self._count("tensors", _MAX_TENSORS)
        value_count = self._count("values", _MAX_VALUES)
        metadata = self._metadata(value_count)
        tensors = self._tensors(tensor_count, metadata)
        return GgufFile(self._path, MappingProxyType(metadata), tensors, self._size)

    def _metadata(self, count: int) -> dict[str, GgufValue]:
        found: dict[str, GgufValue] = {}
        for _ in range(count):
            key = self._name("a key")
            if key in found:
                raise _broken(self._path, f"{key!r} is there twice")
            found[key] = self._value(key)
        return found

    def _value(self, key: str) -> GgufValue:
        kind = self._number(_U32)
        if kind == _TEXT:
            return self._text(_KEPT_TEMPLATE if key == CHAT_TEMPLATE else _KEPT_TEXT)
        if kind == _ARRAY:
            return self._array(key)
        return self._scalar(kind, key)

    def _scalar(self, kind: int, key: str) -> int | float | bool:
        if kind not in _SCALARS:
            raise _broken(self._path, f"{key!r} has a value of unknown type {kind}")
        packed = _SCALARS[kind]
        value: int | float | bool = packed.unpack(self._take(packed.size))[0]
        return value

    def _text(self, kept: int) -> str | LengthOnly:
        length = self._number(_U64)
        if length > kept:
            self._skip(length)
            return LengthOnly(length)
        return self._take(length).decode("utf-8", "replace")

    def _array(self, key: str) -> GgufValue:
        kind, count = self._number(_U32), self._number(_U64)
        if kind == _ARRAY:
            raise _broken(self._path, f"{key!r} is an array of arrays, which no model has")
        if kind == _TEXT:
            self._skip_texts(count)
            return LengthOnly(count)
        if kind not in _SCALARS:
            raise _broken(self._path, f"{key!r} has items of unknown type {kind}")
        packed = _SCALARS[kind]
        if count > _KEPT_ITEMS:
            self._skip(count * packed.size)
            return LengthOnly(count)
        content = self._take(count * packed.size)
        return tuple(item for (item,) in packed.iter_unpack(content))

    def _tensors(self, count: int, metadata: Mapping[str, GgufValue]) -> tuple[GgufTensor, ...]:
        rows = [self._tensor() for _ in range(count)]
        alignment = metadata.get(_ALIGNMENT_KEY, _ALIGNMENT)
        if not isinstance(alignment, int) or alignment < 1 or alignment & (alignment - 1):
            raise _broken(self._path, f"its alignment is {alignment}, no power of two")
        data = -(-self._offset // alignment) * alignment
        end = data + max((offset + t.size_bytes for t, offset in rows), default=0)
        end = max(end, data + sum(t.size_bytes for t, _ in rows))
        if end > self._size:
            raise _broken(
                self._path, f"it ends after {self._size} bytes and its tensors need {end}"
            )
        return tuple(tensor for tensor, _ in rows)

    def _tensor(self) -> tuple[GgufTensor, int]:
        name = self._name("a tensor")
        rank = self._number(_U32)
        if not 1 <= rank <= _MAX_DIMENSIONS:
            raise _broken(self._path, f"tensor {name!r} has {rank} dimensions")
        dimensions = tuple(self._number(_U64) for _ in range(rank))
        kind, offset = self._number(_U32), self._number(_U64)
        if kind not in block_ids():
            raise _broken(self._path, f"tensor {name!r} has the unknown type {kind}")
        tensor = GgufTensor(name, dimensions, block_ids()[kind])
        block, _ = block_types()[tensor.type]
        if not 1 <= tensor.elements < _MAX_ELEMENTS or dimensions[0] % block:
            raise _broken(self._path, f"tensor {name!r} can't be {dimensions} of {tensor.type}")
        return tensor, offset

    def _count(self, what: str, most: int) -> int:
        count = self._number(_U64)
        if count > most:
            raise _broken(self._path, f"it claims {count} {what}")
        return count

    def _name(self, what: str) -> str:
        length = self._number(_U64)
        if not 1 <= length <= _MAX_NAME:
            raise _broken(self._path, f"{what} has a name of {length} bytes")
        return self._take(length).decode("utf-8", "replace")

    def _number(self, packed: struct.Struct) -> int:
        number: int = packed.unpack(self._take(packed.size))[0]
        return number

    @property
    def _offset(self) -> int:
        return self._start + self._at

    def _take(self, length: int) -> bytes:
        """The next bytes; at most `_KEPT_TEMPLATE` of them, which is less than the window."""
        if self._at + length > len(self._window):
            self._fill(length)
        self._at += length
        return self._window[self._at - length : self._at]

    def _fill(self, length: int) -> None:
        """Move the window to where reading is; it then holds `length` bytes or more."""
        self._start, self._at = self._offset, 0
        if self._start + length > self._size:
            raise _broken(self._path, f"it ends within its header, after {self._size} bytes")
        self._stream.seek(self._start)
        self._window = self._stream.read(min(_WINDOW, self._size - self._start))
        if len(self._window) < length:
            raise _broken(self._path, "it became shorter while it was read")

    def _skip(self, length: int) -> None:
        if length > self._size - self._offset:
            raise _broken(self._path, f"it ends within its header, after {self._size} bytes")
        self._at += length

    def _skip_texts(self, count: int) -> None:
        self._texts_left -= count
        if self._texts_left < 0:
            raise _broken(self._path, f"it claims {count} texts in one array")
        unpack = _U64.unpack_from
        while count:
            if self._at + _U64.size > len(self._window):
                self._fill(_U64.size)
            window, at, last = self._window, self._at, len(self._window) - _U64.size
            while count and at <= last:
                (length,) = unpack(window, at)
                if length > _MAX_TEXT:
                    raise _broken(self._path, f"a text in it has {length} bytes")
                at += _U64.size + length
                count -= 1
            self._at = at
        self._skip(0)
