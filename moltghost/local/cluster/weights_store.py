"""The weights store of the embedded cluster: S3 by versitygw, on a directory of its home.

Reading below ``stores/`` is open to whoever reaches it, which are this machine and the cluster's
pods; everything else needs the key, which lies in a file of mode 0600.
"""

from __future__ import annotations

import json
import secrets
from pathlib import Path

from moltghost.errors import Refused
from moltghost.files import write_private
from moltghost.local.cluster.layout import Layout
from moltghost.local.cluster.ports import LOOPBACK, read_ports
from moltghost.store_layout import STORES
from moltghost.weights_store.bucket import Bucket, BucketLocation, Key

PROCESS = "weights-store"
# What a pod or a person is told; S3 requests are signed for a region, whichever it is.
REGION = "us-east-1"
_ACCESS_KEY = "moltghost-local"
_SECRET_BYTES = 32
_START = "moltghost local up starts it"


def ensure_key(path: Path) -> None:
    """Generate the key of the store once."""
    if read_key(path) is None:
        key = {"access_key": _ACCESS_KEY, "secret_key": secrets.token_urlsafe(_SECRET_BYTES)}
        write_private(path, json.dumps(key) + "\n", durable=False)


def read_key(path: Path) -> Key | None:
    """The key, None where there is no such file or it is broken."""
    try:
        found = json.loads(path.read_text())
        return Key(found["access_key"], found["secret_key"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def location(home: Path, bucket: str) -> BucketLocation:
    """Where a bucket of the cluster's store is, for who is on this machine.

    Raises:
        Refused: the cluster has no store, because it has never been started.
    """
    layout = Layout(home)
    key, ports = read_key(layout.weights_key), read_ports(layout.ports)
    if key is None or PROCESS not in ports:
        raise Refused(
            f"the cluster in {home} has no weights store: it has never been started", _START
        )
    return BucketLocation(
        bucket=bucket,
        region=REGION,
        endpoint=f"http://{LOOPBACK}:{ports[PROCESS]}",
        key=key,
        start_hint=_START,
    )


def ensure_bucket(location: BucketLocation) -> None:
    """Make a bucket unless it is there, and let everybody read its stores.

    Raises:
        Failed: the store doesn't answer.
    """
    bucket = Bucket(location)
    with bucket.explained(f"making bucket {location.bucket}", ("s3:CreateBucket",)):
        listed = bucket.client.list_buckets()["Buckets"]
        if location.bucket not in {each["Name"] for each in listed}:
            bucket.client.create_bucket(Bucket=location.bucket)
        bucket.client.put_bucket_policy(Bucket=location.bucket, Policy=_policy(location.bucket))


def _policy(bucket: str) -> str:
    statement = {
        "Sid": "ReadStores",
        "Effect": "Allow",
        "Principal": "*",
        "Action": ["s3:GetObject"],
        "Resource": [f"arn:aws:s3:::{bucket}/{STORES}*"],
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
