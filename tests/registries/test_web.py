from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from moltghost.errors import Refused
from moltghost.registries import (
    HubToken,
    HuggingFace,
    RemoteFile,
    RemoteStream,
    Unexpected,
    Unreachable,
    Web,
    hub_token,
)
from moltghost.registries.web import require_safe, retry_after, shown
from tests.registries.servers import TOKEN, Hub, Reply, hub_of

CONTENT = bytes(range(256)) * 8
NAME = "Model-Q4_K_M.gguf"


@pytest.fixture
def hub() -> Iterator[Hub]:
    with hub_of({NAME: CONTENT}) as served:
        yield served


@pytest.fixture
def web() -> Web:
    return Web(pause=lambda _: None, silence_seconds=5.0)


def file_of(hub: Hub, web: Web) -> RemoteFile:
    return HuggingFace(web, hub.url).resolve(hub.repository, "Q4_K_M").files[0]


def test_a_stream_reads_any_part_through_the_redirect(hub: Hub, web: Web) -> None:
    stream = RemoteStream(web, file_of(hub, web))
    stream.seek(300)
    assert stream.read(10) == CONTENT[300:310]
    assert stream.read(5) == CONTENT[310:315]
    stream.seek(len(CONTENT) - 3)
    assert stream.read(100) == CONTENT[-3:]
    assert stream.read(100) == b""


def test_the_token_goes_to_the_hub_and_never_to_where_it_redirects(
    hub: Hub, web: Web, caplog: pytest.LogCaptureFixture
) -> None:
    hub.gated = True
    caplog.set_level(logging.DEBUG)
    token = HubToken(TOKEN, "HF_TOKEN")
    file = HuggingFace(web, hub.url, token).resolve(hub.repository, "Q4_K_M").files[0]
    assert RemoteStream(web, file, token).read(4) == CONTENT[:4]
    assert [a.headers["authorization"] for a in hub.asked] == [f"Bearer {TOKEN}"] * 3
    assert [a.method for a in hub.cdn.asked] == ["GET"]
    assert not any("authorization" in a.headers for a in hub.cdn.asked)
    assert TOKEN not in caplog.text
    assert TOKEN not in repr(token)


def test_a_stream_reads_no_more_than_its_bound(hub: Hub, web: Web) -> None:
    stream = RemoteStream(web, file_of(hub, web), most_bytes=100)
    stream.read(80)
    with pytest.raises(Unexpected, match="has a header of more than"):
        stream.read(80)


def test_a_server_without_ranges_is_refused(hub: Hub, web: Web) -> None:
    hub.cdn.ignores_ranges = True
    with pytest.raises(Unexpected, match="gives the whole file where a part"):
        RemoteStream(web, file_of(hub, web)).read(10)


def test_other_bytes_than_were_asked_for_are_refused(hub: Hub, web: Web) -> None:
    hub.cdn.shifted = 1
    with pytest.raises(Unexpected, match=r"other bytes than it was asked for \(bytes 1-10/2048"):
        RemoteStream(web, file_of(hub, web)).read(10)


def test_another_size_than_the_listing_says_is_refused(hub: Hub, web: Web) -> None:
    file = file_of(hub, web)
    hub.cdn.files = {}
    hub.files = {NAME: CONTENT + b"more"}
    with pytest.raises(Unexpected, match=r"\(bytes 0-9/2052 of 2048 bytes\)"):
        RemoteStream(web, file).read(10)


def test_a_range_that_is_cut_off_is_asked_for_again(hub: Hub, web: Web) -> None:
    file = file_of(hub, web)
    headers = {"Content-Range": f"bytes 0-9/{len(CONTENT)}"}
    hub.cdn.instead["GET"] = Reply(206, headers, CONTENT[:10], cut_after=4, times=2)
    assert RemoteStream(web, file).read(10) == CONTENT[:10]
    assert hub.cdn.count("GET") == 3


def test_redirects_lead_to_https_or_from_loopback_to_loopback_only(hub: Hub, web: Web) -> None:
    for target in ("http://example.com/x", "file:///etc/passwd", "ftp://127.0.0.1/x"):
        hub.instead["/a"] = Reply(302, {"Location": target})
        with pytest.raises(Unexpected, match=r"where .* redirects, isn't an https address"):
            web.ask(f"{hub.url}/a")
    with pytest.raises(Unexpected, match="isn't an https address"):
        require_safe("http://127.0.0.1:80/x", redirected_from="https://hub.example/x")


def test_redirects_without_end_are_refused(hub: Hub, web: Web) -> None:
    hub.instead["/a"] = Reply(302, {"Location": "/a"})
    with pytest.raises(Unexpected, match="redirects more than 5 times"):
        web.ask(f"{hub.url}/a")
    assert hub.count("/a") == 6


def test_nobody_there_is_said_after_three_tries(hub: Hub) -> None:
    pauses: list[float] = []
    hub.instead["/a"] = Reply(503)
    with pytest.raises(Unreachable, match="answered 503"):
        Web(pause=pauses.append).ask(f"{hub.url}/a")
    assert pauses == [0.5, 1.0]
    with pytest.raises(Unreachable, match=r"http://127\.0\.0\.1:1/a can't be read"):
        Web(pause=pauses.append).ask("http://127.0.0.1:1/a")


def test_an_answer_that_takes_too_long_is_given_up(hub: Hub) -> None:
    hub.instead["/a"] = Reply(200, {}, CONTENT)
    with pytest.raises(Unreachable, match=r"sent 2\.0 KiB in 0 seconds and isn't done"):
        Web(pause=lambda _: None, answer_seconds=0.0).ask(f"{hub.url}/a")


def test_messages_show_no_signature_and_no_password() -> None:
    shows = shown("https://user:secret@cdn.example/file?Signature=secret#secret")
    assert shows == "https://cdn.example/file"


def test_retry_after_is_seconds_or_a_date_and_never_absurd() -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    assert 80 <= (retry_after({"retry-after": soon}) or 0) <= 90
    assert retry_after({"retry-after": "soon"}) is None
    assert retry_after({"retry-after": "9" * 30}) == 86400.0
    assert retry_after({"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}) == 0.0


def test_the_token_is_found_where_the_hubs_own_client_finds_it(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("hf_file\n")
    assert hub_token({"HF_TOKEN": " hf_a "}) == HubToken("hf_a", "HF_TOKEN")
    assert hub_token({"HF_TOKEN_PATH": str(file)}) == HubToken("hf_file", str(file))
    assert hub_token({"HF_HOME": str(tmp_path)}) == HubToken("hf_file", str(file))
    assert hub_token({"XDG_CACHE_HOME": str(tmp_path)}) is None
    with pytest.raises(Refused, match=r"can't be read: .*missing: No such file"):
        hub_token({"HF_TOKEN_PATH": str(tmp_path / "missing")})


@pytest.mark.parametrize("value", ["", "two words", "hf_é", "hf\r\nX-Evil: 1"])
def test_what_isnt_a_token_is_refused_without_being_shown(value: str) -> None:
    with pytest.raises(Refused, match="HF_TOKEN doesn't hold a token") as raised:
        HubToken(value, "HF_TOKEN")
    assert not value or value not in str(raised.value)
