"""Uploads of sources: whole or not there, and taken up again where they were cut off."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from moltghost.errors import Failed
from moltghost.progress import Event, silent
from moltghost.store_layout import source_key
from moltghost.weights_store import sources
from moltghost.weights_store.bucket import Bucket
from moltghost.weights_store.sources import hash_file, upload_source

MIB = 1024**2
CONTENT = b"GGUF" + bytes(MIB - 4) + b"1" * MIB * 15 + b"2" * 9 * MIB  # 16 MiB and 9 MiB
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.gguf"
    path.write_bytes(CONTENT)
    return path


def content(bucket: Bucket) -> bytes:
    return b"".join(bucket.chunks(source_key(SHA256)))


def counting(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of the parts that are sent from here on."""
    sent: list[int] = []
    upload_part = bucket.client.upload_part

    def told(**arguments: Any) -> Any:
        sent.append(arguments["PartNumber"])
        return upload_part(**arguments)

    monkeypatch.setattr(bucket.client, "upload_part", told)
    return sent


def test_a_source_is_called_after_its_sha256_and_arrives_whole(bucket: Bucket, file: Path) -> None:
    events: list[Event] = []
    sha256 = hash_file(file, events.append)
    assert sha256 == SHA256
    assert upload_source(bucket, file, sha256, events.append) == f"sources/{SHA256}.gguf"
    assert content(bucket) == CONTENT
    assert [event.task for event in events if event.state == "done"] == [
        "hash model.gguf",
        "upload model.gguf",
    ]
    assert events[-1].detail.startswith("25.0 MiB of 25.0 MiB")


def test_a_source_that_is_there_is_not_sent_again(
    bucket: Bucket, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload_source(bucket, file, SHA256, silent)
    sent = counting(bucket, monkeypatch)
    events: list[Event] = []
    upload_source(bucket, file, SHA256, events.append)
    assert sent == []
    assert [event.state for event in events] == ["cached"]
    upload_source(bucket, file, SHA256, silent, anew=True)
    assert sorted(sent) == [1, 2]


def test_an_upload_that_was_cut_off_sends_only_what_is_missing(
    bucket: Bucket, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload_part = bucket.client.upload_part

    def cut(**arguments: Any) -> Any:
        if arguments["PartNumber"] == 2:
            raise KeyboardInterrupt
        return upload_part(**arguments)

    with monkeypatch.context() as patch:
        patch.setattr(bucket.client, "upload_part", cut)
        with pytest.raises(KeyboardInterrupt):
            upload_source(bucket, file, SHA256, silent)
    assert bucket.size(source_key(SHA256)) is None

    # moto keeps no checksums of parts; S3 lists each with the one that it was sent with.
    list_parts(bucket, monkeypatch, {1: CONTENT[: 16 * MIB]})
    sent = counting(bucket, monkeypatch)
    events: list[Event] = []
    upload_source(bucket, file, SHA256, events.append)
    assert sent == [2]
    assert content(bucket) == CONTENT
    assert events[0].detail.startswith("16.0 MiB of 25.0 MiB")


def test_an_interrupt_sends_no_part_that_waits(
    bucket: Bucket, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "_PART_BYTES", MIB)  # 25 of them
    sent = counting(bucket, monkeypatch)
    patient = sources.wait

    def interrupted(*arguments: Any, **_options: Any) -> Any:
        patient(arguments[0], return_when="FIRST_COMPLETED")
        raise KeyboardInterrupt

    monkeypatch.setattr(sources, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        upload_source(bucket, file, SHA256, silent)
    assert len(sent) < 15


@pytest.fixture
def assembly(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The bucket says success to a completion and does it later; counts the looks until then."""
    monkeypatch.setattr(sources, "_POLL_SECONDS", 0.0)
    complete, size = bucket.client.complete_multipart_upload, bucket.size
    asked: list[dict[str, Any]] = []
    looks: list[int] = []

    class Client:
        def complete_multipart_upload(self, **arguments: Any) -> None:
            asked.append(arguments)

    def look(key: str) -> int | None:
        if asked:
            looks.append(len(looks))
        if len(looks) == 3:
            complete(**asked[0])
        return size(key)

    monkeypatch.setattr(bucket, "unhurried_client", Client)
    monkeypatch.setattr(bucket, "size", look)
    return looks


def test_what_is_still_being_assembled_is_not_done(
    bucket: Bucket, file: Path, assembly: list[int]
) -> None:
    upload_source(bucket, file, SHA256, silent)
    assert content(bucket) == CONTENT
    assert len(assembly) == 3


def test_what_never_is_assembled_is_a_failure(
    bucket: Bucket, file: Path, assembly: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "_ASSEMBLED_WITHIN_SECONDS", -1.0)
    with pytest.raises(Failed, match="isn't there in its size"):
        upload_source(bucket, file, SHA256, silent)


def test_the_answer_to_an_assembly_is_waited_for(bucket: Bucket) -> None:
    assert bucket.unhurried_client().meta.config.read_timeout == 3600  # type: ignore[attr-defined]


def test_a_part_of_another_content_is_sent_again(
    bucket: Bucket, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = bucket.client.create_multipart_upload(
        Bucket=bucket.name, Key=source_key(SHA256), ChecksumAlgorithm="SHA256"
    )["UploadId"]
    bucket.client.upload_part(
        Bucket=bucket.name,
        Key=source_key(SHA256),
        UploadId=upload,
        PartNumber=1,
        Body=b"3" * 16 * MIB,
    )
    list_parts(bucket, monkeypatch, {1: b"3" * 16 * MIB})
    sent = counting(bucket, monkeypatch)
    upload_source(bucket, file, SHA256, silent)
    assert sorted(sent) == [1, 2]
    assert content(bucket) == CONTENT


def list_parts(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, checksums: dict[int, bytes]
) -> None:
    """Let the bucket list its parts with checksums, as S3 does."""
    import base64

    there = sources._Upload._there

    def listed(self: Any, upload: str) -> Any:
        found = there(self, upload)
        for number, body in checksums.items():
            digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
            found[number]["ChecksumSHA256"] = digest
        return found

    monkeypatch.setattr(sources._Upload, "_there", listed)


def test_parts_grow_so_that_ten_thousand_are_enough(bucket: Bucket, tmp_path: Path) -> None:
    huge = tmp_path / "huge.gguf"
    with huge.open("wb") as stream:
        stream.truncate(800 * 10**9)  # a hole: no byte of it is on the disk
    upload = sources._Upload(bucket, "sources/x.gguf", huge)
    assert -(-(800 * 10**9) // upload._part_bytes) <= 10_000
