"""Requests to a registry: bounded, over https, and with a token for its own host only."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Literal
from urllib.parse import urljoin, urlsplit

import httpx2 as httpx

from moltghost import __version__
from moltghost.registries.errors import RateLimited, RegistryError, Unexpected, Unreachable
from moltghost.registries.tokens import HubToken
from moltghost.units import MIB, format_bytes

SMALL_BYTES = 1 * MIB
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_MOST_REDIRECTS = 5
_TRIES, _FIRST_PAUSE_SECONDS = 3, 0.5
_SILENCE_SECONDS, _WHOLE_ANSWER_SECONDS = 20.0, 120.0
_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_LONGEST_WAIT_SECONDS = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer, which wasn't too long.

    Attributes:
        url: of the request that was answered, after redirects; it may hold a signature.
        headers: by lower-case names.
    """

    url: str
    status: int
    headers: Mapping[str, str]
    content: bytes


class Web:
    """Asks registries.

    Args:
        pause: what waits between tries.
        silence_seconds: how long a server may say nothing.
        answer_seconds: how long a whole answer may take.
    """

    def __init__(
        self,
        pause: Callable[[float], None] = time.sleep,
        silence_seconds: float = _SILENCE_SECONDS,
        answer_seconds: float = _WHOLE_ANSWER_SECONDS,
    ) -> None:
        self._pause, self._answer_seconds = pause, answer_seconds
        self._client = httpx.Client(
            timeout=silence_seconds,
            follow_redirects=False,
            headers={"User-Agent": f"moltghost/{__version__}", "Accept-Encoding": "identity"},
        )

    def ask(
        self,
        url: str,
        *,
        method: Literal["GET", "HEAD"] = "GET",
        headers: Mapping[str, str] | None = None,
        token: HubToken | None = None,
        most_bytes: int = SMALL_BYTES,
        other_hosts: bool = True,
    ) -> Answer:
        """One answer, after redirects, whatever its status is.

        Args:
            url: where to ask.
            method: how.
            headers: beside the usual ones.
            token: sent to the host of `url`, never to another.
            most_bytes: a longer answer is refused before it is read.
            other_hosts: follow redirects to other hosts; else such a redirect is the answer.

        Raises:
            RateLimited: 429.
            Unreachable: no whole answer, or one of a faulty server, in several tries.
            Unexpected: too long, or a redirect to what isn't https.
        """
        require_safe(url)
        for tries_left in reversed(range(_TRIES)):
            try:
                return self._follow(url, method, headers or {}, token, most_bytes, other_hosts)
            except Unreachable:
                if not tries_left:
                    raise
                self._pause(_FIRST_PAUSE_SECONDS * 2 ** (_TRIES - 1 - tries_left))
        raise AssertionError("the last try returns or raises")

    def _follow(
        self,
        url: str,
        method: str,
        headers: Mapping[str, str],
        token: HubToken | None,
        most_bytes: int,
        other_hosts: bool,
    ) -> Answer:
        asked = url
        for _ in range(_MOST_REDIRECTS + 1):
            sent = dict(headers)
            if token and _origin(asked) == _origin(url):
                sent["Authorization"] = f"Bearer {token.value}"
            answer = self._once(asked, method, sent, most_bytes)
            target = answer.headers.get("location", "")
            if answer.status not in _REDIRECTS or not target:
                return answer
            target = urljoin(asked, target)
            if not other_hosts and _origin(target) != _origin(url):
                return answer
            require_safe(target, redirected_from=asked)
            asked = target
        raise Unexpected(
            f"{shown(url)} redirects more than {_MOST_REDIRECTS} times",
            "try again later; if a mirror is set, check its address",
        )

    def _once(self, url: str, method: str, headers: Mapping[str, str], most_bytes: int) -> Answer:
        try:
            with self._client.stream(method, url, headers=dict(headers)) as response:
                found = {name.lower(): value for name, value in response.headers.items()}
                self._require_served(url, response.status_code, found)
                if "Range" in headers and response.status_code == HTTPStatus.OK:
                    raise Unexpected(
                        f"{shown(url)} gives the whole file where a part of it was asked for",
                        "if a mirror is set, take one that serves ranges",
                    )
                content = self._content(url, response, most_bytes)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unreachable(
                f"{shown(url)} can't be read: {error or type(error).__name__}",
                "check that this machine reaches it (a proxy is taken from HTTPS_PROXY), "
                "then run the same command again",
            ) from error
        return Answer(url, response.status_code, found, content)

    def _content(self, url: str, response: httpx.Response, most_bytes: int) -> bytes:
        stated = response.headers.get("content-length", "")
        if response.request.method == "HEAD" or response.status_code in _REDIRECTS:
            return b""
        if stated.isdecimal() and int(stated) > most_bytes:
            raise _too_long(url, most_bytes)
        deadline = time.monotonic() + self._answer_seconds
        content = bytearray()
        for chunk in response.iter_raw():
            content += chunk
            if len(content) > most_bytes:
                raise _too_long(url, most_bytes)
            if time.monotonic() > deadline:
                raise Unreachable(
                    f"{shown(url)} sent {format_bytes(len(content))} in "
                    f"{self._answer_seconds:.0f} seconds and isn't done",
                    "run the same command again later",
                )
        return bytes(content)

    def _require_served(self, url: str, status: int, headers: Mapping[str, str]) -> None:
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            seconds = retry_after(headers)
            when = "later" if seconds is None else f"in {seconds:.0f} seconds"
            raise RateLimited(
                f"{shown(url)} was asked too often from here",
                f"run the same command again {when}; with a token (HF_TOKEN) the hub allows more",
                seconds,
            )
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise Unreachable(
                f"{shown(url)} answered {status}",
                "the fault is the server's: run the same command again later",
            )


