from __future__ import annotations

from collections.abc import Iterator

import pytest
from moto import mock_aws

from moltghost.weights_store.bucket import Bucket, BucketLocation
from tests.aws.conftest import loopback, no_real_aws

__all__ = ["loopback", "no_real_aws"]


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    with mock_aws():
        found = Bucket(BucketLocation(bucket="moltghost-weights-test"))
        found.client.create_bucket(Bucket=found.name)
        yield found
