import os
import struct
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from moltghost.errors import ExitCode, Refused
from moltghost.models.catalogue import block_ids, block_types
from moltghost.models.gguf import GgufTensor, LengthOnly, read_gguf

FAST_SECONDS, SMALL_BYTES = 1.0, 4 << 20
HEAD = b"GGUF" + struct.pack("<I", 3)


def counts(tensors: int, values: int) -> bytes:
    return struct.pack("<QQ", tensors, values)


def text(content: bytes, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(content) if length is None else length) + content


def tensor(name: bytes, *dimensions: int, kind: int = 0, offset: int = 0) -> bytes:
    shape = struct.pack(f"<I{len(dimensions)}Q", len(dimensions), *dimensions)
    return text(name) + shape + struct.pack("<IQ", kind, offset)


U32, STRING, ARRAY = (struct.pack("<I", kind) for kind in (4, 8, 9))
HUGE = (1 << 64) - 1
HOSTILE = {
    "an empty file": (b"", "ends within its header"),
    "half a magic": (b"GG", "ends within its header"),
    "another magic": (b"GGML" + bytes(20), "doesn't begin with GGUF"),
    "a Git LFS pointer": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
        "it is a Git LFS pointer",
    ),
    "a web page": (b"<!DOCTYPE html><html><head>", "it is a web page"),
    "safetensors": (struct.pack("<Q", 20) + b'{"a":{"dtype":"F16"}}', "it is safetensors"),
    "an old GGML file": (b"tjgg" + bytes(20), "it is a GGML file from before GGUF"),
    "a zip": (b"PK\x03\x04" + bytes(30), "it is an archive"),
    "big endian": (b"GGUF" + struct.pack(">I", 3) + bytes(16), "big endian"),
    "version 1": (b"GGUF" + struct.pack("<I", 1) + bytes(8), "its version is 1"),
    "a version to come": (b"GGUF" + struct.pack("<I", 4) + bytes(16), "its version is 4"),
    "no counts": (HEAD, "ends within its header"),
    "more tensors than there can be": (HEAD + counts(HUGE, 0), "claims 18446744073709551615 tens"),
    "more values than there can be": (HEAD + counts(0, HUGE), "claims 18446744073709551615 val"),
    "values that aren't there": (HEAD + counts(0, 1000), "ends within its header"),
    "a key of 2^64 bytes": (HEAD + counts(0, 1) + text(b"k", HUGE), "a key has a name of"),
    "a key without a name": (HEAD + counts(0, 1) + text(b""), "a key has a name of 0"),
    "a key twice": (HEAD + counts(0, 2) + 2 * (text(b"k") + U32 + U32), "'k' is there twice"),
    "a text of 2^64 bytes": (
        HEAD + counts(0, 1) + text(b"k") + STRING + text(b"", HUGE),
        "ends within its header",
    ),
    "an array of 2^64 numbers": (
        HEAD + counts(0, 1) + text(b"k") + ARRAY + U32 + struct.pack("<Q", HUGE),
        "ends within its header",
    ),
    "an array of 2^64 texts": (
        HEAD + counts(0, 1) + text(b"k") + ARRAY + STRING + struct.pack("<Q", HUGE),
        "texts in one array",
    ),
    "an array of texts with one of 2^63 bytes": (
        HEAD + counts(0, 1) + text(b"k") + ARRAY + STRING + struct.pack("<QQ", 2, 1 << 63),
        "a text in it has",
    ),
    "an array of arrays": (
        HEAD + counts(0, 1) + text(b"k") + ARRAY + ARRAY + struct.pack("<Q", 1),
        "array of arrays",
    ),
    "a value of no type": (
        HEAD + counts(0, 1) + text(b"k") + struct.pack("<I", 77),
        "value of unknown type 77",
    ),
    "items of no type": (
        HEAD + counts(0, 1) + text(b"k") + ARRAY + struct.pack("<IQ", 77, 1),
        "items of unknown type 77",
    ),
    "a tensor of 99 dimensions": (
        HEAD + counts(1, 0) + text(b"t") + struct.pack("<I", 99),
        "has 99 dimensions",
    ),
    "a tensor of no type": (HEAD + counts(1, 0) + tensor(b"t", 4, kind=99), "unknown type 99"),
    "a tensor without elements": (HEAD + counts(1, 0) + tensor(b"t", 0), "can't be"),
    "a tensor beyond 2^63 elements": (
        HEAD + counts(1, 0) + tensor(b"t", 1 << 40, 1 << 40),
        "can't be",
    ),
    "a row that is no whole block": (HEAD + counts(1, 0) + tensor(b"t", 100, kind=12), "can't be"),
    "data that isn't there": (HEAD + counts(1, 0) + tensor(b"t", 1 << 30), "its tensors need"),
    "data far away": (
        HEAD + counts(1, 0) + tensor(b"t", 4, offset=1 << 62) + bytes(99),
        "its tensors need",
    ),
    "an alignment of 3": (
        HEAD + counts(0, 1) + text(b"general.alignment") + U32 + struct.pack("<I", 3),
        "no power of two",
    ),
    "two tensors of one name": (
        HEAD + counts(2, 0) + 2 * tensor(b"t", 4) + bytes(99),
        "the same name",
    ),
}


