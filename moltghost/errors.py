"""Errors that a user reads: what is wrong, where, and what to do next."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of the command. Scripts rely on them."""

    DONE = 0
    FAILED = 1
    REFUSED = 2


class MoltghostError(Exception):
    """An error with a next step.

    Args:
        message: what is wrong and where, as one sentence or a short block.
        hint: what to do next; printed on a line of its own.
    """

    exit_code = ExitCode.FAILED

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\nhint: {self.hint}" if self.hint else self.message


class Refused(MoltghostError):
    """Nothing was changed: bad input, policy, preflight, pool full, owner, no confirmation."""

    exit_code = ExitCode.REFUSED


class Failed(MoltghostError):
    """It was tried and did not succeed; something may have changed."""


class Interrupted(Failed):
    """The user asked to stop; the same command again takes it up."""
