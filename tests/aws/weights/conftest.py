from __future__ import annotations

from collections.abc import Iterator

import pytest
from moto import mock_aws

from moltghost.aws.weights.bucket import Bucket, Place


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    with mock_aws():
        found = Bucket(Place(bucket="moltghost-weights-test"))
        found.client.create_bucket(Bucket=found.name)
        yield found
