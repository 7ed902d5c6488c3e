"""How crane is run and what becomes of its answers; tests/e2e/test_publication.py runs the real."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from moltghost.images import crane
from moltghost.images.crane import (
    Crane,
    DigestMismatch,
    NoSuchImage,
    NoSuchRepository,
    NotLoggedIn,
    RateLimited,
    RegistryError,
    Unreachable,
)
from moltghost.images.logins import Login, docker_config
from moltghost.local.build import programs
from moltghost.progress import Event
from tests.images.examples import small_image

# Keeps what it was given; answers with the files that a test puts beside it.
PROGRAM = """#!/bin/sh
here=$(dirname "$0")
echo "$@" >> "$here/arguments"
tr '\\0' '\\n' < /proc/$$/environ > "$here/environment"
cp "$DOCKER_CONFIG/config.json" "$here/config.json" 2>/dev/null
[ -e "$here/$1.errors" ] && cat "$here/$1.errors" >&2
[ -e "$here/$1.waits" ] && { echo $$ > "$here/pid"; exec sleep 60; }
[ -e "$here/$1.fails" ] && exit 1
[ -e "$here/$1" ] && cat "$here/$1"
exit 0
"""
BLOB = f"sha256:{'b' * 64}"
CONFIG = f"sha256:{'c' * 64}"
MANIFEST = json.dumps(
    {"config": {"digest": CONFIG, "size": 10}, "layers": [{"digest": BLOB, "size": 90}]}
)
DIGEST = f"sha256:{hashlib.sha256(MANIFEST.encode()).hexdigest()}"
TARGET = "registry.example/a/hello:1.2"


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a program in crane's place."""
    home = tmp_path / "program"
    home.mkdir()
    (home / "crane").write_text(PROGRAM)
    (home / "crane").chmod(0o755)
    monkeypatch.setattr(programs, "binary", lambda name: home / name)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "none"))
    return home


def run(tmp_path: Path) -> Crane:
    return Crane(tmp_path / "config")


def test_a_digest_is_computed_from_what_the_registry_sends(program: Path, tmp_path: Path) -> None:
    (program / "manifest").write_text(MANIFEST)
    assert run(tmp_path).digest(TARGET) == DIGEST
    assert (program / "arguments").read_text() == f"manifest {TARGET}\n"


@pytest.mark.parametrize("code", ["MANIFEST_UNKNOWN", "NAME_UNKNOWN"])
def test_what_is_not_there_has_no_digest(program: Path, tmp_path: Path, code: str) -> None:
    (program / "manifest.errors").write_text(f"Error: fetching manifest x: GET y: {code}: none\n")
    (program / "manifest.fails").touch()
    assert run(tmp_path).digest(TARGET) is None


def test_a_login_is_in_its_file_and_in_no_argument_and_no_variable(program: Path) -> None:
    (program / "manifest").write_text(MANIFEST)
    login = Login("AWS", "a-secret-of-twelve-hours")
    with docker_config({"registry.example": login}) as folder:
        Crane(folder).copy(f"upstream.example/hello@{DIGEST}", TARGET)
    config = (program / "config.json").read_text()
    assert login.auth in config
    for file in ("arguments", "environment"):
        text = (program / file).read_text()
        assert text
        assert "twelve" not in text
        assert login.auth not in text