def refused_quickly(path: Path) -> Refused:
    tracemalloc.start()
    started = time.perf_counter()
    with pytest.raises(Refused) as refused:
        read_gguf(path)
    seconds = time.perf_counter() - started
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert seconds < FAST_SECONDS
    assert peak < SMALL_BYTES
    return refused.value


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_with_its_reason_quickly_and_in_little_memory(
    name: str, tmp_path: Path
) -> None:
    content, reason = HOSTILE[name]
    path = tmp_path / "hostile.gguf"
    path.write_bytes(content)
    error = refused_quickly(path)
    assert reason in error.message
    assert str(path) in error.message
    assert error.exit_code is ExitCode.REFUSED
    assert error.hint


def test_a_hole_of_a_terabyte_is_not_walked_through(tmp_path: Path) -> None:
    path = tmp_path / "hole.gguf"
    texts = ARRAY + STRING + struct.pack("<Q", (1 << 22) + 1)
    path.write_bytes(HEAD + counts(0, 1) + text(b"k") + texts)
    os.truncate(path, 1 << 40)
    assert "texts in one array" in refused_quickly(path).message


def test_many_texts_in_a_hole_end_soon(tmp_path: Path) -> None:
    path = tmp_path / "hole.gguf"
    texts = ARRAY + STRING + struct.pack("<Q", 1 << 20)
    path.write_bytes(HEAD + counts(0, 1) + text(b"k") + texts)
    os.truncate(path, 1 << 40)
    assert read_gguf(path).metadata["k"] == LengthOnly(1 << 20)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["a pipe", "a folder"])
def test_what_is_no_file_is_refused_without_waiting(
    make: Callable[[Path], None], tmp_path: Path
) -> None:
    path = tmp_path / "x.gguf"
    make(path)
    assert "isn't a regular file" in refused_quickly(path).message


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="No such file"):
        read_gguf(tmp_path / "x.gguf")


def test_the_block_types_are_those_of_the_gguf_library() -> None:
    theirs = {int(kind): kind.name for kind in gguf.GGML_QUANT_SIZES}
    assert dict(block_ids()) == theirs
    for kind, sizes in gguf.GGML_QUANT_SIZES.items():
        assert block_types()[kind.name] == sizes


names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)
values = st.one_of(
    st.integers(0, 2**32 - 1), st.booleans(), names, st.lists(st.integers(0, 9), min_size=1)
)
tables = st.dictionaries(
    st.text("abcdefgh._", min_size=1, max_size=20),
    st.tuples(st.sampled_from(sorted(gguf.GGML_QUANT_SIZES)), st.integers(1, 4), st.integers(1, 9)),
    max_size=6,
)


