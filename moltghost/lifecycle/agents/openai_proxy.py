"""A port on loopback that leads to an agent's endpoint and adds its token.

It lets through what an OpenAI client needs and nothing else: the token would open the gateway's
tools and settings too. Requests of web pages are refused: a page of any origin can make a browser
call loopback.
"""

from __future__ import annotations

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import ClassVar
from urllib.parse import urlsplit

import httpx2 as httpx

from moltghost.errors import Refused
from moltghost.lifecycle.agents.endpoint import ANSWER_SECONDS, CHAT_PATH, MODELS_PATH, Endpoint

_LOOPBACK = "127.0.0.1"
_NAMES = (_LOOPBACK, "localhost")
_ALLOWED = {("POST", CHAT_PATH), ("GET", MODELS_PATH)}
_LARGEST_REQUEST_BYTES = 16 * 1024 * 1024


class Relay:
    """The port, open for as long as the context lasts.

    Args:
        port: 0 takes any that is free.

    Raises:
        Refused: the port is taken.
    """

    def __init__(self, port: int) -> None:
        try:
            self._server = ThreadingHTTPServer((_LOOPBACK, port), _Handler)
        except OSError as error:
            raise Refused(
                f"port {port} of {_LOOPBACK} can't be opened: {error.strerror}",
                "name another with --port, or leave it out",
            ) from error
        self._server.daemon_threads = True
        self._targets = _Handler.targets
        self.url = f"http://{_LOOPBACK}:{self._server.server_port}"

    def lead_to(self, endpoint: Endpoint | None) -> None:
        """Where requests go from now on; None while there is no way."""
        self._targets[self._server.server_port] = endpoint

    def __enter__(self) -> Relay:
        threading.Thread(target=self._server.serve_forever, name="relay", daemon=True).start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._targets.pop(self._server.server_port, None)


class _Handler(BaseHTTPRequestHandler):
    targets: ClassVar[dict[int, Endpoint | None]] = {}

    def do_GET(self) -> None:
        self._pass_on()

    def do_POST(self) -> None:
        self._pass_on()

    def log_message(self, format: str, *args: object) -> None:
        """Requests are the user's own business."""

    def _pass_on(self) -> None:
        assert isinstance(self.server, ThreadingHTTPServer)  # noqa: S101 the relay's own
        target = self.targets.get(self.server.server_port)
        host = urlsplit(f"//{self.headers.get('Host', '')}").hostname
        if host not in _NAMES or "Origin" in self.headers:
            self._refuse(403, "only programs of this machine, not web pages")
        elif (self.command, self.path) not in _ALLOWED:
            self._refuse(403, f"only {CHAT_PATH} and {MODELS_PATH} are passed on")
        elif target is None:
            self._refuse(503, "the way to the agent is being opened; try again")
        else:
            self._stream(target)

    def _stream(self, target: Endpoint) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        if size > _LARGEST_REQUEST_BYTES:
            self._refuse(413, f"requests may have {_LARGEST_REQUEST_BYTES} bytes")
            return
        headers = {**target.headers, "Content-Type": "application/json"}
        began = False
        try:
            with httpx.stream(
                self.command,
                target.url + self.path,
                content=self.rfile.read(size),
                headers=headers,
                timeout=ANSWER_SECONDS,
                trust_env=False,
            ) as answer:
                self.send_response(answer.status_code)
                self.send_header("Content-Type", answer.headers.get("Content-Type", ""))
                self.send_header("Connection", "close")
                self.end_headers()
                began = True
                for piece in answer.iter_raw():
                    self.wfile.write(piece)
                    self.wfile.flush()
        except httpx.HTTPError as error:
            if not began:
                self._refuse(502, f"the connection to the agent broke: {error}")
        self.close_connection = True

    def _refuse(self, code: int, why: str) -> None:
        self.close_connection = True
        self.send_error(code, http.client.responses[code], why)
