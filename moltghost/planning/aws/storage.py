"""The plan of what keeps data: keys, the weights store, and the registry of images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from moltghost.errors import Refused
from moltghost.planning.aws.facts import node_images
from moltghost.planning.aws.iam import ANYTHING, Statement, document
from moltghost.planning.aws.names import AwsScope
from moltghost.planning.base import Plan
from moltghost.planning.images import Images

KeyName = Literal["cluster", "weights", "disks", "logs"]
KEY_DELETION_DAYS = 30  # the longest that KMS grants to change one's mind
ABORTED_UPLOAD_DAYS = 2
# Weights are kept by digest and not changed in place: an old version is a mistake's undo.
OLD_VERSION_DAYS = 30
UNTAGGED_IMAGE_DAYS = 14

_THIS_KEY = "in a key's policy `*` is the key"
_USE = (
    "kms:Encrypt",
    "kms:Decrypt",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:DescribeKey",
)
_ADMINISTER = (
    "kms:DescribeKey",
    "kms:GetKeyPolicy",
    "kms:PutKeyPolicy",
    "kms:EnableKeyRotation",
    "kms:GetKeyRotationStatus",
    "kms:UpdateKeyDescription",
    "kms:EnableKey",
    "kms:DisableKey",
    "kms:ScheduleKeyDeletion",
    "kms:CancelKeyDeletion",
    "kms:CreateAlias",
    "kms:UpdateAlias",
    "kms:DeleteAlias",
    "kms:ListResourceTags",
    "kms:ListGrants",
    "kms:RevokeGrant",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:CreateGrant",
)


class KeyPlan(Plan):
    """A KMS key; it rotates every year and is never destroyed by accident."""

    name: KeyName
    description: str
    alias: str
    policy: str


class WeightsBucketPlan(Plan):
    """The bucket of model stores."""

    bucket: str
    policy: str


class RepositoryPlan(Plan):
    """A repository of images that the environment pulls, and where each is copied from."""

    name: str
    image: str
    source: str


def weights_bucket_name(scope: AwsScope) -> str:
    """Unique in the world by the account's id."""
    return f"moltghost-weights-{scope.environment}-{scope.account_id}"


def plan_keys(scope: AwsScope) -> tuple[KeyPlan, ...]:
    """One key for each kind of data, so that the right to one is no right to another."""
    extra: dict[KeyName, tuple[str, tuple[Statement, ...]]] = {
        "cluster": ("Secrets of the cluster", ()),
        "weights": ("Model weights and images", ()),
        "disks": ("Disks of nodes and volumes of agents", (_by_ec2(scope),)),
        "logs": ("Logs, interruption queue and alarms", (_by_logs(scope), _by_events(scope))),
    }
    return tuple(
        KeyPlan(
            name=name,
            description=f"{text} of {scope.name}",
            alias=scope.alias(name),
            policy=document([_by_account(scope), *statements]),
        )
        for name, (text, statements) in extra.items()
    )


def plan_weights_bucket(scope: AwsScope) -> WeightsBucketPlan:
    """The bucket, which nobody reaches without TLS."""
    bucket = weights_bucket_name(scope)
    arn = scope.bucket_arn(bucket)
    return WeightsBucketPlan(
        bucket=bucket,
        policy=document(
            [
                Statement(
                    sid="OnlyTls",
                    effect="Deny",
                    principals={"AWS": (ANYTHING,)},
                    actions=("s3:*",),
                    resources=(arn, f"{arn}/*"),
                    conditions={"Bool": {"aws:SecureTransport": ("false",)}},
                ),
                Statement(
                    sid="OnlyThisAccount",
                    effect="Deny",
                    principals={"AWS": (ANYTHING,)},
                    actions=("s3:*",),
                    resources=(arn, f"{arn}/*"),
                    conditions={"StringNotEquals": {"aws:PrincipalAccount": (scope.account_id,)}},
                ),
            ]
        ),
    )


def plan_repositories(
    scope: AwsScope, images: Images, digests: Mapping[str, str]
) -> tuple[RepositoryPlan, ...]:
    """A repository for every image that isolated nodes run: they reach no other registry.

    Raises:
        Refused: a digest is given for an image that there isn't.
    """
    sources = {**images.model_dump(), **node_images()}
    repositories = [_repository(source) for source in sources.values()]
    unknown = sorted(set(digests) - set(repositories))
    if unknown:
        raise Refused(
            f"image_digests names {', '.join(unknown)}, which isn't an image of the environment",
            f"its images are {', '.join(repositories)}",
        )
    return tuple(
        RepositoryPlan(
            name=f"{scope.name}/{_repository(source)}",
            image=mirrored(scope, source, digests),
            source=source,
        )
        for source in sources.values()
    )


def mirrored(scope: AwsScope, source: str, digests: Mapping[str, str]) -> str:
    """Where the environment's own registry has an image; by digest where that is known."""
    copy = f"{scope.registry}/{source.rpartition('/')[2]}"
    digest = digests.get(_repository(source))
    return f"{copy}@{digest}" if digest else copy


def mirrored_images(scope: AwsScope, images: Images, digests: Mapping[str, str]) -> Images:
    """The images of an agent's pods, in the environment's own registry."""
    copies = {
        name: mirrored(scope, source, digests) for name, source in images.model_dump().items()
    }
    return images.model_copy(update=copies)


def _repository(image: str) -> str:
    return image.rpartition("/")[2].partition(":")[0]


def _by_account(scope: AwsScope) -> Statement:
    """Roles of the account use and administer keys as far as their own policies say so."""
    return Statement(
        sid="Account",
        principals={"AWS": (scope.iam_arn("root"),)},
        actions=tuple(dict.fromkeys((*_ADMINISTER, *_USE))),
        resources=(ANYTHING,),
        why_any_resource=_THIS_KEY,
    )


def _by_ec2(scope: AwsScope) -> Statement:
    """Whoever may launch an instance or attach a volume, through EC2: as AWS's own EBS key."""
    return Statement(
        sid="ThroughEc2",
        principals={"AWS": (ANYTHING,)},
        actions=(*_USE, "kms:CreateGrant"),
        resources=(ANYTHING,),
        conditions={
            "StringEquals": {
                "kms:CallerAccount": (scope.account_id,),
                "kms:ViaService": (f"ec2.{scope.region}.amazonaws.com",),
            }
        },
        why_any_resource=_THIS_KEY,
    )


def _by_logs(scope: AwsScope) -> Statement:
    return Statement(
        sid="Logs",
        principals={"Service": (f"logs.{scope.region}.amazonaws.com",)},
        actions=_USE,
        resources=(ANYTHING,),
        conditions={
            "ArnLike": {"kms:EncryptionContext:aws:logs:arn": (scope.arn("logs", "log-group:*"),)}
        },
        why_any_resource=_THIS_KEY,
    )


def _by_events(scope: AwsScope) -> Statement:
    """EventBridge, CloudWatch and Budgets put encrypted messages into queue and topic."""
    return Statement(
        sid="Messages",
        principals={
            "Service": (
                "events.amazonaws.com",
                "cloudwatch.amazonaws.com",
                "budgets.amazonaws.com",
                "scheduler.amazonaws.com",
            )
        },
        actions=("kms:GenerateDataKey", "kms:Decrypt"),
        resources=(ANYTHING,),
        conditions={"StringEquals": {"aws:SourceAccount": (scope.account_id,)}},
        why_any_resource=_THIS_KEY,
    )
