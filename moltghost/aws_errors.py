"""Why AWS did not answer a question, in words, with what to do about it.

A question without an answer is never taken for a good one: a missing permission, throttling or a
timeout leaves the matter unknown.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    ReadTimeoutError,
    SSOError,
    TokenRetrievalError,
)
from botocore.exceptions import (
    ConnectionError as BotoConnectionError,
)

Kind = Literal["denied", "throttled", "timeout", "credentials", "other"]

_DENIED = {
    "403",
    "AccessDenied",
    "AccessDeniedException",
    "AuthorizationError",
    "UnauthorizedOperation",
}
_THROTTLED = {
    "EC2ThrottledException",
    "RequestLimitExceeded",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
}
_CREDENTIALS = {
    "AuthFailure",
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
_NO_CREDENTIALS = (
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)
_NAMED_ACTION = re.compile(r"not authorized to perform: (?P<action>[a-z0-9-]+:\w+)")
# The permission where it is not called after the operation.
_PERMISSION_OF = {"HeadBucket": "s3:ListBucket"}

SIGN_IN = "sign in again: aws sso login, or aws configure sso the first time"


@dataclass(frozen=True)
class Trouble:
    """Why a call has no answer, and what to do."""

    kind: Kind
    found: str
    remedy: str


def error_code(error: ClientError) -> str:
    """The error's code as the service named it."""
    return str(error.response.get("Error", {}).get("Code", ""))


def trouble(error: BotoCoreError | ClientError, permissions: Sequence[str]) -> Trouble:
    """Say what an exception of boto3 means.

    Args:
        error: what was raised.
        permissions: IAM actions that the caller's calls need, to name the missing one.
    """
    if isinstance(error, ClientError):
        return _of_answer(error, permissions)
    if isinstance(error, _NO_CREDENTIALS):
        return Trouble("credentials", _sentence(error), SIGN_IN)
    if isinstance(error, (ConnectTimeoutError, ReadTimeoutError)):
        return Trouble("timeout", f"no answer in time: {_sentence(error)}", _TRY_NETWORK)
    if isinstance(error, (BotoConnectionError, HTTPClientError)):
        return Trouble("timeout", f"AWS can't be reached: {_sentence(error)}", _TRY_NETWORK)
    return Trouble("other", _sentence(error), "look at the message; then run it again")


_TRY_NETWORK = "look at this machine's network, proxy and VPN; then run it again"


def _of_answer(error: ClientError, permissions: Sequence[str]) -> Trouble:
    code, operation = error_code(error), error.operation_name
    message = str(error.response.get("Error", {}).get("Message", "")).strip()
    if code in _DENIED:
        action = _denied_action(message, operation, permissions)
        return Trouble(
            "denied",
            f"no permission: {action} was denied{_denied_by(message)}",
            f"have {action} granted to who runs this",
        )
    if code in _THROTTLED:
        return Trouble(
            "throttled",
            f"AWS throttled {operation} ({code}), after retries",
            "wait a minute and run it again",
        )
    if code in _CREDENTIALS:
        return Trouble("credentials", f"{operation}: {message or code} ({code})", SIGN_IN)
    return Trouble(
        "other", f"{operation} failed: {message or code} ({code})", "look at the message"
    )


def _denied_action(message: str, operation: str, permissions: Sequence[str]) -> str:
    if match := _NAMED_ACTION.search(message):
        return match["action"]
    if operation in _PERMISSION_OF:
        return _PERMISSION_OF[operation]
    matching = [each for each in permissions if each.endswith(f":{operation}")]
    return matching[0] if matching else " or ".join(permissions) or operation


def _denied_by(message: str) -> str:
    for policy in ("service control policy", "permissions boundary", "session policy"):
        if policy in message:
            return f" by a {policy}"
    return ""


def _sentence(error: Exception) -> str:
    return " ".join(str(error).split())