def require_safe(url: str, redirected_from: str = "") -> None:
    """Make sure that a URL is https; or http on loopback, where no redirect of a remote host led.

    Raises:
        Unexpected: it isn't.
    """
    parts = urlsplit(url)
    local = parts.scheme == "http" and parts.hostname in _LOOPBACK
    if redirected_from and urlsplit(redirected_from).scheme == "https":
        local = False
    if (parts.scheme == "https" and parts.hostname) or local:
        return
    how = f", where {shown(redirected_from)} redirects," if redirected_from else ""
    raise Unexpected(
        f"{shown(url)}{how} isn't an https address",
        "only https is taken, so that nobody on the way reads or changes what is fetched",
    )


def shown(url: str) -> str:
    """A URL without what may be secret in it: a user's name, and the query with its signature."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def retry_after(headers: Mapping[str, str]) -> float | None:
    """How long a server wants to be left alone, in seconds; None where it doesn't say.

    `Retry-After` is seconds or a date (RFC 9110); the hub says it as `RateLimit: "api";r=0;t=55`.
    """
    stated = headers.get("retry-after", "").strip()
    seconds: float | None = None
    if stated.isdecimal():
        seconds = float(stated)
    elif stated:
        try:
            seconds = (parsedate_to_datetime(stated) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):
            seconds = None
    if seconds is None:
        fields = headers.get("ratelimit", "").replace(" ", "").split(";")
        seconds = next(
            (float(f[2:]) for f in fields if f.startswith("t=") and f[2:].isdecimal()), None
        )
    return None if seconds is None else min(max(seconds, 0.0), _LONGEST_WAIT_SECONDS)


def unexpected_status(answer: Answer) -> RegistryError:
    """That a status isn't one that this registry is known to give."""
    return Unexpected(
        f"{shown(answer.url)} answered {answer.status}, which isn't expected",
        "try again later; if a mirror is set, check its address",
    )


def _too_long(url: str, most_bytes: int) -> Unexpected:
    return Unexpected(
        f"{shown(url)} answers with more than the {format_bytes(most_bytes)} that are taken",
        "if a mirror is set, check its address",
    )


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    default = {"https": 443, "http": 80}.get(parts.scheme)
    return parts.scheme, parts.hostname, parts.port or default
