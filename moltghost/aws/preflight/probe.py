"""A probe asks AWS one group of questions; what it needs for that is declared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from botocore.exceptions import BotoCoreError, ClientError

from moltghost.aws.clients import Clients
from moltghost.aws.request import PreflightRequest
from moltghost.aws_errors import Trouble, trouble
from moltghost.checks import Check, unknown

DEFAULT_TIMEOUT_SECONDS = 25.0

AwsError = (BotoCoreError, ClientError)


@dataclass(frozen=True)
class Context:
    """What every probe may use.

    Attributes:
        request: what is asked.
        clients: boto3 clients.
        now: the time that end dates are held against, in UTC.
    """

    request: PreflightRequest
    clients: Clients
    now: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(frozen=True)
class Probe:
    """One group of questions.

    Attributes:
        id: name of the check that stands for all its answers if it has none.
        permissions: IAM actions that its calls need.
        ask: answers, one check or several; may raise what boto3 raises.
        timeout_seconds: after which it counts as unanswered.
    """

    id: str
    permissions: tuple[str, ...]
    ask: Callable[[Context], Sequence[Check]]
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS


def unanswered(name: str, why: Trouble) -> Check:
    """The check of a call that AWS did not answer."""
    return unknown(name, why.found, why.remedy)


def guarded(name: str, permissions: Sequence[str], ask: Callable[[], Check]) -> Check:
    """The answer of ``ask``, or unknown where AWS gave none: a part of a probe may fail alone."""
    try:
        return ask()
    except AwsError as error:
        return unanswered(name, trouble(error, permissions))


def joined(names: Sequence[str]) -> str:
    """Names in a sentence."""
    return ", ".join(names)
