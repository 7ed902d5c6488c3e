"""Errors of the CLI as errors that say what to do next."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pulumi.automation import CommandError, ConcurrentUpdateError

from moltghost.errors import MoltghostError, Refused

_OURS = re.compile(r"moltghost\.errors\.\w+: (?P<text>.*)", re.DOTALL)
_HINT = "\nhint: "
_LOGIN = ("PULUMI_ACCESS_TOKEN must be set", "not logged in", "pulumi login")
_PASSPHRASE = ("passphrase must be set", "incorrect passphrase")
_PLUGIN = re.compile(
    r"no resource plugin '(?P<plugin>[^']+)' found|could not download|plugin .* install"
)
# pulumi-kubernetes says why in a warning, and then fails each object with advice to forget it.
_UNREACHABLE = re.compile(r"Kubernetes cluster is unreachable: (?P<reason>.*)", re.DOTALL)
# What the CLI says besides: that it stops, after it has said why.
_NOISE = re.compile(
    r"^(update failed|preview failed|.*registration failed|"
    r"an unhandled error occurred: program exited with non-zero exit code: \d+)$",
    re.IGNORECASE,
)


def command_text(error: CommandError) -> str:
    """What a failed command printed to stderr, without the frame of the Automation API."""
    return str(error).partition("\n stderr: ")[2].strip()


def explained(
    raised: type[MoltghostError],
    stack: str,
    error: CommandError,
    told: Sequence[str] = (),
    warned: Sequence[str] = (),
) -> MoltghostError:
    """The error to raise for a failed command.

    Args:
        raised: what it is where nothing better is known: ``Refused`` if nothing was changed.
        stack: the stack's name.
        error: what the Automation API raised.
        told: the errors that were told as events.
        warned: the warnings.
    """
    text = command_text(error)
    if isinstance(error, ConcurrentUpdateError):
        return Refused(
            f"stack {stack} is being changed by another process, or one was killed:\n{text}",
            f"wait until it ends; if none runs: pulumi cancel --stack {stack} takes its lock away",
        )
    if any(part in text for part in _LOGIN):
        return Refused(
            "the Pulumi CLI has no backend to keep stacks in",
            "choose one: pulumi login file://~, pulumi login s3://BUCKET, or PULUMI_BACKEND_URL",
        )
    if any(part in text for part in _PASSPHRASE):
        return Refused(
            f"the secrets of stack {stack} can't be opened: {_last_line(text)}",
            "set PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE to the one that they "
            "were written with",
        )
    if unreachable := next(filter(None, map(_UNREACHABLE.search, warned)), None):
        return raised(
            f"the cluster of stack {stack} can't be reached: {unreachable['reason'].strip()}",
            "start it, or set its kubeconfig right (moltghost local up, moltghost kubeconfig "
            f"{stack.rpartition('.')[2]}), then try again",
        )
    lines = [
        _readable(each) for each in told if not _NOISE.match(each.removeprefix("error: "))
    ] or [_last_line(text)]
    message = "\n".join(dict.fromkeys(line for line in lines if line))
    message, _, hint = message.partition(_HINT)
    if _PLUGIN.search(message) or _PLUGIN.search(text):
        hint = "pulumi install fetches the plugins of the project"
    if not message.startswith("stack "):
        message = f"stack {stack}: {message}"
    return raised(message, hint or "the message is the Pulumi CLI's")


def _readable(text: str) -> str:
    """An error without the traceback of the program, if it is one of ours."""
    ours = _OURS.search(text)
    return ours["text"].strip() if ours else text.removeprefix("error: ")


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].removeprefix("error: ") if lines else "the CLI ended without a message"