def test_a_copy_is_by_digest_reports_its_bytes_and_is_read_back(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moltghost.progress._REPORT_EVERY_SECONDS", 0)
    (program / "manifest").write_text(MANIFEST)
    said = [f"2026/11/30 22:00:00 existing blob: {CONFIG}", f"2026/11/30 pushed blob: {BLOB}"]
    (program / "copy.errors").write_text("\n".join(said))
    events: list[Event] = []
    run(tmp_path).copy(f"upstream.example/hello@{DIGEST}", TARGET, events.append)
    assert (program / "arguments").read_text().splitlines() == [
        f"manifest upstream.example/hello@{DIGEST}",
        f"copy upstream.example/hello@{DIGEST} {TARGET}",
        f"manifest {TARGET}",
    ]
    assert [event.fraction for event in events if event.state == "running"] == [0.1, 1.0]
    assert {event.task for event in events} == {f"copy {TARGET}"}
    assert (events[0].state, events[-1].state) == ("started", "done")


def test_what_reads_back_as_something_else_is_an_error(program: Path, tmp_path: Path) -> None:
    (program / "manifest").write_text(MANIFEST)
    other = f"sha256:{'0' * 64}"
    with pytest.raises(DigestMismatch, match=rf"hello:1\.2 reads back as {DIGEST}, not as {other}"):
        run(tmp_path).copy(f"upstream.example/hello@{other}", TARGET)
    with pytest.raises(DigestMismatch, match=f"reads back as {DIGEST}, not as sha256:"):
        run(tmp_path).push(small_image(tmp_path / "image"), TARGET)


def test_a_pushed_archive_is_given_as_a_layout(program: Path, tmp_path: Path) -> None:
    image = small_image(tmp_path / "image")
    (program / "manifest").write_bytes(image.manifest_bytes())
    run(tmp_path).push(image, TARGET)
    verb, layout, target = (program / "arguments").read_text().splitlines()[0].split()
    assert (verb, target) == ("push", TARGET)
    assert not Path(layout).exists()
    image.unpack(tmp_path / "layout")
    assert (tmp_path / "layout" / "index.json").is_file()
    assert json.loads((tmp_path / "layout" / "oci-layout").read_text()) == {
        "imageLayoutVersion": "1.0.0"
    }


# As crane 0.22.1 says them: pkg/v1/remote/transport/error.go, pkg/v1/remote/fetcher.go; Docker
# Hub's and ECR's own words from their documentation of errors.
SAID: list[tuple[str, type[RegistryError], str]] = [
    (
        "GET https://index.docker.io/v2/a/manifests/1: TOOMANYREQUESTS: You have reached your "
        "unauthenticated pull rate limit.",
        RateLimited,
        "docker login",
    ),
    ("HEAD https://h/v2/a: unexpected status code 429 Too Many Requests", RateLimited, "wait"),
    ("GET https://h/v2/a: UNAUTHORIZED: authentication required", NotLoggedIn, "log in"),
    (
        "POST https://h/v2/a/blobs/uploads/: DENIED: Your authorization token has expired.",
        NotLoggedIn,
        "AWS",
    ),
    (
        "POST https://h/v2/a/blobs/uploads/: NAME_UNKNOWN: The repository with name 'a' does not "
        "exist in the registry with id '111122223333'",
        NoSuchRepository,
        "moltghost up",
    ),
    ("GET https://h/v2/a/manifests/1: MANIFEST_UNKNOWN: not found", NoSuchImage, "version"),
    ("GET https://h/v2/a/manifests/1: unexpected status code 404 Not Found", NoSuchImage, ""),
    (
        'manifest digest: "sha256:1" does not match requested digest: "sha256:2" for "h/a"',
        DigestMismatch,
        "trust neither",
    ),
    ("PUT https://h/v2/a/blobs/uploads/1: DIGEST_INVALID: other", DigestMismatch, ""),
    ('Get "https://h/v2/": dial tcp: lookup h: no such host', Unreachable, "network"),
    ('Get "https://h/v2/": x509: certificate signed by unknown authority', Unreachable, "proxy"),
    (
        "PUT https://h/v2/a: unexpected status code 500 Internal Server Error",
        RegistryError,
        "again",
    ),
]


@pytest.mark.parametrize(("said", "kind", "hint"), SAID)
def test_what_a_registry_says_becomes_an_error_with_its_own_next_step(
    program: Path, tmp_path: Path, said: str, kind: type[RegistryError], hint: str
) -> None:
    warning = "2026/11/30 22:00:00 HEAD request failed, falling back on GET: 404 MANIFEST_UNKNOWN\n"
    (program / "manifest.errors").write_text(f"{warning}Error: fetching manifest x: {said}\n")
    (program / "manifest.fails").touch()
    with pytest.raises(
        RegistryError, match=r"asking for registry\.example/a/hello:1\.2 failed"
    ) as no:
        run(tmp_path).manifest(TARGET)
    assert type(no.value) is kind
    assert said in no.value.message
    assert hint in no.value.hint


def test_an_interruption_ends_crane(program: Path, tmp_path: Path) -> None:
    (program / "manifest").write_text(MANIFEST)
    (program / "copy.errors").write_text(f"pushed blob: {BLOB}\n")
    (program / "copy.waits").touch()

    def stop(event: Event) -> None:
        if event.state == "running":
            raise KeyboardInterrupt("stop")

    before = time.monotonic()
    with (
        pytest.MonkeyPatch.context() as patch,
        pytest.raises(KeyboardInterrupt, match="stop"),
    ):
        patch.setattr("moltghost.progress._REPORT_EVERY_SECONDS", 0)
        run(tmp_path).copy(f"upstream.example/hello@{DIGEST}", TARGET, stop)
    assert time.monotonic() - before < 30
    if (program / "pid").exists():  # it may not have come that far
        with pytest.raises(ProcessLookupError):
            os.kill(int((program / "pid").read_text()), signal.SIG_DFL)


def test_a_failed_transfer_is_seen_as_failed(program: Path, tmp_path: Path) -> None:
    (program / "manifest").write_text(MANIFEST)
    (program / "copy.errors").write_text("Error: PUT https://h: DENIED: no\n")
    (program / "copy.fails").touch()
    events: list[Event] = []
    with pytest.raises(NotLoggedIn, match=r"copy registry\.example/a/hello:1\.2 from upstream"):
        run(tmp_path).copy(f"upstream.example/hello@{DIGEST}", TARGET, events.append)
    assert (events[-1].state, events[-1].detail) == ("failed", "NotLoggedIn")


def test_an_index_is_as_large_as_all_its_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = {"manifests": [{"digest": "sha256:1"}, {"digest": "sha256:2"}]}
    layer: dict[str, Any] = {"digest": "sha256:3", "size": 5}
    answers = {
        "h/a@sha256:0": json.dumps(index),
        "h/a@sha256:1": MANIFEST,
        "h/a@sha256:2": json.dumps({"config": {"digest": CONFIG, "size": 10}, "layers": [layer]}),
    }
    monkeypatch.setattr(Crane, "manifest", lambda _self, each: answers[each].encode())
    sizes = run(tmp_path)._sizes("h/a@sha256:0")
    assert sizes == {CONFIG: 10, BLOB: 90, "sha256:3": 5}


def test_crane_is_built_when_it_is_needed_and_at_no_other_time() -> None:
    assert programs.program(crane.PROGRAM).version == "v0.22.1"
    assert crane.PROGRAM not in (*programs.CONTROL_PLANE, *programs.NODE)
