"""The endpoint and the relay against a gateway that this test plays, on loopback."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

import httpx2 as httpx
import pytest

from moltghost.errors import Failed, Refused
from moltghost.kube.client import Client
from moltghost.kube.forward import Forward
from moltghost.lifecycle.agents.endpoint import Endpoint, ask, gateway_token, require_answering
from moltghost.lifecycle.agents.openai_proxy import Relay
from tests.examples import STACK
from tests.kube.clusters import client, deployment, node, ready_pod

TOKEN = "s3cret-of-the-gateway"


class Gateway(BaseHTTPRequestHandler):
    """Answers as OpenClaw does: server-sent events, then `[DONE]`, for whoever has the token."""

    events: tuple[str, ...] = ()
    asked: list[dict[str, Any]]

    def do_POST(self) -> None:
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self.send_response(401)
            self.end_headers()
            self.wfile.write(b'{"error": {"message": "Unauthorized"}}')
            return
        body = self.rfile.read(int(self.headers["Content-Length"]))
        type(self).asked.append(json.loads(body))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for event in self.events:
            self.wfile.write(f"data: {event}\n\n".encode())

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


def said(text: str) -> str:
    return json.dumps({"choices": [{"delta": {"content": text}}]})


@contextmanager
def gateway(*events: str, token: str = TOKEN) -> Iterator[tuple[Endpoint, type[Gateway]]]:
    handler = type("Handler", (Gateway,), {"events": events, "asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_port}"
        yield Endpoint(url, token, cast("Forward", None)), handler
    finally:
        server.shutdown()
        server.server_close()


MESSAGES = [{"role": "user", "content": "What is a GPU?"}]


def test_an_answer_comes_in_pieces_and_the_token_goes_along() -> None:
    with gateway(said("A "), json.dumps({"choices": []}), said("card."), "[DONE]") as (at, seen):
        assert "".join(ask(at, MESSAGES, "one")) == "A card."
    assert seen.asked == [
        {"model": "openclaw", "messages": MESSAGES, "user": "one", "stream": True}
    ]


def test_half_an_answer_is_not_taken_for_one() -> None:
    with (
        gateway(said("A ")) as (at, _),
        pytest.raises(Failed, match="broke off before its end"),
    ):
        list(ask(at, MESSAGES, "one"))


def test_an_error_inside_the_stream_is_an_error() -> None:
    error = json.dumps({"error": {"message": "upstream provider timeout"}})
    with gateway(error) as (at, _), pytest.raises(Failed, match="upstream provider timeout"):
        list(ask(at, MESSAGES, "one"))


def test_a_wrong_token_is_said_in_the_gateways_words_and_never_shown() -> None:
    with gateway(token="not-the-one") as (at, _):
        with pytest.raises(Failed, match="answered 401: Unauthorized") as failed:
            list(ask(at, MESSAGES, "one"))
        assert "not-the-one" not in str(failed.value)
        assert "not-the-one" not in repr(at)


@pytest.fixture
def relayed() -> Iterator[tuple[str, type[Gateway]]]:
    with gateway(said("Hi."), "[DONE]") as (at, seen), Relay(0) as relay:
        relay.lead_to(at)
        yield relay.url, seen


def post(url: str, path: str = "/v1/chat/completions", **headers: str) -> httpx.Response:
    return httpx.post(url + path, json={"model": "x"}, headers=headers, trust_env=False)


def test_the_relay_adds_the_token_and_passes_the_stream_on(
    relayed: tuple[str, type[Gateway]],
) -> None:
    url, seen = relayed
    answer = post(url, Authorization="Bearer whatever")
    assert answer.status_code == 200
    assert answer.text == f"data: {said('Hi.')}\n\ndata: [DONE]\n\n"
    assert answer.headers["Content-Type"] == "text/event-stream"
    assert TOKEN not in answer.text
    assert seen.asked == [{"model": "x"}]


@pytest.mark.parametrize("path", ["/tools/invoke", "/v1/chat/completions/../../tools", "/"])
def test_the_relay_lets_nothing_else_through(relayed: tuple[str, type[Gateway]], path: str) -> None:
    url, seen = relayed
    assert post(url, path).status_code == 403
    assert seen.asked == []


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Host": "evil.example:80"}]
)
def test_the_relay_refuses_web_pages(
    relayed: tuple[str, type[Gateway]], headers: dict[str, str]
) -> None:
    url, seen = relayed
    assert post(url, **headers).status_code == 403
    assert seen.asked == []


def test_while_there_is_no_way_the_relay_says_so() -> None:
    with Relay(0) as relay:
        assert post(relay.url).status_code == 503


def test_a_taken_port_is_refused() -> None:
    with Relay(0) as relay:
        port = int(relay.url.rpartition(":")[2])
        with pytest.raises(Refused, match=f"port {port} of 127.0.0.1 can't be opened"):
            Relay(port)


class Cluster:
    """`get` of two objects."""

    def __init__(self, *objects: dict[str, Any]) -> None:
        self.objects = {(each["kind"], each["metadata"]["name"]): each for each in objects}

    def get(self, _api: str, kind: str, name: str, _namespace: str) -> dict[str, Any] | None:
        return self.objects.get((kind, name))


def test_the_token_is_that_of_the_rotation_that_the_runtime_names() -> None:
    reference = {"secretKeyRef": {"name": "gateway-token-3", "key": "token"}}
    variable = {"name": "OPENCLAW_GATEWAY_TOKEN", "valueFrom": reference}
    pod = {"containers": [{"env": [{"name": "HOME", "value": "/"}, variable]}]}
    runtime = {
        "kind": "Deployment",
        "metadata": {"name": "runtime"},
        "spec": {"template": {"spec": pod}},
    }
    secret = {
        "kind": "Secret",
        "metadata": {"name": "gateway-token-3"},
        "data": {"token": base64.b64encode(TOKEN.encode()).decode()},
    }
    found = gateway_token(cast("Client", Cluster(runtime, secret)), "agent-my-agent")
    assert found == TOKEN
    with pytest.raises(Failed, match="no runtime with a token"):
        gateway_token(cast("Client", Cluster(runtime)), "agent-my-agent")


def test_a_simulated_agent_can_not_answer_and_says_why() -> None:
    with pytest.raises(Refused, match="its node is simulated, so no container runs"):
        require_answering(client(deployment(), ready_pod(), node()), STACK)


def test_an_agent_that_is_not_there_paused_or_not_ready_is_refused() -> None:
    with pytest.raises(Refused, match="there is no agent my-agent"):
        require_answering(client(), STACK)
    paused = {**deployment(), "spec": {"replicas": 0}}
    with pytest.raises(Refused, match="agent my-agent is paused"):
        require_answering(client(paused), STACK)
    with pytest.raises(Refused, match="isn't ready: absent"):
        require_answering(client(deployment()), STACK)
