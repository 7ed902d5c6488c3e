"""An agent's OpenAI-compatible endpoint: reached from this machine, its token kept inside.

The token is read from the agent's Secret at each call. It opens everything of the agent's gateway
(`reference`: OpenClaw treats it as an operator's), so it is never printed, put into a command line
or handed to another program.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2 as httpx

from moltghost.config import StackName
from moltghost.errors import Failed, Refused
from moltghost.kube.agents import list_agents
from moltghost.kube.client import Client
from moltghost.kube.forward import Forward, find_kubectl, forwarded
from moltghost.labels import GATEWAY_TOKEN_VARIABLE, RUNTIME, agent_namespace
from moltghost.lifecycle.agents.change import no_such_agent
from moltghost.planning.runtime import RUNTIME_PORT

CHAT_PATH = "/v1/chat/completions"
MODELS_PATH = "/v1/models"
# OpenClaw's provider timeout of 600 s, and what it takes beside it.
ANSWER_SECONDS = 660.0
_AGENT = "openclaw"


@dataclass(frozen=True)
class Endpoint:
    """Where an agent's gateway answers on loopback, and what opens it."""

    url: str
    token: str = field(repr=False)
    forward: Forward = field(repr=False)

    @property
    def headers(self) -> dict[str, str]:
        """What every request carries."""
        return {"Authorization": f"Bearer {self.token}"}


@contextmanager
def endpoint(
    client: Client, kubeconfig: Path, kubectl: Path | None, agent: str
) -> Iterator[Endpoint]:
    """Open the way to an agent's gateway, for as long as the context lasts.

    Args:
        client: the agent's cluster.
        kubeconfig: of the same.
        kubectl: the cluster's own, where it has one.
        agent: its name.

    Raises:
        Refused: there is no kubectl, or the agent has no runtime.
        Failed: the way can't be opened.
    """
    namespace = agent_namespace(agent)
    token = gateway_token(client, namespace)
    with forwarded(
        find_kubectl(kubectl), kubeconfig, namespace, f"service/{RUNTIME}", RUNTIME_PORT
    ) as forward:
        yield Endpoint(f"http://127.0.0.1:{forward.port}", token, forward)


def require_answering(client: Client, stack: StackName) -> None:
    """Make sure that there is somebody to talk to.

    Raises:
        Refused: no such agent, its node is simulated, it is paused, or isn't ready.
    """
    found = list_agents(client, stack.agent)
    if not found:
        raise no_such_agent(stack)
    [status] = found
    name = stack.agent
    if status.node and status.node.simulated:
        raise Refused(
            f"agent {name} can't answer: its node is simulated, so no container runs",
            "moltghost deploy hello --model gemma3-270m-q4 --gpu none makes one that answers",
        )
    if status.stage == "paused":
        raise Refused(f"agent {name} is paused", f"moltghost agent resume {name}")
    if not status.ready:
        raise Refused(
            f"agent {name} isn't ready: {status.stage}"
            + (f", {status.reason}" * bool(status.reason)),
            f"moltghost agent status {name} --watch shows how far it is",
        )


def gateway_token(client: Client, namespace: str) -> str:
    """The token of an agent's gateway, from the Secret that its Deployment names.

    Raises:
        Failed: it can't be found, or may not be read.
    """
    runtime = client.get("apps/v1", "Deployment", RUNTIME, namespace)
    containers = runtime["spec"]["template"]["spec"]["containers"] if runtime else []
    for variable in (each for one in containers for each in one.get("env", ())):
        if variable["name"] == GATEWAY_TOKEN_VARIABLE:
            place = variable["valueFrom"]["secretKeyRef"]
            secret = client.get("v1", "Secret", place["name"], namespace)
            if secret:
                return base64.b64decode(secret["data"][place["key"]]).decode()
    raise Failed(
        f"{namespace} has no runtime with a token",
        "moltghost up with the agent's stack makes what is missing",
    )


def ask(at: Endpoint, messages: list[dict[str, str]], session: str) -> Iterator[str]:
    """An agent's answer, piece by piece as it comes.

    Args:
        at: its endpoint.
        messages: the conversation, in OpenAI's form.
        session: OpenClaw keeps one conversation for each.

    Raises:
        Failed: no answer, or only the beginning of one.
    """
    body = {"model": _AGENT, "messages": messages, "user": session, "stream": True}
    finished = False
    try:
        with httpx.stream(
            "POST",
            at.url + CHAT_PATH,
            json=body,
            headers=at.headers,
            timeout=ANSWER_SECONDS,
            trust_env=False,
        ) as response:
            if response.is_error:
                raise Failed(f"the agent answered {response.status_code}: {_error(response)}")
            for line in response.iter_lines():
                kind, _, data = line.partition(": ")
                if kind != "data":
                    continue
                if data == "[DONE]":
                    finished = True
                    break
                yield _piece(data)
    except httpx.HTTPError as error:
        raise Failed(f"the connection to the agent broke: {error}", "ask again") from error
    if not finished:
        raise Failed("the answer broke off before its end", "ask again")


def _piece(data: str) -> str:
    event = json.loads(data)
    if "error" in event:
        said = event["error"].get("message", event)
        raise Failed(f"the agent answered with an error: {said}", "ask again, or in other words")
    choices = event.get("choices") or [{}]
    return str(choices[0].get("delta", {}).get("content") or "")


def _error(response: httpx.Response) -> str:
    text = response.read().decode(errors="replace")
    try:
        return str(json.loads(text)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return text.strip()
