from __future__ import annotations

from collections.abc import Iterator

import pytest

from moltghost.errors import Refused
from moltghost.models.sources import Registry
from moltghost.registries import (
    FileRole,
    Gated,
    HubToken,
    HuggingFace,
    NotFound,
    RateLimited,
    Unauthorized,
    Unexpected,
    Unreachable,
    Web,
)
from tests.registries.servers import COMMIT, TOKEN, Hub, Reply, hub_of, sha256

REPOSITORY = "owner/Model-GGUF"
FILES = {
    "Model-Q4_K_M.gguf": b"four bits",
    "Model-Q8_0-00001-of-00002.gguf": b"eight bits, one",
    "Model-Q8_0-00002-of-00002.gguf": b"eight bits, two",
    "mmproj-Model-Q8_0.gguf": b"eyes of eight bits",
    "mmproj-Model-F16.gguf": b"eyes",
}


@pytest.fixture
def hub() -> Iterator[Hub]:
    with hub_of(FILES) as served:
        yield served


def client(hub: Hub, token: str | None = None) -> HuggingFace:
    web = Web(pause=lambda _: None, silence_seconds=5.0)
    return HuggingFace(web, hub.url, HubToken(token, "HF_TOKEN") if token else None)


def test_a_quantization_is_its_file_with_the_sha256_at_a_commit(hub: Hub) -> None:
    resolved = client(hub).resolve(REPOSITORY, "q4_k_m")
    (file,) = resolved.model_files
    assert (resolved.registry, resolved.name) == (Registry.HUGGING_FACE, REPOSITORY)
    assert resolved.revision == COMMIT
    assert (file.sha256, file.size_bytes) == (sha256(b"four bits"), 9)
    assert file.url == f"{hub.url}/{REPOSITORY}/resolve/{COMMIT}/Model-Q4_K_M.gguf"
    assert (resolved.licences, resolved.gated) == (("apache-2.0",), False)


def test_a_split_quantization_is_all_its_parts_in_order(hub: Hub) -> None:
    resolved = client(hub).resolve(REPOSITORY, "Q8_0")
    assert [file.name for file in resolved.model_files] == [
        "Model-Q8_0-00001-of-00002.gguf",
        "Model-Q8_0-00002-of-00002.gguf",
    ]
    assert resolved.size_bytes == 30


def test_a_vision_tower_comes_with_the_model_the_unquantized_one_first(hub: Hub) -> None:
    resolved = client(hub).resolve(REPOSITORY, "Q4_K_M")
    assert [(file.name, file.role) for file in resolved.projectors] == [
        ("mmproj-Model-F16.gguf", FileRole.PROJECTOR),
        ("mmproj-Model-Q8_0.gguf", FileRole.PROJECTOR),
    ]


def test_files_can_be_named_by_their_paths(hub: Hub) -> None:
    resolved = client(hub).resolve_files(REPOSITORY, ["Model-Q4_K_M.gguf"], COMMIT)
    assert [file.sha256 for file in resolved.model_files] == [sha256(b"four bits")]


def test_a_missing_quantization_is_answered_with_those_that_are_there(hub: Hub) -> None:
    with pytest.raises(Refused, match=r"no quantization 'Q5_K_M'\n.*it has Q4_K_M, Q8_0;"):
        client(hub).resolve(REPOSITORY, "Q5_K_M")


def test_a_missing_part_is_named(hub: Hub) -> None:
    del hub.files["Model-Q8_0-00002-of-00002.gguf"]
    with pytest.raises(Refused, match=r"Model-Q8_0-00002-of-00002\.gguf isn't there"):
        client(hub).resolve(REPOSITORY, "Q8_0")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"model-00001-of-00002.safetensors": b"x"}, "only GGUF files are covered"),
        ({"adapter_config.json": b"{}", "adapter_model.safetensors": b"x"}, r"adapter \(LoRA\)"),
        ({"mmproj-F16.gguf": b"x"}, "no GGUF file whose name says a quantization: mmproj"),
        ({"notes.txt": b"x"}, "has no GGUF files"),
    ],
)
def test_a_repository_without_a_model_is_refused_with_what_it_has(
    hub: Hub, files: dict[str, bytes], said: str
) -> None:
    hub.files = files
    with pytest.raises(Refused, match=said):
        client(hub).resolve(REPOSITORY, "Q4_K_M")


def test_a_gated_repository_says_what_to_accept_and_where(hub: Hub) -> None:
    hub.gated = True
    with pytest.raises(Gated, match=rf"accept it at {hub.url}/{REPOSITORY}; then put a token"):
        client(hub).resolve(REPOSITORY, "Q4_K_M")
    with pytest.raises(Gated, match="the token in HF_TOKEN belongs to an account that hasn't"):
        client(hub, "hf_another").resolve(REPOSITORY, "Q4_K_M")
    assert client(hub, TOKEN).resolve(REPOSITORY, "Q4_K_M").gated


