"""Who reads and who fills the weights store, each within its own prefix."""

from __future__ import annotations

from moltghost.planning.aws.iam import Statement
from moltghost.planning.aws.names import AwsScope
from moltghost.store_layout import RECORD, SOURCES, STORES


def reader_statements(scope: AwsScope, bucket: str, prefix: str) -> tuple[Statement, ...]:
    """What a model server may do: read the one store of its model.

    Args:
        scope: where the bucket lies.
        bucket: its name.
        prefix: the store's prefix, with a slash at its end; `STORES` for all stores.

    Raises:
        ValueError: another prefix, which would let it read what isn't a store.
    """
    if not (prefix.startswith(STORES) and prefix.endswith("/")):
        raise ValueError(f"{prefix!r} isn't a prefix of stores")
    inside = f"{prefix}*"
    return (
        Statement(
            sid="ReadStore",
            actions=("s3:GetObject",),
            resources=(scope.bucket_arn(f"{bucket}/{inside}"),),
        ),
        Statement(
            sid="ListStore",
            actions=("s3:ListBucket",),
            resources=(scope.bucket_arn(bucket),),
            conditions={"StringLike": {"s3:prefix": (inside,)}},
        ),
        _by_key(scope, ("kms:Decrypt",)),
    )


def builder_statements(scope: AwsScope, bucket: str) -> tuple[Statement, ...]:
    """What the job that builds a store may do: read sources, read and add stores; never delete.

    Nor abort: an upload that was cut off is taken up, or ended by the bucket's lifecycle rule.
    """
    return (
        Statement(
            sid="ReadSources",
            actions=("s3:GetObject",),
            resources=(scope.bucket_arn(f"{bucket}/{SOURCES}*"),),
        ),
        Statement(
            sid="WriteStores",
            actions=("s3:GetObject", "s3:PutObject", "s3:ListMultipartUploadParts"),
            resources=(scope.bucket_arn(f"{bucket}/{STORES}*"),),
        ),
        # Without a prefix as condition: only then is a missing object answered by 404, which says
        # what to upload, and not by 403 (S3, HeadObject: "Permissions").
        _list_stores(scope, bucket),
        # To find an upload that was cut off. S3 knows no prefix as condition of this action.
        Statement(
            sid="FindUploads",
            actions=("s3:ListBucketMultipartUploads",),
            resources=(scope.bucket_arn(bucket),),
        ),
        _by_key(scope, ("kms:Decrypt", "kms:GenerateDataKey")),
    )


def record_statements(scope: AwsScope, bucket: str) -> tuple[Statement, ...]:
    """What a deploy asks of a store before anything changes: its record, not a byte of weights."""
    return (
        Statement(
            sid="ReadRecords",
            actions=("s3:GetObject",),
            resources=(scope.bucket_arn(f"{bucket}/{STORES}*/*/*/{RECORD}"),),
        ),
        # Without a prefix as condition, as for builders above; preflight's HeadBucket has none.
        _list_stores(scope, bucket),
        _by_key(scope, ("kms:Decrypt",)),
    )


def _list_stores(scope: AwsScope, bucket: str) -> Statement:
    return Statement(
        sid="ListStores", actions=("s3:ListBucket",), resources=(scope.bucket_arn(bucket),)
    )


def _by_key(scope: AwsScope, actions: tuple[str, ...]) -> Statement:
    """The weights key, named by its alias; its id isn't known before it exists."""
    return Statement(
        sid="WeightsKey",
        actions=actions,
        resources=(scope.arn("kms", "key/*"),),
        conditions={
            "ForAnyValue:StringEquals": {"kms:ResourceAliases": (scope.alias("weights"),)},
            "StringEquals": {"kms:ViaService": (f"s3.{scope.region}.amazonaws.com",)},
        },
    )