def write(path: Path, found: dict[str, object], table: dict[str, tuple[int, int, int]]) -> None:
    writer = gguf.GGUFWriter(None, "llama")
    for key, value in found.items():
        match value:
            case bool():
                writer.add_bool(key, value)
            case int():
                writer.add_uint32(key, value)
            case str():
                writer.add_string(key, value)
            case list():
                writer.add_array(key, value)
    size = 0
    for name, (kind, blocks, rows) in table.items():
        per_block, block_bytes = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType(kind)]
        length = blocks * block_bytes * rows
        size += -(-length // 32) * 32
        writer.add_tensor_info(
            name,
            (rows, blocks * per_block),
            np.dtype(np.float32),
            length,
            raw_dtype=gguf.GGMLQuantizationType(kind),
        )
    writer.write_header_to_file(path)
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    os.truncate(path, -(-path.stat().st_size // 32) * 32 + size)


def one_of_a_kind(found: dict[str, object]) -> dict[str, object]:
    reserved = ("general.architecture", "general.alignment")
    return {k: v for k, v in found.items() if k not in reserved}


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(found=st.dictionaries(names, values, max_size=8).map(one_of_a_kind), table=tables)
def test_what_the_library_writes_is_what_is_read(
    found: dict[str, object], table: dict[str, tuple[int, int, int]], tmp_path: Path
) -> None:
    path = tmp_path / "any.gguf"
    path.unlink(missing_ok=True)
    write(path, found, table)
    ours = read_gguf(path)
    theirs = gguf.GGUFReader(path)
    assert {k for k in ours.metadata if k != "general.architecture"} == set(found)
    for key, value in found.items():
        assert ours.metadata[key] == (tuple(value) if isinstance(value, list) else value)
    assert [(t.name, t.type, t.elements, t.size_bytes) for t in ours.tensors] == [
        (t.name, t.tensor_type.name, t.n_elements, t.n_bytes) for t in theirs.tensors
    ]


def valid_file(path: Path) -> bytes:
    write(
        path,
        {"general.name": "x", "llama.block_count": 2, "tokens": ["a"] * 50, "scores": [1] * 2000},
        {"token_embd": (12, 1, 4), "blk": (0, 2, 2), "output": (8, 3, 5)},
    )
    return path.read_bytes()


def test_every_truncation_of_a_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "whole.gguf"
    whole = valid_file(path)
    part = tmp_path / "part.gguf"
    for length in range(0, len(whole) - 32, 7):  # the last 31 bytes may be padding
        part.write_bytes(whole[:length])
        with pytest.raises(Refused, match="can be sized"):
            read_gguf(part)


@settings(
    deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_flipped_bytes_are_read_or_refused_and_nothing_else(
    data: st.DataObject, tmp_path: Path
) -> None:
    path = tmp_path / "whole.gguf"
    content = bytearray(path.read_bytes() if path.exists() else valid_file(path))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, 400))] = data.draw(st.integers(0, 255))
    flipped = tmp_path / "flipped.gguf"
    flipped.write_bytes(bytes(content))
    try:
        read_gguf(flipped)
    except Refused as refused:
        assert refused.hint


def test_parts_of_a_split_file_count_as_one(tmp_path: Path) -> None:
    for part, name in ((1, "a"), (2, "b")):
        write(tmp_path / f"m-{part:05d}-of-00002.gguf", {}, {name: (0, 4, 1)})
    found = read_gguf(tmp_path / "m-00002-of-00002.gguf")
    assert found.tensors == (GgufTensor("a", (4, 1), "F32"), GgufTensor("b", (4, 1), "F32"))
    assert found.file_bytes == sum(p.stat().st_size for p in tmp_path.iterdir())
    (tmp_path / "m-00001-of-00002.gguf").unlink()
    with pytest.raises(Refused, match=r"m-00001-of-00002\.gguf isn't in the same folder"):
        read_gguf(tmp_path / "m-00002-of-00002.gguf")
