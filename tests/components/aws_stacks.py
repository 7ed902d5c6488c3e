"""Everything that the stacks of AWS environments declare, with the options of each resource."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from unittest import mock

from pulumi.runtime.mocks import MockMonitor

from moltghost.config import StackName, read_environment
from tests.examples import EXAMPLES
from tests.planning.aws import cloud_values, with_capacity
from tests.rendering import Rendered, render

AGENT = {"kind": "agent", "owner": "team-a", "model": "llama3.1-70b-q4", "context": "32k"}
STACKS: dict[str, tuple[str, Mapping[str, Any] | None]] = {
    "dev": ("dev", None),
    "prod": ("prod", None),
    "capacity": (
        "prod",
        cloud_values(**with_capacity(), endpoint={"private_cidrs": ["10.9.0.0/16"]}),
    ),
    "platform.dev": ("platform.dev", None),
    "platform.prod": ("platform.prod", None),
    "agent": ("my-agent.prod", AGENT),
}


@dataclass(frozen=True)
class Declared:
    """A resource with its options as they go over the wire."""

    resource: Rendered
    urn: str
    protect: bool
    needs: frozenset[str]
    """URNs of what it waits for: its dependencies, and its component, which has some too."""
    ignored: tuple[str, ...]

    @property
    def token(self) -> str:
        return self.resource.type

    @property
    def name(self) -> str:
        return self.resource.name

    @property
    def inputs(self) -> dict[str, Any]:
        return self.resource.inputs


@cache
def declared(case: str) -> tuple[Declared, ...]:
    """All resources of a stack, components and providers too, in the same order in every run."""
    stack, spec = STACKS[case]
    options: dict[tuple[str, str], Any] = {}
    original = MockMonitor.RegisterResource

    def record(self: MockMonitor, request: Any) -> Any:
        response = original(self, request)  # type: ignore[no-untyped-call]
        options[request.type, request.name] = (request, response.urn)
        return response

    with mock.patch.object(MockMonitor, "RegisterResource", record):
        if spec is not None and spec["kind"] == "cloud":
            resources = _render_with(stack, spec)
        else:
            resources = render(stack, spec)
    return tuple(
        Declared(
            resource=each,
            urn=options[each.type, each.name][1],
            protect=options[each.type, each.name][0].protect,
            needs=frozenset(
                (
                    *options[each.type, each.name][0].dependencies,
                    options[each.type, each.name][0].parent,
                )
            ),
            ignored=tuple(options[each.type, each.name][0].ignoreChanges),
        )
        for each in sorted(resources, key=lambda one: (one.type, one.name))
    )


def _render_with(stack: str, spec: Mapping[str, Any]) -> list[Rendered]:
    """The stack with another cloud spec than the one in the repository."""
    name = StackName.parse(stack)
    original = read_environment(EXAMPLES, name.environment)
    changed = type(original)(
        original.name, type(original.cloud).model_validate(spec), original.platform
    )
    with mock.patch("moltghost.infra.program.read_environment", lambda *_: changed):
        return render(stack, json.loads(json.dumps(spec)))


def by_type(case: str, token: str) -> list[Declared]:
    """Resources of a type, of which there must be one at least."""
    found = [each for each in declared(case) if each.token == token]
    assert found, f"{case} has no {token}"
    return found


def needs_all(case: str, resource: Declared) -> set[str]:
    """URNs of all that comes before a resource, however many steps."""
    known = {each.urn: each for each in declared(case)}
    found: set[str] = set()
    waiting = list(resource.needs)
    while waiting:
        urn = waiting.pop()
        if urn not in found:
            found.add(urn)
            waiting += known[urn].needs if urn in known else ()
    return found
