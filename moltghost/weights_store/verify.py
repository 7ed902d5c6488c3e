"""Whether a store's bytes are what they were: every object read again and hashed."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from moltghost.progress import Meter, Report, silent
from moltghost.weights_store.bucket import Bucket, MissingObject
from moltghost.weights_store.store import Store, StoreFile

# Reading waits for the network and hashing for a core, in turns.
_READERS_PER_CORE = 2


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What is wrong with one object."""

    key: str
    why: str


def verify_store(bucket: Bucket, store: Store, report: Report = silent) -> list[Finding]:
    """Read every file of a store again; what isn't as ``store.json`` says is in the result.

    Args:
        bucket: where it lies.
        store: a complete or damaged one; without a record there is nothing to hold it against.
        report: told of bytes, rate and ETA.

    Raises:
        Failed: the bucket can't be read.
    """
    if store.record is None:
        return [Finding(key=store.prefix, why=why) for why in store.problems]
    files = store.record.files
    meter = Meter(report, f"verify {store.name}", store.record.size_bytes)
    try:
        found = _hash_all(bucket, store.prefix, files, meter.add)
    except BaseException:
        meter.end("failed")
        raise
    manifest = store.record.manifest
    digests = {file.path: file.sha256 for file in files}
    if digests.get(manifest.path) != manifest.digest.removeprefix("sha256:"):
        found.append(
            Finding(key=store.prefix + manifest.path, why="its digest isn't the record's manifest")
        )
    meter.end("failed" if found else "done")
    return found


def _hash_all(
    bucket: Bucket, prefix: str, files: Sequence[StoreFile], count: Callable[[int], None]
) -> list[Finding]:
    stopped = threading.Event()

    def counted(size: int) -> None:
        if stopped.is_set():
            raise InterruptedError  # nobody waits for what this thread finds
        count(size)

    def check(file: StoreFile) -> Finding | None:
        return _check(bucket, prefix + file.path, file, counted)

    # The largest first: it decides how long everything takes.
    ordered = sorted(files, key=lambda file: file.size, reverse=True)
    with ThreadPoolExecutor(max_workers=_READERS_PER_CORE * (os.cpu_count() or 1)) as pool:
        try:
            return [finding for finding in pool.map(check, ordered) if finding]
        finally:
            # An interrupt, or a file that can't be read: leaving the pool would read on to the end.
            stopped.set()


def _check(
    bucket: Bucket, key: str, file: StoreFile, count: Callable[[int], None]
) -> Finding | None:
    digest, size = hashlib.sha256(), 0
    try:
        for chunk in bucket.chunks(key):
            digest.update(chunk)
            size += len(chunk)
            count(len(chunk))
    except MissingObject:
        return Finding(key=key, why="it is missing")
    if size != file.size:
        return Finding(key=key, why=f"it has {size} bytes, not {file.size}")
    if digest.hexdigest() != file.sha256:
        return Finding(key=key, why=f"its sha256 is {digest.hexdigest()}, not {file.sha256}")
    return None
