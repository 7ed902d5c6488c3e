"""Stacks to render: the platform, and agents that differ in whatever a component looks at."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from unittest import mock

from pulumi.runtime.mocks import MockMonitor

from tests.examples import agent_values
from tests.rendering import Rendered, objects, render

LONG_NAME = "a" + "-b" * 19 + "c"  # 40 characters, as long as an agent's name may be

# Changes of the README's agent.
AGENTS: dict[str, dict[str, Any]] = {
    "readme": {},
    "scaled": {"gpu": "h100", "memory": "160gb"},
    "four-gpus": {"model": "llama3.1-405b-q4"},
    "no-tools": {"model": "phi3-mini-q8", "context": "128k"},
    "in-place": {"strategy": "in-place", "kv_cache": "q8_0", "parallel": 4},
    "on-cpu": {"model": "gemma3-270m-q4", "gpu": "none"},
    "shared": {"sharing": "owner", "owner": "team-b"},
    "rotated": {"token_rotation": 2},
    "moved": {"moves": 3},
    "paused": {"paused": True},
    "updated": {
        "model": "qwen2.5-72b-q4",
        "previous": {"model": "llama3.1-8b-q4", "context": "32k"},
    },
}


def agent(case: str, name: str = "my-agent") -> list[Rendered]:
    """Everything that the stack of an agent declares."""
    return rendered(f"{name}.local", json.dumps(agent_values(**AGENTS[case])))


def platform() -> list[Rendered]:
    return rendered("platform.local", None)


@cache
def rendered(stack: str, spec: str | None) -> list[Rendered]:
    return render(stack, json.loads(spec) if spec else None)


def everything() -> Iterator[tuple[str, Rendered]]:
    """Every resource of every case, with an id."""
    for resource in platform():
        yield f"platform/{resource.type}/{resource.name}", resource
    for case in AGENTS:
        for resource in agent(case):
            yield f"{case}/{resource.type}/{resource.name}", resource
    for resource in agent("readme", LONG_NAME):
        yield f"long/{resource.type}/{resource.name}", resource


def kubernetes_objects() -> list[tuple[str, Rendered]]:
    return [each for each in everything() if each[1].type.startswith("kubernetes:")]


def agent_objects() -> list[tuple[str, Rendered]]:
    return [each for each in kubernetes_objects() if not each[0].startswith("platform/")]


def pods() -> list[tuple[str, dict[str, Any]]]:
    """The pod template of every workload of every case."""
    return [
        (where, resource.inputs["spec"]["template"])
        for where, resource in kubernetes_objects()
        if "template" in resource.inputs.get("spec", {}) and resource.kind != "NodePool"
    ]


def containers() -> list[tuple[str, dict[str, Any]]]:
    """Every container of every pod, init containers and sidecars too."""
    return [
        (f"{where}/{container['name']}", container)
        for where, pod in pods()
        for container in all_containers(pod["spec"])
    ]


def all_containers(pod: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [*pod.get("initContainers", ()), *pod["containers"]]


def pod_of(case: str, deployment: str, name: str = "my-agent") -> dict[str, Any]:
    """The pod template of one Deployment."""
    template = objects(agent(case, name), "Deployment")[deployment]["spec"]["template"]
    assert isinstance(template, dict)
    return template


def container(case: str, name: str) -> dict[str, Any]:
    """One container of an agent's two pods."""
    for deployment in ("model-server", "runtime"):
        for each in all_containers(pod_of(case, deployment)["spec"]):
            if each["name"] == name:
                return each
    raise LookupError(name)


def environment(container: Mapping[str, Any]) -> dict[str, str]:
    """Plain environment variables of a container."""
    return {entry["name"]: entry["value"] for entry in container["env"] if "value" in entry}


@dataclass(frozen=True)
class Options:
    """Resource options as they go over the wire; mocks don't hand them on."""

    protect: bool
    depends_on: frozenset[str]
    """Logical names of what the resource waits for."""
    create_timeout: str
    update_timeout: str
    secret_outputs: frozenset[str]


def options(case: str) -> dict[str, Options]:
    """Options of an agent's resources by ``type::name``."""
    found: dict[str, Options] = {}
    original = MockMonitor.RegisterResource

    def record(self: MockMonitor, request: Any) -> Any:
        found[f"{request.type}::{request.name}"] = Options(
            protect=request.protect,
            depends_on=frozenset(urn.rpartition("::")[2] for urn in request.dependencies),
            create_timeout=request.customTimeouts.create,
            update_timeout=request.customTimeouts.update,
            secret_outputs=frozenset(request.additionalSecretOutputs),
        )
        return original(self, request)  # type: ignore[no-untyped-call]

    with mock.patch.object(MockMonitor, "RegisterResource", record):
        render("my-agent.local", agent_values(**AGENTS[case]))
    return found
