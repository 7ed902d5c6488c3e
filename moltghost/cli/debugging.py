"""What a developer wants to see of a run: the log of what is done inside, and tracebacks."""

from __future__ import annotations

import logging
import sys
import traceback

from moltghost import paths
from moltghost.files import write_private

_LOG = logging.getLogger("moltghost")
_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def set_debugging(on: bool) -> None:
    """Log everything of ours on stderr, or only what Python shows by itself."""
    _LOG.handlers.clear()
    _LOG.setLevel(logging.DEBUG if on else logging.NOTSET)
    if on:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter(_FORMAT))
        _LOG.addHandler(handler)


def show_traceback(error: BaseException) -> None:
    """Print where an error comes from, if that was asked for."""
    if _LOG.level == logging.DEBUG:
        traceback.print_exception(error)


def in_one_line(error: BaseException) -> str:
    """The error's type and the first line of its message."""
    return f"{type(error).__name__}: {error}".partition("\n")[0]


def record_crash(error: BaseException) -> str:
    """Write the traceback of an error that nobody expected to ``crash.log``; returns a hint."""
    file = paths.state_home() / "crash.log"
    text = "".join(traceback.format_exception(error))
    try:
        write_private(file, text, durable=False)
    except OSError as trouble:
        sys.stderr.write(text)
        return f"its traceback is above: {file} can't be written ({trouble.strerror})"
    return f"this is a bug of moltghost, please report it with its traceback: {file}"
