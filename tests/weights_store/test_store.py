"""A store is what its record says, and only if it is true."""

from __future__ import annotations

import json
from typing import Any

import pytest

from moltghost.errors import Failed
from moltghost.weights_store.bucket import Bucket, BucketLocation
from moltghost.weights_store.store import StoreState, list_stores, read_store, remove_store
from tests.weights_store.stores import (
    MANIFEST,
    PREFIX,
    WEIGHTS,
    blob,
    contents,
    publish,
    put,
    record,
)


def test_a_published_store_is_complete_and_known_by_its_manifest(bucket: Bucket) -> None:
    publish(bucket)
    store = read_store(bucket, PREFIX)
    assert store.state is StoreState.COMPLETE
    assert store.name == "gemma3-270m Q4_K_M"
    assert store.ollama_version == "0.33.3"
    assert store.record is not None
    assert store.record.manifest.digest == record()["manifest"]["digest"]
    assert store.record.size_bytes == sum(map(len, contents().values()))


def test_nothing_is_absent_and_blobs_without_a_record_are_partial(bucket: Bucket) -> None:
    assert read_store(bucket, PREFIX).state is StoreState.ABSENT
    put(bucket, blob(WEIGHTS), WEIGHTS)
    assert read_store(bucket, PREFIX).state is StoreState.PARTIAL


def test_a_bucket_that_was_never_made_has_no_stores() -> None:
    from moto import mock_aws

    with mock_aws():
        nowhere = Bucket(BucketLocation(bucket="moltghost-weights-none"))
        assert list_stores(nowhere) == []
        assert read_store(nowhere, PREFIX).state is StoreState.ABSENT


def test_a_missing_and_a_shorter_object_make_a_store_damaged_and_are_named(bucket: Bucket) -> None:
    publish(bucket)
    bucket.client.delete_object(Bucket=bucket.name, Key=PREFIX + MANIFEST)
    put(bucket, blob(WEIGHTS), WEIGHTS[:100])
    store = read_store(bucket, PREFIX)
    assert store.state is StoreState.DAMAGED
    assert set(store.problems) == {
        f"{MANIFEST} is missing",
        f"{blob(WEIGHTS)} has 100 bytes, not {len(WEIGHTS)}",
    }


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"version": 2}, "version"),
        ({"files": []}, "files"),
        ({"files": [{"path": "../other", "size": 1, "sha256": "0" * 64}]}, "files.0.path"),
        ({"files": [{"path": "/blobs/x", "size": 1, "sha256": "0" * 64}]}, "files.0.path"),
        ({"files": [{"path": "blobs/x", "size": 1, "sha256": "short"}]}, "files.0.sha256"),
        ({"manifest": {"path": MANIFEST, "digest": "md5:1"}}, "manifest.digest"),
    ],
)
def test_a_record_that_can_not_be_is_damage_not_a_store(
    bucket: Bucket, changes: dict[str, Any], said: str
) -> None:
    publish(bucket, **changes)
    store = read_store(bucket, PREFIX)
    assert store.state is StoreState.DAMAGED
    assert store.record is None
    assert store.problems[0].startswith(f"store.json can't be read: {said}")


def test_a_record_that_is_cut_off_is_damage(bucket: Bucket) -> None:
    publish(bucket)
    put(bucket, "store.json", json.dumps(record()).encode()[:-20])
    assert read_store(bucket, PREFIX).state is StoreState.DAMAGED


def test_a_record_without_its_manifest_is_damage(bucket: Bucket) -> None:
    files = [each for each in record()["files"] if each["path"] != MANIFEST]
    publish(bucket, files=files)
    assert read_store(bucket, PREFIX).problems == (
        f"store.json doesn't list its manifest {MANIFEST}",
    )


def test_something_huge_in_the_place_of_a_record_is_not_read_into_memory(bucket: Bucket) -> None:
    publish(bucket)
    put(bucket, "store.json", b" " * (1024**2 + 1))
    with pytest.raises(Failed, match=r"store\.json has more than 1048576 bytes"):
        read_store(bucket, PREFIX)


def test_the_list_has_every_store_and_nothing_else(bucket: Bucket) -> None:
    other = "stores/ollama-0.33.3/llama3.1-8b/Q8_0/"
    publish(bucket)
    put(bucket, "blobs/sha256-00", b"half", prefix=other)
    put(bucket, "file", b"no store", prefix="stores/")
    put(bucket, "source.gguf", b"GGUF", prefix="sources/")
    found = {store.prefix: store.state for store in list_stores(bucket)}
    assert found == {PREFIX: StoreState.COMPLETE, other: StoreState.PARTIAL}


def test_a_store_is_removed_record_first_and_its_neighbours_stay(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(bucket)
    publish(bucket, prefix="stores/ollama-0.33.3/gemma3-270m/Q8_0/")
    order: list[str] = []
    delete = bucket.delete

    def told(keys: list[str]) -> int:
        order.extend(keys)
        return delete(keys)

    monkeypatch.setattr(bucket, "delete", told)
    assert remove_store(bucket, PREFIX) == 4
    assert order[0] == PREFIX + "store.json"
    assert read_store(bucket, PREFIX).state is StoreState.ABSENT
    assert [store.quantization for store in list_stores(bucket)] == ["Q8_0"]


def test_a_removal_that_is_cut_off_leaves_no_store_and_is_taken_up(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(bucket)
    delete = bucket.delete
    calls = 0

    def cut(keys: list[str]) -> int:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise Failed("the network went")
        return delete(keys)

    monkeypatch.setattr(bucket, "delete", cut)
    with pytest.raises(Failed, match="the network went"):
        remove_store(bucket, PREFIX)
    assert read_store(bucket, PREFIX).state is StoreState.PARTIAL
    monkeypatch.setattr(bucket, "delete", delete)
    assert remove_store(bucket, PREFIX) == 3


def test_more_objects_than_one_page_are_all_seen_and_deleted(bucket: Bucket) -> None:
    for number in range(1005):
        put(bucket, f"blobs/sha256-{number:064x}", b"x")
    assert len(bucket.sizes(PREFIX)) == 1005
    assert remove_store(bucket, PREFIX) == 1005
    assert bucket.sizes(PREFIX) == {}