def test_an_unknown_repository_is_not_found_with_and_without_a_token(hub: Hub) -> None:
    for token in (None, TOKEN):
        with pytest.raises(NotFound, match="no such repository or file, or it is private"):
            client(hub, token).resolve("owner/other", "Q4_K_M")
    with pytest.raises(NotFound, match="has no revision 'v9'"):
        client(hub).resolve(REPOSITORY, "Q4_K_M", "v9")
    with pytest.raises(NotFound, match=r"has no file Other\.gguf at bf5b95e9"):
        client(hub).resolve_files(REPOSITORY, ["Other.gguf"])


def test_a_token_that_the_hub_refuses_is_named_by_where_it_came_from(hub: Hub) -> None:
    message = {"X-Error-Message": "Invalid credentials in Authorization header"}
    hub.instead["/api/"] = Reply(401, message)
    with pytest.raises(Unauthorized, match="the token in HF_TOKEN was refused") as raised:
        client(hub, TOKEN).resolve(REPOSITORY, "Q4_K_M")
    assert TOKEN not in str(raised.value)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"RateLimit": '"api";r=0;t=55'}, 55.0),
        ({}, None),
    ],
)
def test_a_rate_limit_says_how_long_to_wait(
    hub: Hub, headers: dict[str, str], seconds: float | None
) -> None:
    hub.instead["/api/"] = Reply(429, headers)
    with pytest.raises(RateLimited, match="was asked too often") as raised:
        client(hub).resolve(REPOSITORY, "Q4_K_M")
    assert raised.value.retry_after_seconds == seconds
    assert hub.count("/api/") == 1


def test_a_cut_connection_and_a_faulty_server_are_asked_again(hub: Hub) -> None:
    hub.instead["/api/"] = Reply(200, {}, b'{"sha": "' + b"x" * 100, cut_after=20, times=1)
    hub.instead["HEAD"] = Reply(503, times=1)
    assert client(hub).resolve(REPOSITORY, "Q4_K_M").revision == COMMIT
    assert (hub.count("GET /api/"), hub.count("HEAD")) == (2, 2)


def test_what_stays_broken_says_so(hub: Hub) -> None:
    hub.instead["/api/"] = Reply(200, {}, b"x" * 100, cut_after=20)
    with pytest.raises(Unreachable, match="can't be read: peer closed connection"):
        client(hub).resolve(REPOSITORY, "Q4_K_M")
    hub.instead["/api/"] = Reply(502)
    with pytest.raises(Unreachable, match="answered 502"):
        client(hub).resolve(REPOSITORY, "Q4_K_M")


def test_a_wrong_etag_is_refused(hub: Hub) -> None:
    hub.etag = "0" * 64
    with pytest.raises(Unexpected, match=r"its sha256 is 0000.* in its headers and"):
        client(hub).resolve(REPOSITORY, "Q4_K_M")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<html>sign in</html>", "it isn't JSON"),
        (b"[" * 100_000, "it isn't JSON"),
        (b"[]", "it isn't a JSON object"),
        (b'{"sha": "main", "siblings": []}', "it names no commit"),
        (b'{"sha": "%s"}' % COMMIT.encode(), "no list of files"),
        (
            b'{"sha": "%s", "siblings": [{"rfilename": "../x.gguf"}]}' % COMMIT.encode(),
            "isn't the path of a file",
        ),
        (
            b'{"sha": "%s", "siblings": [{"rfilename": "x.gguf", "lfs": {"sha256": "zz"}}]}'
            % COMMIT.encode(),
            "isn't a sha256",
        ),
    ],
)
def test_answers_that_cant_be_are_refused(hub: Hub, content: bytes, said: str) -> None:
    hub.instead["/api/"] = Reply(200, {}, content)
    with pytest.raises(Unexpected, match=said):
        client(hub).resolve(REPOSITORY, "Q4_K_M")


def test_an_answer_without_end_is_not_read(hub: Hub) -> None:
    hub.instead["/api/"] = Reply(200, {"Content-Length": str(1 << 40)}, b"")
    with pytest.raises(Unexpected, match=r"more than the 16\.0 MiB that are taken"):
        client(hub).resolve(REPOSITORY, "Q4_K_M")


@pytest.mark.parametrize("name", ["owner", "a/b/c", "../x", "owner/..", "o/x?y=1", "o/é"])
def test_what_isnt_the_name_of_a_repository_is_never_asked_for(hub: Hub, name: str) -> None:
    with pytest.raises(Refused, match="isn't the name of a repository"):
        client(hub).resolve(name, "Q4_K_M")
    assert not hub.asked


def test_the_endpoint_is_hf_endpoint_and_has_to_be_https(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.url + "/")
    assert HuggingFace(Web()).resolve(REPOSITORY, "Q4_K_M").revision == COMMIT
    monkeypatch.setenv("HF_ENDPOINT", "http://hf-mirror.example")
    with pytest.raises(Unexpected, match=r"http://hf-mirror\.example isn't an https address"):
        HuggingFace(Web())
