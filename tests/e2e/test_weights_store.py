"""What model stores stand on, against the real store: versitygw on a directory."""

from __future__ import annotations

import hashlib
import http.client
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from moltghost.aws_errors import error_code
from moltghost.errors import Failed
from moltghost.local.build import builder
from moltghost.local.cluster import weights_store
from moltghost.progress import Event, silent
from moltghost.store_layout import source_key
from moltghost.weights_store.bucket import Bucket, BucketLocation, Key
from moltghost.weights_store.sources import hash_file, upload_source
from moltghost.weights_store.store import StoreState, list_stores, read_store, remove_store
from moltghost.weights_store.verify import verify_store
from tests.e2e.store_process import NAME, Store
from tests.weights_store.stores import MANIFEST, PREFIX, WEIGHTS, blob, publish, put, record

pytestmark = pytest.mark.e2e

MIB = 1024**2


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    builder.ensure_built(names=["weights-store"])
    found = Store(tmp_path_factory.mktemp("home"))
    found.start()
    weights_store.ensure_bucket(found.bucket.location)
    yield found
    found.stop()


@pytest.fixture
def bucket(store: Store) -> Iterator[Bucket]:
    """The bucket, empty again afterwards."""
    found = store.bucket
    yield found
    found.delete(list(found.sizes("")))


def anonymous(store: Store, method: str, path: str, body: bytes | None = None) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", store.port, timeout=10)
    try:
        connection.request(method, f"/{NAME}/{path}", body=body)
        return connection.getresponse().status
    finally:
        connection.close()


def test_everybody_reads_stores_and_nothing_else(store: Store, bucket: Bucket) -> None:
    publish(bucket)
    put(bucket, "x.gguf", b"GGUF", prefix="sources/")
    assert anonymous(store, "GET", PREFIX + "store.json") == 200
    assert anonymous(store, "HEAD", PREFIX + MANIFEST) == 200
    assert anonymous(store, "GET", "sources/x.gguf") == 403
    assert anonymous(store, "GET", "?list-type=2") == 403
    assert anonymous(store, "GET", PREFIX + "blobs/sha256-none") == 404


def test_nobody_writes_without_the_key(store: Store, bucket: Bucket) -> None:
    publish(bucket)
    assert anonymous(store, "PUT", PREFIX + "blobs/sha256-bad", b"poison") == 403
    assert anonymous(store, "PUT", PREFIX + "store.json", b"{}") == 403
    assert anonymous(store, "DELETE", PREFIX + "store.json") == 403
    assert anonymous(store, "POST", PREFIX + "blobs/x?uploads", b"") == 403
    location = bucket.location
    wrong = Bucket(
        BucketLocation(
            bucket=NAME, endpoint=location.endpoint, key=Key("moltghost-local", "wrong" * 8)
        )
    )
    with pytest.raises(Failed, match="SignatureDoesNotMatch"):
        put_explained(wrong)
    assert read_store(bucket, PREFIX).state is StoreState.COMPLETE


def put_explained(bucket: Bucket) -> None:
    with bucket.explained("writing", ("s3:PutObject",)):
        put(bucket, "store.json", b"{}")


def test_files_on_the_disk_are_the_users_alone(store: Store, bucket: Bucket) -> None:
    publish(bucket)
    files = [path for path in store.objects.rglob("*") if path.is_file()]
    assert len(files) >= 4
    assert all(path.stat().st_mode & 0o077 == 0 for path in files)
    assert store.layout.weights_key.stat().st_mode & 0o777 == 0o600


def test_of_many_who_publish_a_store_at_once_exactly_one_wins(bucket: Bucket) -> None:
    def once(number: int) -> str:
        body = json.dumps(record(source=f"builder {number}")).encode()
        try:
            bucket.client.put_object(
                Bucket=NAME, Key=PREFIX + "store.json", Body=body, IfNoneMatch="*"
            )
        except ClientError as error:
            return error_code(error)
        return "won"

    with ThreadPoolExecutor(max_workers=8) as pool:
        outcomes = list(pool.map(once, range(24)))
    assert outcomes.count("won") == 1
    assert set(outcomes) == {"won", "PreconditionFailed"}
    winner = outcomes.index("won")
    text = bucket.read(PREFIX + "store.json", MIB)
    assert text is not None
    assert json.loads(text)["source"] == f"builder {winner}"


