"""What can go wrong with a registry, told apart; each says what, where and what to do next."""

from __future__ import annotations

from moltghost.errors import ExitCode, MoltghostError


class RegistryError(MoltghostError):
    """A registry didn't give what was asked for. Nothing was changed here."""


class NotFound(RegistryError):
    """It has no such model, tag, revision or file; or hides a private one."""

    exit_code = ExitCode.REFUSED


class Gated(RegistryError):
    """A licence has to be accepted on the model's page first, and a token has to say who did."""

    exit_code = ExitCode.REFUSED


class Unauthorized(RegistryError):
    """The token isn't valid, or doesn't permit this."""

    exit_code = ExitCode.REFUSED


class RateLimited(RegistryError):
    """Too many requests; asking again later helps. The caller decides whether to wait.

    Args:
        message: what is wrong and where.
        hint: what to do next.
        retry_after_seconds: how long the registry wants to be left alone; None where it didn't say.
    """

    def __init__(self, message: str, hint: str, retry_after_seconds: float | None) -> None:
        super().__init__(message, hint)
        self.retry_after_seconds = retry_after_seconds


class Unreachable(RegistryError):
    """There was no whole answer: no connection, one that was cut off, or a fault of the server."""


class Unexpected(RegistryError):
    """The answer isn't what this registry's protocol says, or not what it said before."""
