"""Registries of models on loopback: the hub with its redirects and headers, and Ollama's."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from moltghost.models import ModelChoice
from tests.sizing.sparse_gguf import write_sparse

COMMIT = "bf5b95e96dac0462e2a09145ec66cae9a3f12067"
TOKEN = "hf_a_token_of_the_tests"


class Sparse:
    """A large file of which only the beginning isn't zero; its digest is that of the beginning."""

    def __init__(self, head: bytes, size: int) -> None:
        self.head, self._size = head, size

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, part: slice) -> bytes:
        start, end, _ = part.indices(self._size)
        return self.head[start:end].ljust(end - start, b"\0")


Content = bytes | Sparse


def sha256(content: Content) -> str:
    return hashlib.sha256(content.head if isinstance(content, Sparse) else content).hexdigest()


def sparse_gguf(folder: Path, choice: ModelChoice, template: str = "") -> Sparse:
    """The file of a model of the catalogue, without its weights."""
    path = folder / f"{choice.name}.gguf"
    write_sparse(path, choice, template=template)
    with path.open("rb") as stream:
        found = Sparse(stream.read(1 << 20), path.stat().st_size)
    path.unlink()
    return found


@dataclass
class Asked:
    """A request as it arrived."""

    method: str
    path: str
    headers: Mapping[str, str]


@dataclass
class Reply:
    """What to answer instead.

    `cut_after` bytes of the content the connection ends; `times` requests get it.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes = b""
    cut_after: int | None = None
    times: int = 1_000


@dataclass
class Server:
    """One host: what was asked of it, and what it answers instead of what it has.

    `instead` maps a pattern of `METHOD PATH` to a reply.
    """

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    instead: dict[str, Reply] = field(default_factory=dict)

    def reply(self, asked: Asked) -> Reply:
        raise NotImplementedError

    def count(self, pattern: str) -> int:
        return sum(bool(re.search(pattern, f"{a.method} {a.path}")) for a in self.asked)


@dataclass
class Cdn(Server):
    """Where the hub and Ollama's registry keep the bytes: addresses are signed, ranges are given.

    `ignores_ranges` gives the whole file always; `shifted` gives other bytes than were asked for.
    """

    files: dict[str, Content] = field(default_factory=dict)
    ignores_ranges: bool = False
    shifted: int = 0

    def reply(self, asked: Asked) -> Reply:
        content = self.files.get(urlsplit(asked.path).path)
        if content is None:
            return Reply(403, {}, b"<Error>AccessDenied</Error>")
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", asked.headers.get("range", ""))
        if not match or self.ignores_ranges:
            return Reply(200, {}, content[:])
        first = int(match[1]) + self.shifted
        last = min(int(match[2] or len(content)) + self.shifted, len(content) - 1)
        return Reply(
            206,
            {"Content-Range": f"bytes {first}-{last}/{len(content)}"},
            content[first : last + 1],
        )


@dataclass
class Hub(Server):
    """Hugging Face: one repository, which may be gated."""

    cdn: Cdn = field(default_factory=Cdn)
    repository: str = "owner/Model-GGUF"
    files: dict[str, Content] = field(default_factory=dict)
    gated: bool = False
    licence: str = "apache-2.0"
    etag: str | None = None

    def reply(self, asked: Asked) -> Reply:
        path = unquote(urlsplit(asked.path).path)
        if path.startswith("/api/models/"):
            return self._listing(path.removeprefix("/api/models/"), asked)
        match = re.fullmatch(rf"/{self.repository}/resolve/([^/]+)/(.+)", path)
        if match is None or match[2] not in self.files:
            return Reply(404, {"X-Error-Code": "EntryNotFound"})
        if self.gated and asked.headers.get("authorization") != f"Bearer {TOKEN}":
            status = 403 if "authorization" in asked.headers else 401
            return Reply(status, {"X-Error-Code": "GatedRepo", "X-Error-Message": "no"})
        content = self.files[match[2]]
        kept = f"/{sha256(content)}"
        self.cdn.files[kept] = content
        headers = {
            "X-Repo-Commit": COMMIT,
            "X-Linked-Etag": f'"{self.etag or sha256(content)}"',
            "X-Linked-Size": str(len(content)),
            "Location": f"{self.cdn.url}{kept}?Signature=of-the-cdn",
        }
        return Reply(302, headers)

    def _listing(self, path: str, asked: Asked) -> Reply:
        name, _, revision = path.partition("/revision/")
        if name != self.repository:
            anonymous = "authorization" not in asked.headers
            return Reply(401 if anonymous else 404, {"X-Error-Code": "RepoNotFound"})
        if revision not in ("main", COMMIT):
            return Reply(404, {"X-Error-Code": "RevisionNotFound"})
        siblings: list[dict[str, Any]] = [{"rfilename": "README.md", "size": 5}]
        siblings += [
            {
                "rfilename": name,
                "size": len(content),
                "lfs": {"sha256": sha256(content), "size": len(content), "pointerSize": 135},
            }
            for name, content in self.files.items()
        ]
        document = {
            "sha": COMMIT,
            "gated": "manual" if self.gated else False,
            "cardData": {"license": self.licence},
            "siblings": siblings,
        }
        return Reply(200, {"Content-Type": "application/json"}, json.dumps(document).encode())


@dataclass
class Library(Server):
    """Ollama's registry: manifests by tag, blobs that redirect to another host."""

    cdn: Cdn = field(default_factory=Cdn)
    manifests: dict[str, bytes] = field(default_factory=dict)

    def add(
        self,
        name: str,
        layers: Sequence[tuple[str, Content]],
        config: Mapping[str, Any] | None = None,
        config_size_is_off_by: int = 0,
    ) -> bytes:
        """Add a model; a layer is its kind and content. Return the manifest."""
        written = json.dumps({"model_format": "gguf", "file_type": "Q4_K_M", **(config or {})})
        document = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "config": {
                "mediaType": "application/vnd.docker.container.image.v1+json",
                "digest": self._keep(written.encode()),
                "size": len(written) + config_size_is_off_by,
            },
            "layers": [
                {
                    "mediaType": f"application/vnd.ollama.image.{kind}",
                    "digest": self._keep(content),
                    "size": len(content),
                }
                for kind, content in layers
            ],
        }
        self.manifests[name] = json.dumps(document).encode()
        return self.manifests[name]

    def _keep(self, content: Content) -> str:
        self.cdn.files[f"/{sha256(content)}"] = content
        return f"sha256:{sha256(content)}"

    def reply(self, asked: Asked) -> Reply:
        if match := re.fullmatch(r"/v2/(.+)/manifests/(.+)", asked.path):
            found = self.manifests.get(f"{match[1]}:{match[2]}")
            return Reply(200, {}, found) if found else Reply(404, {}, b'{"errors": []}')
        if match := re.fullmatch(r"/v2/.+/blobs/sha256:([0-9a-f]{64})", asked.path):
            return Reply(307, {"Location": f"{self.cdn.url}/{match[1]}?X-Amz-Signature=secret"})
        return Reply(404)


