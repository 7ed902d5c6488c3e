"""The raw client's own part: kubeconfigs, repetition, warnings, errors and paths.

What a real API server decides is tested in ``tests/e2e``; the server here only answers as told.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from moltghost.errors import Refused
from moltghost.kube.client import Client, ResourceType
from moltghost.kube.errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    Forbidden,
    Invalid,
    NoCredentials,
    NotFound,
    Unauthorized,
    UnknownKind,
    Unreachable,
)
from tests.examples import PROJECT
from tests.kube.api_server import Server, failure, kubeconfig_text, serving

MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m", "namespace": "n"}}


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as found:
        yield found


@pytest.fixture
def client(server: Server, tmp_path: Path) -> Iterator[Client]:
    client = Client(server.kubeconfig(tmp_path))
    yield client
    client.close()


def test_writes_are_strict_and_name_their_manager(client: Client, server: Server) -> None:
    server.answers += [(201, MAP, {}), (200, MAP, {})]

    client.create(MAP, manager="me")
    client.apply(MAP, manager="me", dry_run=True)

    assert server.seen[0] == (
        "POST",
        "/api/v1/namespaces/n/configmaps",
        {"fieldManager": ["me"], "fieldValidation": ["Strict"]},
        MAP,
    )
    method, path, query, _body = server.seen[1]
    assert (method, path) == ("PATCH", "/api/v1/namespaces/n/configmaps/m")
    assert query["dryRun"] == ["All"]
    assert query["force"] == ["true"]
    assert query["fieldValidation"] == ["Strict"]


def test_an_object_that_is_not_there_is_none_and_its_deletion_false(
    client: Client, server: Server
) -> None:
    server.answers += [failure(404, "NotFound", "no such"), failure(404, "NotFound", "no such")]

    assert client.get("v1", "ConfigMap", "m", "n") is None
    assert client.delete("v1", "ConfigMap", "m", "n") is False


def test_another_object_of_the_same_name_is_not_deleted(client: Client, server: Server) -> None:
    server.answers += [failure(409, "Conflict", "uid mismatch")]

    assert client.delete("v1", "ConfigMap", "m", "n", uid="u") is False
    assert server.seen[0][3]["preconditions"] == {"uid": "u"}


def test_an_error_has_the_servers_words(client: Client, server: Server) -> None:
    server.answers += [failure(422, "Invalid", "spec is wrong")]

    with pytest.raises(ApiError, match="spec is wrong") as error:
        client.create(MAP, manager="me")

    assert (error.value.status, error.value.reason) == (422, "Invalid")


@pytest.mark.parametrize(
    ("status", "reason", "kind"),
    [
        (401, "Unauthorized", Unauthorized),
        (403, "Forbidden", Forbidden),
        (404, "NotFound", NotFound),
        (409, "AlreadyExists", AlreadyExists),
        (409, "Conflict", Conflict),
        (422, "Invalid", Invalid),
        (500, "InternalError", ApiError),
    ],
)
def test_an_error_is_of_the_class_that_callers_catch(
    client: Client, server: Server, status: int, reason: str, kind: type[ApiError]
) -> None:
    server.answers += [failure(status, reason, "no")]

    with pytest.raises(ApiError, match="no") as error:
        client.create(MAP, manager="me")

    assert type(error.value) is kind


def test_nobody_tells_errors_of_the_api_server_apart_by_number_or_text() -> None:
    compares = re.compile(r"error\.(status|reason) (==|!=|in|not in) ")
    found = [
        str(module.relative_to(PROJECT))
        for module in (PROJECT / "moltghost").rglob("*.py")
        if compares.search(module.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_items_of_a_list_say_what_they_are(client: Client, server: Server) -> None:
    server.answers += [(200, {"items": [{"metadata": {"name": "m"}}]}, {})]

    (item,) = client.list("v1", "ConfigMap", "n", labels={"a": "b", "c": "d"}, limit=5)

    assert (item["apiVersion"], item["kind"]) == ("v1", "ConfigMap")
    assert server.seen[0][2] == {"labelSelector": ["a=b,c=d"], "limit": ["5"]}


def test_warnings_are_handed_over_unquoted(server: Server, tmp_path: Path) -> None:
    warnings: list[str] = []
    client = Client(server.kubeconfig(tmp_path), on_warning=warnings.append)
    server.answers += [(201, MAP, {"Warning": '299 - "would violate \\"restricted\\""'})]

    client.create(MAP, manager="me")

    assert warnings == ['would violate "restricted"']


def test_a_containers_log_is_followed_line_by_line(client: Client, server: Server) -> None:
    server.answers.append((200, {"stage": "select"}, {}))
    assert list(client.follow_log("p", "n", "build")) == ['{"stage": "select"}']
    [(method, path, query, _)] = server.seen
    assert (method, path) == ("GET", "/api/v1/namespaces/n/pods/p/log")
    assert query == {"container": ["build"], "follow": ["true"]}


def test_the_log_of_a_container_that_has_not_started_is_an_error(
    client: Client, server: Server
) -> None:
    waiting = {"reason": "BadRequest", "message": "container build is waiting to start"}
    server.answers.append((400, waiting, {}))
    with pytest.raises(ApiError, match="container build is waiting to start"):
        list(client.follow_log("p", "n", "build"))


def test_an_unknown_kind_is_refused_by_name(client: Client) -> None:
    with pytest.raises(UnknownKind, match="no kind Widget in v1"):
        client.get("v1", "Widget", "w")


def test_a_server_that_asks_for_patience_gets_it(server: Server, tmp_path: Path) -> None:
    client = Client(server.kubeconfig(tmp_path), patience_seconds=10)
    server.answers += [
        (429, {"message": "slow down"}, {"Retry-After": "1"}),
        (200, MAP, {}),
    ]

    assert client.get("v1", "ConfigMap", "m", "n") == MAP


def test_a_server_that_is_not_there_fails_at_once_or_after_the_patience(tmp_path: Path) -> None:
    for patience in (0.0, 1.0):
        client = Client(kubeconfig_text("http://127.0.0.1:9"), patience_seconds=patience)
        began = time.monotonic()

        with pytest.raises(Unreachable, match=r"http://127\.0\.0\.1:9 doesn't answer"):
            client.cluster_uid()

        assert patience <= time.monotonic() - began < patience + 2


EXPIRED = "The SSO session associated with this profile has expired or is otherwise invalid."
PRINTS = """printf '{"status": {"token": "t"}}'"""


def asks(program: Path, script: str | None) -> dict[str, str]:
    """How a kubeconfig names a program that has to print a token; this shell script, or nothing."""
    if script is not None:
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    return {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "command": str(program),
        "installHint": "the AWS CLI is needed",
    }


@pytest.mark.parametrize(
    ("name", "script", "message", "hint"),
    [
        ("aws", f"echo '{EXPIRED}' >&2; exit 255", EXPIRED, "aws; aws sso login opens a new"),
        ("other", "exit 1", "other returned 1", "find out why it gives none: /"),
        (
            "other",
            "echo hello",
            "what the program printed doesn't contain a token",
            "why it gives none",
        ),
        ("aws", None, "No such file or directory", "the AWS CLI is needed"),
    ],
)
def test_credentials_that_cannot_be_had_are_no_silence_of_the_server(
    tmp_path: Path, name: str, script: str | None, message: str, hint: str
) -> None:
    user = asks(tmp_path / name, script)
    client = Client(kubeconfig_text("http://127.0.0.1:9", exec=user), patience_seconds=60)
    began = time.monotonic()

    with pytest.raises(NoCredentials, match=r"no credentials for http://127\.0\.0\.1:9: ") as error:
        client.cluster_uid()

    assert message in error.value.message
    assert hint in error.value.hint
    assert time.monotonic() - began < 10


def test_a_token_that_cannot_be_renewed_while_a_stream_is_opened_is_said(
    server: Server, tmp_path: Path
) -> None:
    once = f"[ -e {tmp_path}/asked ] && echo '{EXPIRED}' >&2 && exit 255; touch {tmp_path}/asked"
    user = asks(tmp_path / "aws", f"{once}; {PRINTS}")
    client = Client(kubeconfig_text(server.url, exec=user))
    server.answers += [failure(401, "Unauthorized", "Unauthorized")]

    with pytest.raises(NoCredentials, match=EXPIRED):
        list(client.watch("v1", "ConfigMap", "n"))


@pytest.mark.parametrize("indent", [None, 1])
def test_a_kubeconfig_may_be_its_text_in_one_line_or_several(
    server: Server, indent: int | None
) -> None:
    server.answers += [(200, MAP, {})]
    text = json.dumps(json.loads(kubeconfig_text(server.url)), indent=indent)

    client = Client(text)

    assert client.get("v1", "ConfigMap", "m", "n") == MAP
    client.close()


def test_the_text_of_a_kubeconfig_is_in_no_error() -> None:
    with pytest.raises(Refused, match="the kubeconfig given as text can't be used") as refusal:
        Client('{"users": [{"user": {"token": "s3cret"}}]}')

    assert "s3cret" not in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "there is no kubeconfig"),
        ("", "can't be used"),
        ("clusters: [", "can't be used"),
        ('{"clusters": [], "contexts": [], "current-context": "x"}', "Context 'x' not found"),
    ],
)
def test_a_kubeconfig_that_cannot_be_used_is_refused(
    tmp_path: Path, text: str | None, message: str
) -> None:
    path = tmp_path / "kubeconfig"
    if text is not None:
        path.write_text(text)

    with pytest.raises(Refused, match=message) as refusal:
        Client(path)

    assert refusal.value.hint


@pytest.mark.parametrize(
    ("kind", "namespace", "name", "path"),
    [
        (ResourceType("v1", "Pod", "pods", True), None, None, "/api/v1/pods"),
        (ResourceType("v1", "Pod", "pods", True), "n", "p", "/api/v1/namespaces/n/pods/p"),
        (ResourceType("a.b/v1", "X", "xs", False), "n", "x:y", "/apis/a.b/v1/xs/x%3Ay"),
    ],
)
def test_paths_are_those_of_the_api(
    kind: ResourceType, namespace: str | None, name: str | None, path: str
) -> None:
    assert kind.path(namespace, name) == path
