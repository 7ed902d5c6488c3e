"""The client of registries, against one on loopback."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from moltghost.images.registry import Registry, RegistryError
from moltghost.progress import Event
from tests.images.examples import small_image
from tests.images.registry_server import PASSWORD, USER, State, digest_of, registry


@pytest.fixture
def server() -> Iterator[tuple[str, State]]:
    with registry() as running:
        yield running


def credentials() -> tuple[str, str]:
    return USER, PASSWORD


def test_a_pushed_image_is_whole_and_keeps_its_digest(
    server: tuple[str, State], tmp_path: Path
) -> None:
    host, state = server
    image = small_image(tmp_path)
    events: list[Event] = []
    with Registry(host) as client:
        assert client.digest("a/hello", "1.2") is None
        assert client.push(image, "a/hello", "1.2", events.append) == image.digest
        assert client.digest("a/hello", "1.2") == image.digest
    assert digest_of(state.manifests["a/hello", "1.2"]) == image.digest
    assert len(state.blobs) == 3  # config, two layers
    fractions = [event.fraction for event in events if event.fraction is not None]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert (events[0].state, events[-1].state) == ("started", "done")


def test_what_is_there_already_is_not_sent_again(server: tuple[str, State], tmp_path: Path) -> None:
    host, state = server
    image = small_image(tmp_path)
    with Registry(host) as client:
        state.refuse = ("PUT", 500, "UNKNOWN")
        with pytest.raises(RegistryError, match=r"500 to PUT .*UNKNOWN no luck with PUT"):
            client.push(image, "a/hello", "1.2")
        state.refuse = None
        client.push(image, "a/hello", "1.2")
        sent = state.count("PATCH")
        client.push(image, "a/hello", "again")
    assert sent == 4  # the first was refused when it was closed, and sent once more
    assert state.count("PATCH") == sent


def test_the_manifest_comes_last(server: tuple[str, State], tmp_path: Path) -> None:
    host, state = server
    with Registry(host) as client:
        client.push(small_image(tmp_path), "a/hello", "1.2")
    assert state.asked[-1] == ("PUT", "/v2/a/hello/manifests/1.2")


def test_a_registry_that_wants_a_password_gets_it_when_it_asks(
    server: tuple[str, State], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    host, state = server
    state.challenge = "Basic"
    with caplog.at_level(logging.DEBUG), Registry(host, credentials) as client:
        client.push(small_image(tmp_path), "a/hello", "1.2")
    assert ("a/hello", "1.2") in state.manifests
    assert PASSWORD not in caplog.text
    assert not any(PASSWORD in path for _, path in state.asked)


def test_a_public_registry_gives_a_token_to_whoever_pulls(server: tuple[str, State]) -> None:
    host, state = server
    state.challenge = "Bearer"
    state.manifests["a/hello", "1.2"] = b"{}"
    with Registry(host, credentials) as client:
        assert client.digest("a/hello", "1.2") == digest_of(b"{}")
    assert ("GET", "/token") in state.asked


def test_without_credentials_a_private_registry_says_no(server: tuple[str, State]) -> None:
    host, state = server
    state.challenge = "Basic"
    with Registry(host) as client, pytest.raises(RegistryError, match="answers 401 to GET"):
        client.digest("a/hello", "1.2")


def test_uploads_do_not_follow_to_another_host(server: tuple[str, State], tmp_path: Path) -> None:
    host, state = server
    state.upload_host = "http://127.0.0.1:9"
    with (
        Registry(host) as client,
        pytest.raises(RegistryError, match=r"sends uploads to another host: http://127\.0\.0\.1:9"),
    ):
        client.push(small_image(tmp_path), "a/hello", "1.2")


def test_a_registry_that_is_not_there_is_named() -> None:
    with registry() as (host, _state):
        pass
    with (
        Registry(host) as client,
        pytest.raises(RegistryError, match=f"the registry {host} doesn't answer") as caught,
    ):
        client.digest("a/hello", "1.2")
    assert "network" in caught.value.hint


def test_only_loopback_is_spoken_to_without_tls() -> None:
    for host, scheme in (
        ("127.0.0.1:5000", "http"),
        ("localhost", "http"),
        ("registry.example:5000", "https"),
        ("127.0.0.1.example", "https"),
    ):
        with Registry(host) as client:
            assert client._client.base_url.scheme == scheme, host
