"""A container registry on loopback, strict where a client may be wrong (distribution-spec 1.1)."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

USER, PASSWORD, TOKEN = "AWS", "a-secret-of-twelve-hours", "a-token-of-a-minute"


@dataclass
class State:
    """What the registry has, how it behaves, and what it was asked."""

    blobs: dict[tuple[str, str], bytes] = field(default_factory=dict)
    manifests: dict[tuple[str, str], bytes] = field(default_factory=dict)
    uploads: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    challenge: str = ""
    """"Basic" or "Bearer"; empty: everybody may do everything."""
    upload_host: str = ""
    """Where uploads are sent to, if not here."""
    refuse: tuple[str, int, str] | None = None
    """Method, status and code with which to refuse."""

    def count(self, method: str) -> int:
        return sum(asked == method for asked, _ in self.asked)


class Handler(BaseHTTPRequestHandler):
    state: State
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def error(self, status: int, code: str) -> None:
        body = json.dumps({"errors": [{"code": code, "message": f"no luck with {self.command}"}]})
        self.answer(status, body.encode())

    def handle_request(self) -> None:
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.state.asked.append((self.command, url.path))
        if url.path == "/token":
            return self.answer(200, json.dumps({"token": TOKEN}).encode())
        if not self.authorized():
            return None
        if self.state.refuse and self.command == self.state.refuse[0]:
            return self.error(*self.state.refuse[1:])
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        for pattern, act in (
            (r"/v2/(.+)/manifests/([^/]+)", self.manifest),
            (r"/v2/(.+)/blobs/uploads/([^/]*)", self.upload),
            (r"/v2/(.+)/blobs/(sha256:[0-9a-f]{64})", self.blob),
        ):
            if found := re.fullmatch(pattern, url.path):
                return act(found[1], found[2], body, query)
        return self.error(404, "UNSUPPORTED")

    do_GET = do_HEAD = do_POST = do_PATCH = do_PUT = handle_request

    def authorized(self) -> bool:
        given = self.headers.get("Authorization", "")
        pair = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        wanted = {"": given, "Basic": f"Basic {pair}", "Bearer": f"Bearer {TOKEN}"}
        if given == wanted[self.state.challenge]:
            return True
        realm = f"http://{self.headers['Host']}/token"
        self.answer(
            401, WWW_Authenticate=f'{self.state.challenge} realm="{realm}",service="registry"'
        )
        return False

    def manifest(self, name: str, tag: str, body: bytes, _query: dict[str, str]) -> None:
        if self.command == "PUT":
            document = json.loads(body)
            for each in (document["config"], *document["layers"]):
                if (name, each["digest"]) not in self.state.blobs:
                    return self.error(404, "MANIFEST_BLOB_UNKNOWN")
            self.state.manifests[name, tag] = body
            return self.answer(201, Docker_Content_Digest=digest_of(body))
        found = self.state.manifests.get((name, tag))
        return self.answer(200, found) if found else self.error(404, "MANIFEST_UNKNOWN")

    def blob(self, name: str, digest: str, _body: bytes, _query: dict[str, str]) -> None:
        self.answer(200 if (name, digest) in self.state.blobs else 404)

    def upload(self, name: str, session: str, body: bytes, query: dict[str, str]) -> None:
        if self.command == "POST":
            session = f"session-{len(self.state.uploads)}"
            self.state.uploads[session] = b""
        elif self.command == "PATCH":
            last = len(body) - 1
            if self.headers.get("Content-Range") != f"0-{last}":
                return self.error(416, "BLOB_UPLOAD_INVALID")
            self.state.uploads[session] += body
        else:
            content = self.state.uploads.pop(session)
            if digest_of(content) != query["digest"]:
                return self.error(400, "DIGEST_INVALID")
            self.state.blobs[name, query["digest"]] = content
            return self.answer(201)
        place = f"{self.state.upload_host}/v2/{name}/blobs/uploads/{session}?state=a%2Fb"
        return self.answer(202, Location=place)


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@contextmanager
def registry() -> Iterator[tuple[str, State]]:
    """A running registry: its host with port, and its state."""
    state = State()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"state": state}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}", state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
