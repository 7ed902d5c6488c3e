"""The bucket of an environment's model stores, for who looks after them from here."""

from __future__ import annotations

from moltghost import paths
from moltghost.config import AwsCloudSpec, EnvironmentConfig
from moltghost.errors import Refused
from moltghost.lifecycle.environments import is_embedded
from moltghost.local.cluster import weights_store
from moltghost.planning.cloud import plan_cloud
from moltghost.store_layout import bucket_name, prefix_of
from moltghost.weights_store.bucket import Bucket, BucketLocation
from moltghost.weights_store.store import Store, read_store


def open_bucket(environment: EnvironmentConfig) -> Bucket:
    """The environment's bucket; nothing is asked of it yet.

    Raises:
        Refused: the environment has none, or its cluster was never up.
    """
    return Bucket(_location(environment))


def ensure_bucket(environment: EnvironmentConfig) -> Bucket:
    """The environment's bucket, made first where that is up to this machine.

    Raises:
        Refused: as for `open_bucket`.
        Failed: the store doesn't answer.
    """
    location = _location(environment)
    if is_embedded(environment):
        weights_store.ensure_bucket(location)
    return Bucket(location)


def store_at(bucket: Bucket, url: str) -> Store:
    """The store of a URL, as it is now.

    Raises:
        Failed: the bucket can't be read.
    """
    return read_store(bucket, prefix_of(url))


def _location(environment: EnvironmentConfig) -> BucketLocation:
    cloud = plan_cloud(environment)
    name = bucket_name(cloud.weights_store.url)
    if is_embedded(environment):
        return weights_store.location(paths.cluster_home(), name)
    if isinstance(environment.cloud, AwsCloudSpec):
        return BucketLocation(bucket=name, region=cloud.region)
    raise Refused(
        f"environment {environment.name} has no weights store that this command reaches: its "
        "cluster is one that you brought",
        "use the embedded cluster (no kubeconfig in its stack file) or an AWS environment",
    )
