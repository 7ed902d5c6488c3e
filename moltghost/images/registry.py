"""A client of one container registry: what a tag points at, and pushing an archive.

The part of the OCI distribution-spec 1.1 that this needs, on the HTTP client that the Kubernetes
client has too. Manifests are sent as they are, so a pushed image keeps its digest. Credentials go
to the registry's own host and to no other, and only in headers.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import IO, Any, Self
from urllib.parse import urljoin, urlsplit

import httpx2 as httpx

from moltghost.errors import Failed
from moltghost.images.archive import Archive
from moltghost.images.oci import INDEX_TYPE, MANIFEST_TYPE
from moltghost.progress import Event, Report, silent

Credentials = Callable[[], tuple[str, str]]

# Docker's names of the same two, which older registries answer with.
_MANIFEST_TYPES = (
    INDEX_TYPE,
    MANIFEST_TYPE,
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_TIMEOUT = httpx.Timeout(60, connect=5)
_CHUNK_BYTES = 1 << 20
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')


class RegistryError(Failed):
    """A registry doesn't answer, or says no."""


class Registry:
    """One registry; a context manager.

    Args:
        host: name, with a port where it has one. On loopback it is spoken to without TLS.
        credentials: user and password, asked for when the registry wants some; None: anonymous.
    """

    def __init__(self, host: str, credentials: Credentials | None = None) -> None:
        self.host = host
        self._credentials = credentials
        self._authorization: dict[str, str] = {}
        plain = host.rpartition(":")[0] in _LOOPBACK or host in _LOOPBACK
        self._client = httpx.Client(
            base_url=f"{'http' if plain else 'https'}://{host}", timeout=_TIMEOUT
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.close()

    def digest(self, repository: str, tag: str) -> str | None:
        """Digest that a tag points at; None if there is no such tag or repository.

        Raises:
            RegistryError: the registry doesn't answer, or refuses to say.
        """
        headers = {"Accept": ", ".join(_MANIFEST_TYPES)}
        answer = self._ask("GET", f"/v2/{repository}/manifests/{tag}", headers, ok=(200, 404))
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        return f"sha256:{hashlib.sha256(answer.content).hexdigest()}"

    def push(self, archive: Archive, repository: str, tag: str, report: Report = silent) -> str:
        """Push an image, its manifest last, so that nobody sees half of it.

        Blobs that are there already aren't sent again.

        Returns:
            The digest of its manifest, the same as in the archive.

        Raises:
            RegistryError: the registry doesn't answer, refuses, or took something else in.
        """
        manifest = archive.manifest()
        blobs = [manifest["config"], *manifest["layers"]]
        total = sum(int(blob["size"]) for blob in blobs)
        task, done = f"push {repository}:{tag}", 0
        report(Event(task=task, state="started"))
        for blob in blobs:
            digest, size = str(blob["digest"]), int(blob["size"])

            def told(sent: int, before: int = done) -> None:
                report(Event(task=task, state="running", fraction=(before + sent) / total))

            if not self._has_blob(repository, digest):
                with archive.blob(digest) as stream:
                    self._upload(repository, digest, size, stream, told)
            done += size
            told(0, done)
        self._put_manifest(repository, tag, archive)
        report(Event(task=task, state="done"))
        return archive.digest

    def _put_manifest(self, repository: str, tag: str, archive: Archive) -> None:
        headers = {"Content-Type": MANIFEST_TYPE}
        path = f"/v2/{repository}/manifests/{tag}"
        content = archive.manifest_bytes()
        answer = self._ask("PUT", path, headers, content=content, ok=(201,))
        taken = answer.headers.get("Docker-Content-Digest", archive.digest)
        if taken != archive.digest:
            raise RegistryError(f"{self.host} took {taken} in for {archive.digest}")

    def _has_blob(self, repository: str, digest: str) -> bool:
        path = f"/v2/{repository}/blobs/{digest}"
        return self._ask("HEAD", path, ok=(200, 404)).status_code == httpx.codes.OK

    def _upload(
        self,
        repository: str,
        digest: str,
        size: int,
        stream: IO[bytes],
        told: Callable[[int], None],
    ) -> None:
        """One session: begun, filled by one PATCH, closed with the digest that it must have."""
        begun = self._ask("POST", f"/v2/{repository}/blobs/uploads/", ok=(202,))
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(size),
            "Content-Range": f"0-{size - 1}",
        }
        content = _chunks(stream, told)
        filled = self._ask("PATCH", self._location(begun), headers, content=content, ok=(202, 204))
        place = self._location(filled)
        closing = f"{place}{'&' if '?' in place else '?'}digest={digest}"
        self._ask("PUT", closing, {"Content-Length": "0"}, ok=(201,))

    def _location(self, answer: httpx.Response) -> str:
        """Where an upload goes on; it may be relative, and must not leave the registry."""
        place = urljoin(str(answer.request.url), answer.headers.get("Location", ""))
        if urlsplit(place).netloc != urlsplit(str(self._client.base_url)).netloc:
            raise RegistryError(f"{self.host} sends uploads to another host: {place}")
        return place

    def _ask(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        *,
        content: bytes | Iterator[bytes] | None = None,
        ok: tuple[int, ...],
    ) -> httpx.Response:
        with self._troubles():
            answer = self._send(method, path, headers, content)
            # What is streamed can't be sent twice; by then the registry knows who asks.
            if answer.status_code == httpx.codes.UNAUTHORIZED and not isinstance(content, Iterator):
                self._authorize(answer.headers.get("WWW-Authenticate", ""))
                answer = self._send(method, path, headers, content)
        if answer.status_code not in ok:
            raise RegistryError(
                f"{self.host} answers {answer.status_code} to {method} {path.partition('?')[0]}: "
                f"{_reason(answer)}",
                "look at what it says; what was sent already is kept, so the same command goes on "
                "from there",
            )
        return answer

    def _send(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None,
        content: bytes | Iterator[bytes] | None,
    ) -> httpx.Response:
        merged = {**(headers or {}), **self._authorization}
        return self._client.request(method, path, headers=merged, content=content)

    @contextmanager
    def _troubles(self) -> Iterator[None]:
        try:
            yield
        except httpx.HTTPError as error:
            raise RegistryError(
                f"the registry {self.host} doesn't answer: {error}",
                "is the machine on the network that reaches it?",
            ) from error

    def _authorize(self, challenge: str) -> None:
        """Answer a challenge: Basic with our credentials, Bearer with a token that we fetch."""
        scheme, _, rest = challenge.partition(" ")
        if scheme.lower() == "basic" and self._credentials:
            user, password = self._credentials()
            pair = base64.b64encode(f"{user}:{password}".encode()).decode()
            self._authorization = {"Authorization": f"Basic {pair}"}
        elif scheme.lower() == "bearer":
            self._authorization = {"Authorization": f"Bearer {self._token(rest)}"}

    def _token(self, challenge: str) -> str:
        """An anonymous token, as public registries give to whoever pulls."""
        parameters = dict(_PARAMETER.findall(challenge))
        realm = parameters.pop("realm", "")
        if urlsplit(realm).scheme != "https" and urlsplit(realm).hostname not in _LOOPBACK:
            raise RegistryError(f"{self.host} sends us to {realm!r} for a token, without TLS")
        answer = self._client.get(realm, params=parameters)
        try:
            found = answer.raise_for_status().json()
            return str(found.get("token") or found["access_token"])
        except (httpx.HTTPStatusError, ValueError, KeyError) as error:
            raise RegistryError(f"{realm} gives no token: {_reason(answer)}") from error


def _chunks(stream: IO[bytes], told: Callable[[int], None]) -> Iterator[bytes]:
    sent = 0
    while chunk := stream.read(_CHUNK_BYTES):
        yield chunk
        sent += len(chunk)
        told(sent)


def _reason(answer: httpx.Response) -> str:
    """What a registry says is wrong: its errors, else the status's name."""
    try:
        errors: list[dict[str, Any]] = json.loads(answer.content)["errors"]
        return "; ".join(f"{each.get('code', '')} {each.get('message', '')}" for each in errors)
    except (ValueError, KeyError, TypeError):
        return answer.reason_phrase
