"""Model stores in a bucket: what ``store.json`` says, and whether it is true."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from moltghost.store_layout import RECORD, STORES, StoreKey, prefix_of
from moltghost.weights_store.bucket import Bucket

_RECORD_MOST_BYTES = 1024**2
_READERS = 8
_PART = r"[A-Za-z0-9_][A-Za-z0-9._:-]*"
_BELOW = rf"^{_PART}(/{_PART})*$"
"""A relative path without empty, ``.`` or ``..`` parts."""
_DIGEST = r"^[0-9a-f]{64}$"


class StoreFile(BaseModel):
    """One file of a store."""

    model_config = ConfigDict(frozen=True)

    path: str = Field(pattern=_BELOW)
    size: int = Field(ge=0)
    sha256: str = Field(pattern=_DIGEST)


class ManifestRef(BaseModel):
    """Ollama's manifest, whose digest is the model's."""

    model_config = ConfigDict(frozen=True)

    path: str = Field(pattern=_BELOW)
    digest: str = Field(pattern=r"^sha256:[0-9a-f]{64}$")


class StoreRecord(BaseModel):
    """Content of ``store.json``."""

    model_config = ConfigDict(frozen=True)

    version: Literal[1]
    model: str
    quantization: str
    ollama_version: str
    source: str
    licence: str
    created: datetime
    manifest: ManifestRef
    files: tuple[StoreFile, ...] = Field(min_length=1)

    @property
    def size_bytes(self) -> int:
        """Of all files."""
        return sum(file.size for file in self.files)


class StoreState(StrEnum):
    """What a prefix is to who reads it."""

    ABSENT = "absent"
    PARTIAL = "partial"
    """Objects without ``store.json``: a build that goes on or was cut off. No reader takes it."""
    DAMAGED = "damaged"
    """``store.json`` promises what isn't there. Readers refuse it."""
    COMPLETE = "complete"


@dataclass(frozen=True, kw_only=True)
class Store:
    """A model store as the bucket's listing and its record tell; no weight was read.

    Args:
        prefix: below the bucket, with a slash at its end.
        record: None without a readable ``store.json``.
        size_bytes: of the objects that are there.
        problems: why it is damaged, one for each file.
    """

    prefix: str
    ollama_version: str
    model: str
    quantization: str
    state: StoreState
    record: StoreRecord | None
    size_bytes: int
    problems: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """As a person calls it."""
        return f"{self.model} {self.quantization}"

    @property
    def has_record(self) -> bool:
        """A build would find it finished, or refuse it as unreadable."""
        return self.state in (StoreState.COMPLETE, StoreState.DAMAGED)


def read_store(bucket: Bucket, prefix: str) -> Store:
    """The store below a prefix, as it is now.

    Raises:
        Failed: the bucket can't be read.
    """
    return _store(bucket, prefix, bucket.sizes(prefix))


def list_stores(bucket: Bucket) -> list[Store]:
    """Every store of a bucket, by prefix.

    Raises:
        Failed: the bucket can't be read.
    """
    grouped: dict[str, dict[str, int]] = {}
    for key, size in bucket.sizes(STORES).items():
        if found := StoreKey.of(key):
            grouped.setdefault(found.prefix, {})[key] = size
    with ThreadPoolExecutor(max_workers=_READERS) as pool:
        return list(
            pool.map(lambda each: _store(bucket, each[0], each[1]), sorted(grouped.items()))
        )


def store_at(bucket: Bucket, url: str) -> Store:
    """The store of a URL, as it is now.

    Raises:
        Failed: the bucket can't be read.
    """
    return read_store(bucket, prefix_of(url))


def remove_store(bucket: Bucket, prefix: str) -> int:
    """Remove a store, its record first, so that no reader meets half of it; returns the objects.

    Raises:
        Failed: not everything could be removed; what is left is no store.
    """
    record = prefix + RECORD
    present = bucket.sizes(prefix)
    first = bucket.delete([record]) if record in present else 0
    return first + bucket.delete([key for key in present if key != record])


def _store(bucket: Bucket, prefix: str, sizes: Mapping[str, int]) -> Store:
    key = StoreKey.of(prefix)
    if key is None or key.prefix != prefix:
        raise ValueError(f"{prefix} isn't a prefix of a store")
    record, problems = _record(bucket, prefix) if prefix + RECORD in sizes else (None, ())
    if record:
        problems = tuple(_missing(record, prefix, sizes))
    return Store(
        prefix=prefix,
        ollama_version=key.ollama_version,
        model=key.model,
        quantization=key.quantization,
        state=_state(sizes, record, problems),
        record=record,
        size_bytes=sum(sizes.values()),
        problems=problems,
    )


def _record(bucket: Bucket, prefix: str) -> tuple[StoreRecord | None, tuple[str, ...]]:
    text = bucket.read(prefix + RECORD, _RECORD_MOST_BYTES)
    if text is None:  # removed since it was listed
        return None, ()
    try:
        return StoreRecord.model_validate_json(text), ()
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return None, (f"{RECORD} can't be read: {where + ': ' if where else ''}{first['msg']}",)


def _missing(record: StoreRecord, prefix: str, sizes: Mapping[str, int]) -> list[str]:
    found = []
    for file in record.files:
        size = sizes.get(prefix + file.path)
        if size is None:
            found.append(f"{file.path} is missing")
        elif size != file.size:
            found.append(f"{file.path} has {size} bytes, not {file.size}")
    if record.manifest.path not in {file.path for file in record.files}:
        found.append(f"{RECORD} doesn't list its manifest {record.manifest.path}")
    return found


def _state(
    sizes: Mapping[str, int], record: StoreRecord | None, problems: tuple[str, ...]
) -> StoreState:
    if problems:
        return StoreState.DAMAGED
    if record:
        return StoreState.COMPLETE
    return StoreState.PARTIAL if sizes else StoreState.ABSENT
