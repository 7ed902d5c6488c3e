"""Who the config names in IAM: the people that reach the cluster, and the platform's boundary.

`up` makes keys and network first; it would end at the first role or access entry after that.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from botocore.exceptions import ClientError

from moltghost.aws.preflight.probe import Context, Probe, guarded
from moltghost.aws_errors import error_code
from moltghost.checks import Check, blocker, ok, unknown

_ABSENT = "NoSuchEntity"
_BOUNDARY = "permissions-boundary"
_BOUNDARY_PERMISSIONS = ("iam:GetPolicy",)
_PERMISSIONS = {"role": ("iam:GetRole",), "user": ("iam:GetUser",)}


def _principals(context: Context) -> Sequence[Check]:
    request = context.request
    found = [
        guarded(f"principal.{name}", _PERMISSIONS[kind], partial(_principal, context, arn))
        for arn in request.principals
        for kind, name in [_kind_and_name(arn)]
    ]
    if request.permissions_boundary:
        found.append(guarded(_BOUNDARY, _BOUNDARY_PERMISSIONS, partial(_boundary, context)))
    return found


def _kind_and_name(arn: str) -> tuple[str, str]:
    """``role`` or ``user``, and the name at the end of its path."""
    kind, _, path = arn.rpartition(":")[2].partition("/")
    return kind, path.rpartition("/")[2]


def _principal(context: Context, arn: str) -> Check:
    kind, name = _kind_and_name(arn)
    check, file = f"principal.{name}", f"Pulumi.{context.request.environment}.yaml"
    look = f"aws iam get-{kind} --{kind}-name {name}"
    account = arn.split(":")[4]
    if context.request.account_id and account != context.request.account_id:
        return unknown(check, f"{arn} is of account {account}: not looked up", f"there: {look}")
    iam = context.clients.iam()
    try:
        if kind == "role":
            there = iam.get_role(RoleName=name)["Role"]["Arn"]
        else:
            there = iam.get_user(UserName=name)["User"]["Arn"]
    except ClientError as error:
        if error_code(error) != _ABSENT:
            raise
        return blocker(check, f"there is no {arn}", f"make the {kind}, or correct {file}: {look}")
    if there != arn:
        return blocker(check, f"the {kind} {name} is {there}, not {arn}", f"correct it in {file}")
    return ok(check, f"{arn} is there")


def _boundary(context: Context) -> Check:
    arn = context.request.permissions_boundary
    try:
        context.clients.iam().get_policy(PolicyArn=arn)
    except ClientError as error:
        if error_code(error) != _ABSENT:
            raise
        return blocker(
            _BOUNDARY,
            f"there is no policy {arn}, and no role can be made without it",
            "make it (docs/guide/aws.md says what it has to allow), or leave permissions_boundary "
            f"out of Pulumi.{context.request.environment}.yaml",
        )
    return ok(_BOUNDARY, f"{arn} is there; whether it allows what the roles do isn't looked at")


PRINCIPALS = Probe(
    "principals",
    (*_BOUNDARY_PERMISSIONS, *(action for each in _PERMISSIONS.values() for action in each)),
    _principals,
)
