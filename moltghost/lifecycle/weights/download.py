"""A large file over HTTP: continued where it stopped, and tried again while that helps.

Whether it is the right file isn't asked here: its digest says so.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

import httpx2 as httpx

from moltghost.errors import Failed, Refused
from moltghost.progress import Event, Meter, Report
from moltghost.registries.mirrors import mirrored
from moltghost.registries.web import retry_after, shown
from moltghost.units import format_bytes

_TASK = "fetch source"
_TIMEOUT_SECONDS = 60.0
_TRIES, _FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 5, 1.0, 600.0
_AGAIN = "run the same command again: it continues where this stopped"
_PASSING = frozenset((HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS))


class _TryAgain(Exception):
    """The server may give it a little later: after so many seconds, where it says when."""

    def __init__(self, message: str, seconds: float | None = None) -> None:
        super().__init__(message)
        self.seconds = seconds


def download(
    url: str, target: Path, report: Report, *, pause: Callable[[float], None] = time.sleep
) -> None:
    """Download a file; what an interrupted download left in ``target`` is kept and continued.

    A token of the hub is sent to the hub only, not to where it redirects.

    Args:
        url: where it is; a mirror that the user has set is asked in its place.
        target: the file, perhaps begun.
        report: told of the bytes, their rate, and each pause.
        pause: what waits between tries.

    Raises:
        Refused: the server has no such file, or doesn't give it to this user.
        Failed: no room on the disk, or cut off or put off more often than is worth waiting for.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    tries = 0
    while True:
        before = _size(target)
        try:
            return _continue(url, target, report)
        except _TryAgain as again:
            tries = 1 if _size(target) > before else tries + 1
            if tries == _TRIES:
                report(Event(task=_TASK, state="failed"))
                raise Failed(f"{shown(url)} can't be downloaded: {again}", _AGAIN) from again
            seconds = again.seconds
            if seconds is None:
                seconds = _FIRST_PAUSE_SECONDS * 2 ** (tries - 1)
            _wait(min(seconds, _LONGEST_PAUSE_SECONDS), str(again), report, pause)
        except (Refused, Failed):
            report(Event(task=_TASK, state="failed"))
            raise


def _continue(url: str, target: Path, report: Report) -> None:
    kept = _size(target)
    address, token = mirrored(url)
    headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={kept}-"} if kept else {})}
    if token:
        headers["Authorization"] = f"Bearer {token.value}"  # httpx drops it at another origin
    try:
        with httpx.stream(
            "GET", address, headers=headers, follow_redirects=True, timeout=_TIMEOUT_SECONDS
        ) as answer:
            if answer.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                return  # it is all there; the digest decides
            _require_given(answer, address, has_token=token is not None)
            if answer.status_code != HTTPStatus.PARTIAL_CONTENT:
                kept = 0
            _write(answer, target, kept, report)
    except httpx.HTTPError as error:
        raise _TryAgain(str(error) or type(error).__name__) from error


def _write(answer: httpx.Response, target: Path, kept: int, report: Report) -> None:
    coming = int(answer.headers.get("Content-Length", 0))
    free = shutil.disk_usage(target.parent).free
    if coming > free:
        raise Failed(
            f"{target.parent} has {format_bytes(free)} free, and {format_bytes(coming)} are coming",
            "free some space, or set XDG_CACHE_HOME to a folder on a larger disk",
        )
    meter = Meter(report, _TASK, kept + coming, kept=kept)
    with target.open("ab" if kept else "wb") as output:
        for chunk in answer.iter_raw():
            output.write(chunk)
            meter.add(len(chunk))
    meter.end()


def _require_given(answer: httpx.Response, address: str, *, has_token: bool) -> None:
    status = answer.status_code
    if status in _PASSING or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise _TryAgain(f"the server answered {status}", retry_after(answer.headers))
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        raise Refused(
            f"{shown(address)} isn't given to this user ({status})",
            "its licence may have to be accepted on the model's page first"
            + ("; check that the token may read it" if has_token else ", then set HF_TOKEN")
            + "; or give the file with --from FILE.gguf",
        )
    if status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
        raise Refused(
            f"{shown(address)} isn't there any more ({status})",
            "give the file with --from FILE.gguf, or add the model of another place: "
            "moltghost models add hf:OWNER/REPO:QUANT",
        )
    if not answer.is_success:
        raise Failed(f"{shown(address)} answered {status}", _AGAIN)


def _wait(seconds: float, why: str, report: Report, pause: Callable[[float], None]) -> None:
    """Wait, telling each second how long; so Ctrl-C is heard, which a report raises."""
    left = seconds
    while left > 0:
        detail = f"{why}; trying again in {left:.0f} s"
        report(Event(task=_TASK, state="running", detail=detail))
        pause(min(left, 1.0))
        left -= 1.0


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
