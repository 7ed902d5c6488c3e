from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from moto import mock_aws

from moltghost.environments.embedded import EmbeddedEnvironment
from moltghost.lifecycle.weights import job as running
from moltghost.weights_store.bucket import Bucket, BucketLocation, Key
from tests.lifecycle.projects import project


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """The bucket of environment `local`, at moto."""
    place = BucketLocation(bucket="moltghost-weights-local", key=Key("access", "secret"))
    monkeypatch.setattr(EmbeddedEnvironment, "_location", lambda _environment: place)
    monkeypatch.delenv("AWS_ENDPOINT_URL")  # moto answers at AWS's own addresses only
    with mock_aws():
        found = Bucket(place)
        found.client.create_bucket(Bucket=found.name)
        yield found


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with environment `local`, and no folder of the user's."""
    for name in ("XDG_CACHE_HOME", "MOLTGHOST_STATE"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setattr(running, "_POLL_SECONDS", 0.0)
    folder = tmp_path / "project"
    folder.mkdir()
    return project(folder)
