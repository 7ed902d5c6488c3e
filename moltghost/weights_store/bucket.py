"""One bucket: listed, read, emptied, with errors that say what to do next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as BotoConnectionError

from moltghost.aws_errors import error_code, trouble
from moltghost.errors import Failed, Refused

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_CHUNK_BYTES = 1024**2
_DELETED_AT_ONCE = 1000  # the most that DeleteObjects takes
_MISSING = {"404", "NoSuchKey", "NotFound"}
_NO_BUCKET = "NoSuchBucket"
_READ_SECONDS = 60
# versitygw copies all parts of an object before it answers that they are one.
_ASSEMBLY_SECONDS = 3600


@dataclass(frozen=True)
class Key:
    """Who writes to a store that isn't AWS's own."""

    access: str
    secret: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class BucketLocation:
    """Where a bucket is, and who asks.

    Args:
        bucket: its name.
        region: of the bucket.
        endpoint: URL of the S3 service; empty is AWS's own.
        key: the store's own key; without one, credentials come from boto3's usual chain.
        start_hint: what to do when the endpoint doesn't answer.
        connections: requests at a time.
    """

    bucket: str
    region: str = "us-east-1"
    endpoint: str = ""
    key: Key | None = None
    start_hint: str = ""
    connections: int = 16


class Bucket:
    """A bucket, usable from many threads."""

    def __init__(self, location: BucketLocation) -> None:
        self.location = location
        self.name = location.bucket
        self._made: S3Client | None = None

    @property
    def client(self) -> S3Client:
        """The client itself, for requests that only one caller has."""
        if self._made is None:
            with self.explained("connecting", ()):
                self._made = _connect(self.location)
        return self._made

    def unhurried_client(self) -> S3Client:
        """A client for a request that is answered when its work is done."""
        return _connect(self.location, _ASSEMBLY_SECONDS)

    @contextmanager
    def explained(self, what: str, permissions: tuple[str, ...]) -> Iterator[None]:
        """Turn boto3's exceptions into errors that a person can do something about.

        Args:
            what: what is being done, to begin the message with.
            permissions: IAM actions that it needs.

        Raises:
            Refused: there is no such bucket.
            Failed: anything else.
        """
        try:
            yield
        except (BotoCoreError, ClientError) as error:
            if isinstance(error, ClientError) and error_code(error) == _NO_BUCKET:
                raise self._no_bucket() from error
            if self.location.endpoint and isinstance(error, HTTPClientError | BotoConnectionError):
                raise Failed(
                    f"{what}: the weights store {self.location.endpoint} doesn't answer",
                    self.location.start_hint,
                ) from error
            found = trouble(error, permissions)
            raise Failed(f"{what}: {found.found}", found.remedy) from error

    def _no_bucket(self) -> Refused:
        return Refused(
            f"there is no bucket {self.name} for weights",
            self.location.start_hint or "bring the environment up first: it makes the bucket",
        )

    def sizes(self, prefix: str) -> dict[str, int]:
        """Keys below a prefix with the bytes of each; none where there is no such bucket yet."""
        found: dict[str, int] = {}
        try:
            with self.explained(f"listing {self.name}/{prefix}", ("s3:ListBucket",)):
                pages = self.client.get_paginator("list_objects_v2").paginate(
                    Bucket=self.name, Prefix=prefix
                )
                for page in pages:
                    found |= {each["Key"]: each["Size"] for each in page.get("Contents", ())}
        except Refused:
            return {}
        return found

    def size(self, key: str) -> int | None:
        """Bytes of an object, None if there is none."""
        with self.explained(f"looking at {self.name}/{key}", ("s3:GetObject", "s3:ListBucket")):
            try:
                return self.client.head_object(Bucket=self.name, Key=key)["ContentLength"]
            except ClientError as error:
                if error_code(error) in _MISSING:
                    return None
                raise

    def read(self, key: str, most: int) -> bytes | None:
        """A small object; None if there is none.

        Raises:
            Failed: it is larger than ``most`` bytes.
        """
        text = bytearray()
        try:
            for chunk in self.chunks(key):
                text += chunk
                if len(text) > most:
                    raise Failed(
                        f"{self.name}/{key} has more than {most} bytes",
                        "something else was put there; remove it",
                    )
        except MissingObject:
            return None
        return bytes(text)

    def chunks(self, key: str) -> Iterator[bytes]:
        """The bytes of an object.

        Raises:
            MissingObject: there is none.
        """
        with self.explained(f"reading {self.name}/{key}", ("s3:GetObject", "kms:Decrypt")):
            try:
                body = self.client.get_object(Bucket=self.name, Key=key)["Body"]
            except ClientError as error:
                if error_code(error) in _MISSING:
                    raise MissingObject(f"{self.name}/{key} isn't there") from error
                raise
            yield from body.iter_chunks(_CHUNK_BYTES)

    def delete(self, keys: Sequence[str]) -> int:
        """Delete objects; returns how many.

        Raises:
            Failed: one of them could not be deleted.
        """
        for start in range(0, len(keys), _DELETED_AT_ONCE):
            some = keys[start : start + _DELETED_AT_ONCE]
            with self.explained(f"deleting from {self.name}", ("s3:DeleteObject",)):
                answer = self.client.delete_objects(
                    Bucket=self.name,
                    Delete={"Objects": [{"Key": key} for key in some], "Quiet": True},
                )
            if errors := answer.get("Errors"):
                first = errors[0]
                raise Failed(
                    f"{self.name}/{first.get('Key')} can't be deleted: {first.get('Message')}",
                    "have s3:DeleteObject granted to who runs this, then run it again",
                )
        return len(keys)


class MissingObject(Failed):
    """There is no such object."""


def _connect(location: BucketLocation, read_seconds: int = _READ_SECONDS) -> S3Client:
    # It takes long to load, and most commands that can ask a store don't.
    import boto3

    key = location.key
    session = boto3.Session(
        aws_access_key_id=key.access if key else None,
        aws_secret_access_key=key.secret if key else None,
    )
    settings: dict[str, Any] = {
        "connect_timeout": 5,
        "read_timeout": read_seconds,
        "retries": {"mode": "standard", "total_max_attempts": 5},
        "max_pool_connections": location.connections,
        "user_agent_extra": "moltghost",
        # What is read is held against a sha256 of ours, which also names what is corrupt; the
        # SDK's own check would only end the reading.
        "response_checksum_validation": "when_required",
    }
    if location.endpoint:
        # The store on this machine is behind no proxy and has no names for buckets.
        settings |= {"proxies": {}, "s3": {"addressing_style": "path"}}
    return session.client(
        "s3",
        region_name=location.region,
        endpoint_url=location.endpoint or None,
        config=Config(**settings),
    )