def test_no_reader_ever_meets_half_an_object(bucket: Bucket) -> None:
    """Two contents of different sizes are written over each other while others read."""
    small, large = b"a" * 300_000, b"b" * 3_000_000
    digests = {hashlib.sha256(each).hexdigest() for each in (small, large)}
    put(bucket, "blobs/x", small)
    stop, seen = threading.Event(), set[str]()

    def read() -> int:
        count = 0
        while not stop.is_set():
            found = hashlib.sha256(b"".join(bucket.chunks(PREFIX + "blobs/x"))).hexdigest()
            seen.add(found)
            count += 1
        return count

    with ThreadPoolExecutor(max_workers=3) as pool:
        readers = [pool.submit(read) for _ in range(3)]
        for number in range(40):
            put(bucket, "blobs/x", (large, small)[number % 2])
        stop.set()
        assert sum(reader.result() for reader in readers) > 3
    assert seen <= digests


def test_a_half_done_store_is_invisible_until_its_record_is_there(
    store: Store, bucket: Bucket
) -> None:
    put(bucket, blob(WEIGHTS), WEIGHTS)
    assert read_store(bucket, PREFIX).state is StoreState.PARTIAL
    assert anonymous(store, "GET", PREFIX + "store.json") == 404
    publish(bucket)
    [found] = list_stores(bucket)
    assert found.state is StoreState.COMPLETE
    assert remove_store(bucket, PREFIX) == 4
    assert anonymous(store, "GET", PREFIX + "store.json") == 404
    assert read_store(bucket, PREFIX).state is StoreState.ABSENT


def test_a_bit_that_rots_on_the_disk_is_found_by_name(store: Store, bucket: Bucket) -> None:
    publish(bucket)
    assert verify_store(bucket, read_store(bucket, PREFIX)) == []
    with (store.objects / PREFIX / blob(WEIGHTS)).open("r+b") as file:
        file.seek(5000)
        byte = file.read(1)
        file.seek(5000)
        file.write(bytes([byte[0] ^ 1]))
    found = read_store(bucket, PREFIX)
    assert found.state is StoreState.COMPLETE, "its size is right: only reading finds it"
    [finding] = verify_store(bucket, found)
    assert finding.key == PREFIX + blob(WEIGHTS)
    assert "its sha256 is" in finding.why


def test_a_file_that_is_lost_or_cut_on_the_disk_is_damage(store: Store, bucket: Bucket) -> None:
    publish(bucket)
    (store.objects / PREFIX / MANIFEST).unlink()
    with (store.objects / PREFIX / blob(WEIGHTS)).open("r+b") as file:
        file.truncate(100)
    found = read_store(bucket, PREFIX)
    assert found.state is StoreState.DAMAGED
    assert set(found.problems) == {
        f"{MANIFEST} is missing",
        f"{blob(WEIGHTS)} has 100 bytes, not {len(WEIGHTS)}",
    }


def source(folder: Path, size: int = 80 * MIB) -> Path:
    path = folder / "model.gguf"
    block = bytes(range(256)) * 4096
    with path.open("wb") as stream:
        for number in range(size // MIB):
            stream.write(number.to_bytes(4, "little") + block[4:])
    return path


def test_an_upload_goes_on_after_both_sides_were_killed(
    store: Store, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = source(tmp_path)
    sha256 = hash_file(file, silent)
    client = bucket.client
    upload_part = client.upload_part

    def cut(**arguments: Any) -> Any:
        if arguments["PartNumber"] > 3:
            raise KeyboardInterrupt
        return upload_part(**arguments)

    with monkeypatch.context() as patch:
        patch.setattr(client, "upload_part", cut)
        with pytest.raises(KeyboardInterrupt):
            upload_source(bucket, file, sha256, silent)
    assert bucket.size(source_key(sha256)) is None
    store.kill()
    store.start()
    again, sent = store.bucket, list[int]()
    send = again.client.upload_part

    def counted(**arguments: Any) -> Any:
        sent.append(arguments["PartNumber"])
        return send(**arguments)

    monkeypatch.setattr(again.client, "upload_part", counted)
    events: list[Event] = []
    upload_source(again, file, sha256, events.append)
    assert sorted(sent) == [4, 5]
    assert events[0].detail.startswith("48.0 MiB of 80.0 MiB")
    digest = hashlib.sha256()
    for chunk in again.chunks(source_key(sha256)):
        digest.update(chunk)
    assert digest.hexdigest() == sha256


def test_a_store_that_is_away_is_said_to_be_with_what_starts_it(
    store: Store, bucket: Bucket
) -> None:
    publish(bucket)
    store.kill()
    try:
        with pytest.raises(Failed, match=r"the weights store .* doesn't answer") as failed:
            read_store(bucket, PREFIX)
        assert failed.value.hint == "moltghost local up starts it"
    finally:
        store.start()
    assert read_store(store.bucket, PREFIX).state is StoreState.COMPLETE
