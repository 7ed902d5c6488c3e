"""What a provider decides for one resource, and what a provider is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from moltghost.engines.embedded.monitor import Goal
from moltghost.engines.interface import Change, Op
from moltghost.engines.pulumi.state import ResourceState
from moltghost.errors import Refused

Detail = Callable[[str], None]
"""Takes what is going on with a resource right now."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The decision for one resource.

    Args:
        op: what happens.
        inputs: the inputs as they will be recorded.
        id: the provider's name of it, as far as it is known.
        outputs: what the program gets in a preview.
        diff: the differing fields.
        title: how people call it.
        namespace: of a Kubernetes object.
        object_name: of a Kubernetes object.
        note: what a reader should know besides.
        undone: the part of ``diff`` that somebody did by hand.
        live: the object in the cluster, for the provider's own use.
        unready: it exists as wanted, and has yet to become ready.
        doubt: a rule of the cluster stands against it, unless the same run changes the rule.
    """

    op: Op
    inputs: dict[str, Any]
    title: str
    id: str = ""
    outputs: dict[str, Any] = field(default_factory=dict)
    diff: tuple[Change, ...] = ()
    namespace: str | None = None
    object_name: str | None = None
    note: str = ""
    undone: tuple[Change, ...] = ()
    live: dict[str, Any] | None = None
    unready: bool = False
    doubt: Refused | None = None


@dataclass(frozen=True, kw_only=True)
class Made:
    """A resource that exists now.

    Args:
        id: the provider's name of it.
        outputs: what the program gets.
        ready: nothing has to be waited for.
    """

    id: str
    outputs: dict[str, Any]
    ready: bool = True


class Provider(Protocol):
    """Makes, changes and deletes the resources of one package."""

    remembers_creation: bool
    """Whether a creation leaves something behind that must be found again after a kill."""

    def connect(self) -> None:
        """Make sure that it can work.

        Raises:
            Refused: it can't; nothing was changed.
        """
        ...

    def plan(
        self, goal: Goal, old: ResourceState | None, *, begun: frozenset[str], check: bool
    ) -> Plan:
        """Decide.

        Args:
            goal: what the program wants.
            old: what the state has.
            begun: ids of objects that an earlier run left because it was stopped.
            check: ask the API server whether it would accept the change.

        Raises:
            MoltghostError: it can't be done; nothing was changed.
        """
        ...

    def apply(self, goal: Goal, plan: Plan) -> Made:
        """Do what the plan says; returns when it is accepted, which may be before it is ready."""
        ...

    def wait(self, goal: Goal, plan: Plan, made: Made, detail: Detail) -> Made:
        """Wait until it is ready."""
        ...

    def delete(self, resource: ResourceState, detail: Detail) -> None:
        """Delete it and wait until it is gone. One that is gone already is no error."""
        ...

    def title(self, resource: ResourceState) -> str:
        """How people call it."""
        ...
