"""A large file from a registry: continued, tried again, and told apart from what isn't given."""

from __future__ import annotations

import shutil
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import pytest

from moltghost.errors import Failed, MoltghostError, Refused
from moltghost.lifecycle.weights.download import download
from moltghost.progress import Event, silent
from tests.registries.servers import COMMIT, TOKEN, Hub, Reply, hub_of

CONTENT = b"GGUF" + bytes(range(256)) * 5000
URL = f"https://huggingface.co/owner/Model-GGUF/resolve/{COMMIT}/model-Q4_K_M.gguf"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """A mirror of the hub, which a token isn't set for."""
    for name in ("HF_TOKEN", "HF_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    with hub_of({"model-Q4_K_M.gguf": CONTENT}) as served:
        monkeypatch.setenv("HF_ENDPOINT", served.url)
        yield served


class Pauses(list[float]):
    """Waits for nothing, and remembers how long it would have been."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


def test_it_is_asked_at_the_mirror_and_followed_to_where_the_bytes_are(
    hub: Hub, tmp_path: Path
) -> None:
    download(URL, tmp_path / "x", silent)
    assert (tmp_path / "x").read_bytes() == CONTENT
    assert hub.cdn.count("GET") == 1


def test_a_connection_that_is_cut_again_and_again_costs_no_byte_twice(
    hub: Hub, tmp_path: Path
) -> None:
    pauses = Pauses()
    hub.cdn.instead["GET"] = Reply(200, {"Content-Length": str(len(CONTENT))}, CONTENT, 1000, 1)
    download(URL, tmp_path / "x", silent, pause=pauses)
    assert (tmp_path / "x").read_bytes() == CONTENT
    assert [asked.headers.get("range") for asked in hub.cdn.asked] == [None, "bytes=1000-"]
    assert pauses == [1.0]


def test_a_busy_server_is_left_alone_for_as_long_as_it_says(hub: Hub, tmp_path: Path) -> None:
    pauses, told = Pauses(), list[Event]()
    hub.instead["GET"] = Reply(429, {"Retry-After": "3"}, times=1)
    download(URL, tmp_path / "x", told.append, pause=pauses)
    assert (tmp_path / "x").read_bytes() == CONTENT
    assert sum(pauses) == 3.0
    assert "the server answered 429; trying again in 3 s" in [event.detail for event in told]


def test_a_server_that_stays_broken_is_given_up_after_five_tries(hub: Hub, tmp_path: Path) -> None:
    pauses = Pauses()
    hub.instead["GET"] = Reply(503)
    with pytest.raises(Failed, match="can't be downloaded: the server answered 503") as failed:
        download(URL, tmp_path / "x", silent, pause=pauses)
    assert hub.count("GET") == 5
    assert sum(pauses) == 1 + 2 + 4 + 8
    assert "continues where this stopped" in failed.value.hint


def test_a_token_is_shown_to_the_hub_and_to_nobody_it_redirects_to(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.gated = True
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    download(URL, tmp_path / "x", silent)
    assert (tmp_path / "x").read_bytes() == CONTENT
    assert [asked.headers.get("authorization") for asked in hub.asked] == [f"Bearer {TOKEN}"]
    assert [asked.headers.get("authorization") for asked in hub.cdn.asked] == [None]


@pytest.mark.parametrize(
    ("token", "reply", "error", "message", "hint"),
    [
        ("", None, Refused, r"isn't given to this user \(401\)", "then set HF_TOKEN"),
        ("hf_wrong", None, Refused, r"isn't given to this user \(403\)", "token may read it"),
        ("", Reply(404), Refused, r"isn't there any more \(404\)", "moltghost models add"),
        ("", Reply(418), Failed, "answered 418", "run the same command again"),
    ],
)
def test_what_is_not_given_is_not_asked_for_again(
    token: str,
    reply: Reply | None,
    error: type[MoltghostError],
    message: str,
    hint: str,
    hub: Hub,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hub.gated = True
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    if reply:
        hub.instead["GET"] = reply
    with pytest.raises(error, match=message) as raised:
        download(URL, tmp_path / "x", silent)
    assert hub.count("GET") == 1
    assert hint in raised.value.hint
    assert not (tmp_path / "x").exists()
    assert "hf_wrong" not in f"{raised.value.message}{raised.value.hint}"


def test_a_disk_without_room_is_found_before_a_byte_is_written(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")(1, 1, 1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(Failed, match=r"1000 B free, and 1\.2 MiB are coming"):
        download(URL, tmp_path / "x", silent)
    assert not (tmp_path / "x").exists()
