"""Sources of model stores: GGUF files below ``sources/``, called after their sha256.

An upload that was cut off is taken up where it ended: its parts are at the bucket, each with the
checksum that it was sent with.
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from moltghost.aws_errors import error_code
from moltghost.errors import Failed
from moltghost.progress import Event, Meter, Report
from moltghost.store_layout import source_key
from moltghost.units import MIB
from moltghost.weights_store.bucket import Bucket

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef, PartTypeDef

_PART_BYTES = 16 * MIB
_MOST_PARTS = 10_000  # S3's limit
_UPLOADERS = 4
_HASH_BYTES = MIB
_ASSEMBLED_WITHIN_SECONDS, _POLL_SECONDS = 600.0, 1.0
_PERMISSIONS = (
    "s3:PutObject",
    "s3:ListBucketMultipartUploads",
    "s3:ListMultipartUploadParts",
    "kms:GenerateDataKey",
)


def hash_file(path: Path, report: Report) -> str:
    """The sha256 of a file, with progress."""
    digest = hashlib.sha256()
    meter = Meter(report, f"hash {path.name}", path.stat().st_size)
    with path.open("rb") as stream:
        while chunk := stream.read(_HASH_BYTES):
            digest.update(chunk)
            meter.add(len(chunk))
    meter.end()
    return digest.hexdigest()


def upload_source(
    bucket: Bucket, path: Path, sha256: str, report: Report, *, anew: bool = False
) -> str:
    """Put a file into the bucket unless it is there; returns its key.

    Args:
        bucket: where to.
        path: the file, which doesn't change meanwhile.
        sha256: of the file; whoever builds from the object holds it against this.
        report: told of bytes, rate and ETA.
        anew: also replace an object that is there.

    Raises:
        Failed: it can't be put there, or the file changed; what was uploaded is kept for next time.
    """
    key, size = source_key(sha256), path.stat().st_size
    if not anew and bucket.size(key) == size:
        report(Event(task=f"upload {path.name}", state="cached", detail="it is in the store"))
        return key
    with bucket.explained(f"uploading {path.name}", _PERMISSIONS):
        _Upload(bucket, key, path).run(report)
    return key


class _Upload:
    """One multipart upload of a file, new or taken up again."""

    def __init__(self, bucket: Bucket, key: str, path: Path) -> None:
        self._bucket, self._client, self._name = bucket, bucket.client, bucket.name
        self._key, self._path = key, path
        self._size = path.stat().st_size
        self._part_bytes = max(_PART_BYTES, -(-self._size // _MOST_PARTS))

    def run(self, report: Report) -> None:
        upload = self._open()
        there = self._there(upload)
        kept = sum(part["Size"] for part in there.values())
        meter = Meter(report, f"upload {self._path.name}", self._size, kept=kept)
        try:
            parts = self._parts(upload, there, meter)
            self._complete(upload, parts)
        except BaseException:
            meter.end("failed")
            raise
        meter.end()

    def _complete(self, upload: str, parts: list[CompletedPartTypeDef]) -> None:
        """Make the parts one object, and wait until it is.

        versitygw says success to a second request while it still copies the parts for the first.
        """
        try:
            self._bucket.unhurried_client().complete_multipart_upload(
                Bucket=self._name,
                Key=self._key,
                UploadId=upload,
                MultipartUpload={"Parts": parts},
            )
        except ClientError as error:
            if error_code(error) != "NoSuchUpload":  # a try whose answer was lost had completed it
                raise
        deadline = time.monotonic() + _ASSEMBLED_WITHIN_SECONDS
        while self._bucket.size(self._key) != self._size:
            if time.monotonic() > deadline:
                raise Failed(
                    f"{self._name}/{self._key} was uploaded and isn't there in its size",
                    "run the same command again: it uploads what is missing",
                )
            time.sleep(_POLL_SECONDS)

    def _open(self) -> str:
        """The latest upload of this file that was begun and not ended, else a new one."""
        pages = self._client.get_paginator("list_multipart_uploads").paginate(
            Bucket=self._name, Prefix=self._key
        )
        begun = [
            each for page in pages for each in page.get("Uploads", ()) if each["Key"] == self._key
        ]
        if begun:
            return max(begun, key=lambda each: each["Initiated"])["UploadId"]
        return self._client.create_multipart_upload(
            Bucket=self._name, Key=self._key, ChecksumAlgorithm="SHA256"
        )["UploadId"]

    def _there(self, upload: str) -> dict[int, PartTypeDef]:
        pages = self._client.get_paginator("list_parts").paginate(
            Bucket=self._name, Key=self._key, UploadId=upload
        )
        return {part["PartNumber"]: part for page in pages for part in page.get("Parts", ())}

    def _parts(
        self, upload: str, there: Mapping[int, PartTypeDef], meter: Meter
    ) -> list[CompletedPartTypeDef]:
        """Send what isn't there, some parts at a time; the first failure ends it."""
        count = max(1, -(-self._size // self._part_bytes))
        with ThreadPoolExecutor(max_workers=_UPLOADERS) as pool:
            try:
                sending = [
                    pool.submit(self._part, upload, number, there.get(number), meter)
                    for number in range(1, count + 1)
                ]
                wait(sending, return_when=FIRST_EXCEPTION)
            finally:
                # Also of an interrupt: leaving the pool would wait for every part there is.
                pool.shutdown(wait=False, cancel_futures=True)
        # A failed one first: of a cancelled one nothing can be learned.
        failed = next(
            (e for each in sending if not each.cancelled() and (e := each.exception())), None
        )
        if failed:
            raise failed
        return [each.result() for each in sending]

    def _part(
        self, upload: str, number: int, there: PartTypeDef | None, meter: Meter
    ) -> CompletedPartTypeDef:
        with self._path.open("rb") as stream:
            stream.seek((number - 1) * self._part_bytes)
            content = stream.read(self._part_bytes)
        checksum = base64.b64encode(hashlib.sha256(content).digest()).decode()
        same = there and (there["Size"], there.get("ChecksumSHA256")) == (len(content), checksum)
        if there and same:
            tag = there["ETag"]
        else:
            if there:
                meter.add(-there["Size"])
            tag = self._client.upload_part(
                Bucket=self._name,
                Key=self._key,
                UploadId=upload,
                PartNumber=number,
                Body=content,
                ChecksumSHA256=checksum,
            )["ETag"]
            meter.add(len(content))
        return {"PartNumber": number, "ETag": tag, "ChecksumSHA256": checksum}
