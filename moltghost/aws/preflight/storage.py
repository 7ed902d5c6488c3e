"""The weights store: its bucket and its key, as far as who asks may see them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from botocore.exceptions import ClientError

from moltghost.aws.preflight.probe import Context, Probe, guarded
from moltghost.aws_errors import error_code
from moltghost.checks import Check, blocker, ok, unknown

_KEY_PERMISSIONS = ("kms:DescribeKey",)
_BUCKET_MISSING = {"404", "NoSuchBucket", "NotFound"}
_BUCKET_MOVED = {"301", "PermanentRedirect"}
_BUCKET_DENIED = {"403", "AccessDenied"}
_REVIVE = {
    "Disabled": "aws kms enable-key --key-id {key} --region {region}",
    "PendingDeletion": "aws kms cancel-key-deletion --key-id {key} --region {region}, "
    "then aws kms enable-key: without the key no model can be read again",
}


def _bucket(context: Context) -> Sequence[Check]:
    name, request = "weights-store", context.request
    if not request.weights_bucket:
        return [ok(name, "the plan has no bucket")]
    bucket = f"bucket {request.weights_bucket}"
    try:
        if request.account_id:
            answer = context.clients.s3().head_bucket(
                Bucket=request.weights_bucket, ExpectedBucketOwner=request.account_id
            )
        else:
            answer = context.clients.s3().head_bucket(Bucket=request.weights_bucket)
    except ClientError as error:
        return [_bucket_error(context, bucket, error)]
    region = answer.get("BucketRegion") or request.region
    if region != request.region:
        return [_elsewhere(bucket, region)]
    return [ok(name, f"{bucket} is there and may be read")]


def _bucket_error(context: Context, bucket: str, error: ClientError) -> Check:
    code = error_code(error)
    if code in _BUCKET_MISSING:
        return _absent(context, "weights-store", bucket)
    if code in _BUCKET_MOVED:
        headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        return _elsewhere(bucket, headers.get("x-amz-bucket-region", "another region"))
    if code in _BUCKET_DENIED:
        return unknown(
            "weights-store",
            f"{bucket}: s3:ListBucket was denied, or another account has a bucket of that name",
            "have s3:ListBucket granted to who runs this; if it still fails, "
            "give the weights store another name",
        )
    raise error


def _elsewhere(bucket: str, region: str) -> Check:
    return blocker(
        "weights-store",
        f"{bucket} is in {region}",
        "choose another name: a bucket can't be moved, and reading across regions costs",
    )


def _absent(context: Context, name: str, what: str) -> Check:
    request = context.request
    if request.scope == "environment":
        return ok(name, f"{what} isn't there yet; up creates it")
    return blocker(
        name,
        f"environment {request.environment} has no {what}",
        f"moltghost up {request.environment}",
    )


def _keys(context: Context) -> Sequence[Check]:
    aliases = context.request.kms_key_aliases
    if not aliases:
        return [ok("kms-key", "the plan has no key of its own")]
    return [
        guarded(_key_check(each), _KEY_PERMISSIONS, partial(_key, context, each))
        for each in aliases
    ]


def _key_check(alias: str) -> str:
    return f"kms-key.{alias.removeprefix('alias/')}"


def _key(context: Context, alias: str) -> Check:
    name, region = _key_check(alias), context.request.region
    try:
        key = context.clients.kms().describe_key(KeyId=alias)["KeyMetadata"]
    except ClientError as error:
        if error_code(error) != "NotFoundException":
            raise
        return _absent(context, name, f"key {alias}")
    state = key.get("KeyState", "")
    if state == "Enabled":
        return ok(name, f"{alias} is enabled")
    remedy = _REVIVE.get(state, "aws kms describe-key --key-id {key} --region {region} says more")
    return blocker(name, f"{alias} is {state}", remedy.format(key=key["KeyId"], region=region))


BUCKET = Probe("weights-store", ("s3:ListBucket",), _bucket)
KEYS = Probe("kms-key", _KEY_PERMISSIONS, _keys)
