"""The embedded cluster's weights store: its key, its location, its bucket."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from moto import mock_aws

from moltghost.errors import Refused
from moltghost.local.cluster import weights_store
from moltghost.local.cluster.layout import Layout
from moltghost.local.cluster.ports import ensure_ports
from moltghost.weights_store.bucket import Bucket, BucketLocation


def test_the_key_is_made_once_for_the_user_alone_and_differs_between_clusters(
    tmp_path: Path,
) -> None:
    one, other = tmp_path / "one.json", tmp_path / "other.json"
    weights_store.ensure_key(one)
    weights_store.ensure_key(other)
    key = weights_store.read_key(one)
    assert key is not None
    assert len(key.secret) >= 43  # 32 random bytes
    assert key.secret not in repr(key)
    assert one.stat().st_mode & 0o777 == 0o600
    weights_store.ensure_key(one)
    assert weights_store.read_key(one) == key
    assert weights_store.read_key(other) != key


@pytest.mark.parametrize("content", ["", "{", "[]", '{"access_key": "x"}'])
def test_a_broken_key_is_made_anew(tmp_path: Path, content: str) -> None:
    file = tmp_path / "key.json"
    file.write_text(content)
    assert weights_store.read_key(file) is None
    weights_store.ensure_key(file)
    assert weights_store.read_key(file) is not None


def test_a_store_is_reached_on_loopback_with_the_clusters_key(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="it has never been started") as refused:
        weights_store.location(tmp_path, "b")
    assert refused.value.hint == "moltghost local up starts it"
    layout = Layout(tmp_path)
    weights_store.ensure_key(layout.weights_key)
    port = ensure_ports(layout.ports, running=())["weights-store"]
    location = weights_store.location(tmp_path, "b")
    assert location.endpoint == f"http://127.0.0.1:{port}"
    assert location.key == weights_store.read_key(layout.weights_key)


def test_the_bucket_is_made_once_and_only_its_stores_are_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL")  # moto answers at AWS's own addresses only
    with mock_aws():
        location = BucketLocation(bucket="moltghost-weights-local")
        weights_store.ensure_bucket(location)
        weights_store.ensure_bucket(location)
        client = Bucket(location).client
        assert [each["Name"] for each in client.list_buckets()["Buckets"]] == [location.bucket]
        policy = json.loads(client.get_bucket_policy(Bucket=location.bucket)["Policy"])
    assert [(s["Principal"], s["Action"], s["Resource"]) for s in policy["Statement"]] == [
        ("*", ["s3:GetObject"], ["arn:aws:s3:::moltghost-weights-local/stores/*"])
    ]
