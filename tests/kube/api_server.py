"""An API server that answers as it is told, on loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

KINDS = {
    "resources": [
        {"kind": "ConfigMap", "name": "configmaps", "namespaced": True},
        {"kind": "Namespace", "name": "namespaces", "namespaced": False},
        {"kind": "Namespace", "name": "namespaces/status", "namespaced": False},
        {"kind": "Pod", "name": "pods", "namespaced": True},
    ]
}


class Server(ThreadingHTTPServer):
    """Answers each request with the next of ``answers``: status, body, headers."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[tuple[int, Any, dict[str, str]]] = []
        self.seen: list[tuple[str, str, dict[str, list[str]], Any]] = []

    def kubeconfig(self, folder: Path) -> Path:
        """A kubeconfig that leads here."""
        path = folder / "kubeconfig"
        path.write_text(kubeconfig_text(self.url))
        return path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = json.loads(self.rfile.read(length)) if length else None
        parts = urlsplit(self.path)
        if parts.path == "/api/v1":
            status, answer, headers = 200, KINDS, dict[str, str]()
        else:
            self.server.seen.append((self.command, parts.path, parse_qs(parts.query), body))
            status, answer, headers = self.server.answers.pop(0)
        data = json.dumps(answer).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PATCH = do_DELETE = _answer

    def log_message(self, *_arguments: Any) -> None:
        """Say nothing."""


def kubeconfig_text(server: str, **user: Any) -> str:
    """A kubeconfig for a server, whose user has a token or what is given."""
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "clusters": [{"name": "c", "cluster": {"server": server}}],
            "users": [{"name": "u", "user": user or {"token": "t"}}],
            "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        },
        indent=1,
    )


@contextmanager
def serving() -> Iterator[Server]:
    """A server that runs."""
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def failure(status: int, reason: str, message: str) -> tuple[int, Any, dict[str, str]]:
    """The answer of a server that says no."""
    return status, {"kind": "Status", "reason": reason, "message": message}, {}
