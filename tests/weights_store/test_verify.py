"""Verifying reads every byte again: what a listing can't see is found here."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest

from moltghost.progress import Event
from moltghost.weights_store.bucket import Bucket
from moltghost.weights_store.store import StoreState, read_store
from moltghost.weights_store.verify import verify_store
from tests.weights_store.stores import MANIFEST, PREFIX, WEIGHTS, blob, contents, publish, put


def test_a_good_store_has_no_findings_and_every_byte_was_counted(bucket: Bucket) -> None:
    publish(bucket)
    events: list[Event] = []
    assert verify_store(bucket, read_store(bucket, PREFIX), events.append) == []
    total = sum(map(len, contents().values()))
    assert events[-1].state == "done"
    assert events[-1].detail.startswith(f"{total / 1024:.1f} KiB of {total / 1024:.1f} KiB")


def test_one_flipped_bit_is_found_though_the_size_is_right(bucket: Bucket) -> None:
    publish(bucket)
    rotten = bytearray(WEIGHTS)
    rotten[5000] ^= 1
    put(bucket, blob(WEIGHTS), bytes(rotten))
    store = read_store(bucket, PREFIX)
    assert store.state is StoreState.COMPLETE
    events: list[Event] = []
    [finding] = verify_store(bucket, store, events.append)
    assert finding.key == PREFIX + blob(WEIGHTS)
    assert "its sha256 is" in finding.why
    assert events[-1].state == "failed"


def test_missing_and_cut_objects_are_found_by_name(bucket: Bucket) -> None:
    publish(bucket)
    store = read_store(bucket, PREFIX)
    put(bucket, blob(WEIGHTS), WEIGHTS[:-1])
    bucket.client.delete_object(Bucket=bucket.name, Key=PREFIX + MANIFEST)
    found = {each.key.removeprefix(PREFIX): each.why for each in verify_store(bucket, store)}
    assert found == {
        blob(WEIGHTS): f"it has {len(WEIGHTS) - 1} bytes, not {len(WEIGHTS)}",
        MANIFEST: "it is missing",
    }


def test_an_interrupt_ends_the_reading(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(bucket)
    store = read_store(bucket, PREFIX)
    read = 0

    def endless(_key: str) -> Iterator[bytes]:
        nonlocal read
        while read < 10_000:
            read += 1
            if read == 20:
                os.kill(os.getpid(), signal.SIGINT)
            yield b"x"
            time.sleep(0.001)

    monkeypatch.setattr(bucket, "chunks", endless)
    with pytest.raises(KeyboardInterrupt):
        verify_store(bucket, store)
    assert read < 5_000


def test_a_manifest_that_is_not_the_records_is_found(bucket: Bucket) -> None:
    publish(bucket, manifest={"path": MANIFEST, "digest": f"sha256:{'0' * 64}"})
    [finding] = verify_store(bucket, read_store(bucket, PREFIX))
    assert (finding.key, finding.why) == (
        PREFIX + MANIFEST,
        "its digest isn't the record's manifest",
    )


def test_a_store_whose_record_is_unreadable_is_bad_as_a_whole(bucket: Bucket) -> None:
    publish(bucket, version=7)
    [finding] = verify_store(bucket, read_store(bucket, PREFIX))
    assert finding.key == PREFIX
    assert "store.json can't be read" in finding.why
