"""Registries on loopback: crane's own, and a door in front of one that wants a login."""

from __future__ import annotations

import hashlib
import http.client
import json
import re
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2 as httpx

from moltghost.images.crane import Crane
from moltghost.images.logins import Login
from moltghost.local.build import programs

LOGIN = Login("AWS", "a-secret-of-twelve-hours")


@contextmanager
def registry() -> Iterator[str]:
    """go-containerregistry's registry; yields its host."""
    command = [str(programs.binary("crane")), "registry", "serve", "--address", "127.0.0.1:0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr
            said = process.stderr.readline()
            port = re.search(r"serving on port (\d+)", said)
            assert port, said
            drain = threading.Thread(target=process.stderr.read, daemon=True)
            drain.start()
            yield f"127.0.0.1:{port[1]}"
        finally:
            process.terminate()


@dataclass
class Door:
    """What a door does, and what came through it."""

    behind: str
    host: str = ""
    asked: list[tuple[str, str]] = field(default_factory=list)
    wants_login: bool = True
    refuses: tuple[str, str, int, str] | None = None
    """Method, pattern of the path, status and code with which to refuse."""
    manifest: bytes | None = None
    """Sent in place of every manifest that is asked for by digest."""

    def count(self, method: str, pattern: str) -> int:
        return sum(asked == method and bool(re.search(pattern, path)) for asked, path in self.asked)


class _Handler(BaseHTTPRequestHandler):
    door: Door
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def handle_request(self) -> None:
        body = self._body()
        self.door.asked.append((self.command, self.path))
        if self.door.wants_login and self.headers.get("Authorization") != f"Basic {LOGIN.auth}":
            return self._answer(401, {"WWW-Authenticate": 'Basic realm="here"'}, b"")
        if refusal := self.door.refuses:
            method, pattern, status, code = refusal
            if self.command == method and re.search(pattern, self.path):
                errors = {"errors": [{"code": code, "message": "no"}]}
                return self._answer(status, {}, json.dumps(errors).encode())
        if self.door.manifest and "/manifests/sha256:" in self.path:
            kind = {"Content-Type": "application/vnd.oci.image.manifest.v1+json"}
            return self._answer(200, kind, self.door.manifest)
        connection = http.client.HTTPConnection(self.door.behind, timeout=30)
        kept = ("Accept", "Content-Type", "Content-Range")
        headers = {name: self.headers[name] for name in kept if name in self.headers}
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        skipped = ("content-length", "connection", "transfer-encoding")
        sent = {name: value for name, value in answer.getheaders() if name.lower() not in skipped}
        if self.command == "HEAD" and answer.headers["Content-Length"]:
            sent["Content-Length"] = answer.headers["Content-Length"]
        return self._answer(answer.status, sent, answer.read())

    do_GET = do_HEAD = do_POST = do_PATCH = do_PUT = handle_request

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        content = b""
        while size := int(self.rfile.readline(), 16):
            content += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return content

    def _answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@contextmanager
def door(behind: str) -> Iterator[Door]:
    """A door in front of a registry."""
    made = Door(behind)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (_Handler,), {"door": made}))
    made.host = f"127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class OnLoopback(Crane):
    """crane, with registries of the world replaced by such on loopback.

    Args:
        config: the folder of the Docker config.
        hosts: what stands for a registry, by the registry's name.
    """

    def __init__(self, config: Path, hosts: Mapping[str, str]) -> None:
        super().__init__(config)
        self._hosts = hosts

    def _run(self, *arguments: str, **options: Any) -> bytes:
        return super()._run(*map(self._replaced, arguments), **options)

    def _replaced(self, argument: str) -> str:
        for name, host in self._hosts.items():
            if argument.startswith(f"{name}/"):
                return f"{host}{argument.removeprefix(name)}"
        return argument


def read(host: str, repository: str, reference: str) -> bytes:
    """A manifest, asked for without crane."""
    return _get(f"http://{host}/v2/{repository}/manifests/{reference}")


def read_blobs(host: str, repository: str, manifest: bytes) -> None:
    """Read all blobs of an image; each must have its digest."""
    document = json.loads(manifest)
    blobs = (document["config"], *document["layers"])
    assert len(blobs) > 1
    for blob in blobs:
        content = _get(f"http://{host}/v2/{repository}/blobs/{blob['digest']}")
        assert digest_of(content) == blob["digest"]


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _get(url: str) -> bytes:
    accepted = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json"
    answer = httpx.get(url, headers={"Accept": accepted}, timeout=30)
    return answer.raise_for_status().content