class _Handler(BaseHTTPRequestHandler):
    played: Server
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(self.command, self.path, headers)
        self.played.asked.append(asked)
        reply = self._instead(asked) or self.played.reply(asked)
        self.send_response(reply.status)
        length = {"Content-Length": str(len(reply.content))}
        for name, value in {**length, **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.content[: reply.cut_after])
        if reply.cut_after is not None:
            self.close_connection = True

    do_HEAD = do_GET

    def _instead(self, asked: Asked) -> Reply | None:
        for pattern, reply in self.played.instead.items():
            if reply.times > 0 and re.search(pattern, f"{asked.method} {asked.path}"):
                reply.times -= 1
                return reply
        return None


@contextmanager
def served(played: Server, host: str = "127.0.0.1") -> Iterator[str]:
    """Let a server answer on loopback; yields its address, which it also has in `url`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (_Handler,), {"played": played}))
    played.url = f"http://{host}:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield played.url
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def hub_of(files: Mapping[str, Content]) -> Iterator[Hub]:
    """The hub with one repository of these files; what is large is on another host."""
    hub = Hub(files=dict(files))
    with served(hub.cdn, "localhost"), served(hub):
        yield hub


@contextmanager
def library() -> Iterator[Library]:
    """Ollama's registry without models; blobs are on another host."""
    made = Library()
    with served(made.cdn, "localhost"), served(made):
        yield made
