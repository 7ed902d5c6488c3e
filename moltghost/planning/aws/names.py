"""Names, ARNs and tags of an environment on AWS, all known before anything exists."""

from __future__ import annotations

import hashlib

from moltghost.errors import Refused
from moltghost.labels import environment_labels
from moltghost.planning.base import Plan

# "moltghost-weights-<environment>-<account>" is a bucket name: 63 characters at most.
ENVIRONMENT_NAME_MAX = 30
_ROLE_NAME_MAX = 64  # IAM quotas, "IAM object name limits"
_HASH_LENGTH = 8
_PARTITION = "aws"


class AwsScope(Plan):
    """Where an environment lies: what its names and ARNs are made of."""

    environment: str
    account_id: str
    region: str

    @property
    def name(self) -> str:
        """The cluster's name and the start of most others."""
        return f"moltghost-{self.environment}"

    @property
    def registry(self) -> str:
        """Registry with a path that all of the environment's own images lie under."""
        return f"{self.account_id}.dkr.ecr.{self.region}.amazonaws.com/{self.name}"

    @property
    def cluster_arn(self) -> str:
        """ARN of the cluster."""
        return self.arn("eks", f"cluster/{self.name}")

    @property
    def tags(self) -> dict[str, str]:
        """Tags of everything; cost is split by them."""
        return environment_labels(self.environment)

    def arn(self, service: str, resource: str) -> str:
        """ARN of a resource of this account and region."""
        return f"arn:{_PARTITION}:{service}:{self.region}:{self.account_id}:{resource}"

    def bucket_arn(self, bucket: str) -> str:
        """ARN of a bucket."""
        return f"arn:{_PARTITION}:s3:::{bucket}"

    def role_name(self, what: str) -> str:
        """Name of a role; a long one is cut and made unique by a hash."""
        name = f"{self.name}-{what}"
        if len(name) <= _ROLE_NAME_MAX:
            return name
        digest = hashlib.sha256(name.encode()).hexdigest()[:_HASH_LENGTH]
        return f"{name[: _ROLE_NAME_MAX - _HASH_LENGTH - 1]}-{digest}"

    def role_arn(self, what: str) -> str:
        """ARN of a role of ours."""
        return self.iam_arn(f"role/{self.role_name(what)}")

    def iam_arn(self, resource: str) -> str:
        """ARN of an IAM resource of this account."""
        return f"arn:{_PARTITION}:iam::{self.account_id}:{resource}"

    def alias(self, what: str) -> str:
        """Alias of a KMS key; policies name keys by it, since their ids aren't known before."""
        return f"alias/{self.name}-{what}"


def checked_scope(environment: str, account_id: str, region: str) -> AwsScope:
    """The scope of an environment.

    Raises:
        Refused: the environment's name is too long for the names made of it.
    """
    if len(environment) > ENVIRONMENT_NAME_MAX:
        raise Refused(
            f"environment name {environment!r} has {len(environment)} characters",
            f"use {ENVIRONMENT_NAME_MAX} at most on AWS: buckets and roles are named after it",
        )
    return AwsScope(environment=environment, account_id=account_id, region=region)
