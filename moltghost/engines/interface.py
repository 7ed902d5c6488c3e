"""What the command needs from an engine, whichever engine it is.

An engine runs the Pulumi program of a project for one stack. ``preview`` changes nothing;
``up`` makes the cluster what the program says; ``destroy`` removes what the state records.
Values of secrets never appear here: they read ``[secret]``, and what is not known before the
change is made reads ``[unknown]``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, Protocol

from moltghost.errors import Refused
from moltghost.progress import Report

SECRET_TEXT = "[secret]"  # noqa: S105  what is shown instead of a secret
UNKNOWN_TEXT = "[unknown]"

Protected = Literal["refuse", "keep", "delete"]
"""What a ``destroy`` does about protected resources: nothing at all while there are some; leave
them, and what they need, in the state and in the cluster; delete them like others. It holds for
that one run: the state's protection isn't changed, so that whatever ends the run, what is left of
them stays protected."""

UNDONE = "a change made by hand is undone"
MADE_ANEW = "it was deleted from the cluster and is created again"


class Op(StrEnum):
    """What happens to one resource."""

    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    """A new object or value takes the place of the old one, under the same URN."""
    DELETE = "delete"
    SAME = "same"
    READ = "read"


@dataclass(frozen=True)
class Change:
    """One differing field; ``None`` where the field is absent."""

    path: str
    before: Any
    after: Any


@dataclass(frozen=True, kw_only=True)
class Step:
    """What is planned for, or was done to, one resource.

    Args:
        urn: Pulumi's name of the resource.
        type: the type token, e.g. ``kubernetes:apps/v1:Deployment``.
        name: the logical name in the program.
        op: what happens.
        diff: the differing fields, for updates and replacements.
        title: how people call it, e.g. ``Deployment agent-x/model-server``.
        namespace: namespace of a Kubernetes object, where it has one.
        object_name: ``metadata.name`` of a Kubernetes object.
        custom: false for components, which only group others.
        protect: the resource may not be deleted.
        note: what a reader should know besides.
        undone: the part of ``diff`` that somebody did by hand and that is set right.
    """

    urn: str
    type: str
    name: str
    op: Op
    diff: tuple[Change, ...] = ()
    title: str = ""
    namespace: str | None = None
    object_name: str | None = None
    custom: bool = True
    protect: bool = False
    note: str = ""
    undone: tuple[Change, ...] = ()

    @property
    def repairs(self) -> bool:
        """Whether it sets right what somebody did by hand."""
        return bool(self.undone) or self.note == MADE_ANEW


@dataclass(frozen=True, kw_only=True)
class DriftedField:
    """One field that isn't as it was applied; ``None`` where it is absent.

    Args:
        recorded: as it was applied last.
        live: as the cluster has it; ``[secret]`` for secrets.
        by: who wrote it and when, as the API server recorded it; empty where it didn't.
        undone: whether ``up`` sets it right. What another controller added is left to it, and by
            the stock engine what people added.
    """

    path: str
    recorded: Any
    live: Any
    by: str = ""
    undone: bool = True


@dataclass(frozen=True, kw_only=True)
class DriftedObject:
    """One object that isn't as the state has it.

    Args:
        title: how people call it, e.g. ``Deployment agent-x/model-server``.
        state: ``gone`` if it was deleted; ``replaced`` if another object has its name;
            ``stranger`` if it isn't ours and is in a namespace of ours.
        fields: what differs, of a changed one.
        by: who made a stranger and when.
    """

    title: str
    state: Literal["changed", "gone", "replaced", "stranger"]
    fields: tuple[DriftedField, ...] = ()
    by: str = ""

    @property
    def undone(self) -> bool:
        """Whether ``up`` sets it right, all of it."""
        return self.state == "gone" or (
            self.state == "changed" and all(each.undone for each in self.fields)
        )

    @property
    def undone_in_part(self) -> bool:
        """Whether ``up`` sets some fields right and leaves others."""
        return not self.undone and any(each.undone for each in self.fields)


@dataclass(frozen=True, kw_only=True)
class Drift:
    """How a cluster differs from what a stack applied last.

    Args:
        objects: those that differ, by title.
        checked: how many objects of the stack were looked at.
    """

    stack: str
    objects: tuple[DriftedObject, ...]
    checked: int


@dataclass(frozen=True, kw_only=True)
class AnalyzedResource:
    """A resource as policies see it: checked inputs in plain text and its options."""

    urn: str
    type: str
    name: str
    inputs: Mapping[str, Any]
    parent: str
    provider: str
    protect: bool
    dependencies: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What ``up`` would do.

    Args:
        stack: the stack's name.
        steps: one per resource, in the program's order; deletions last.
        outputs: the stack's outputs as far as they are known.
        warnings: what the API server and the program warned of.
        needs_stock: types that this engine can't create; ``up`` refuses if there are any.
        needs_stacks: stacks that don't exist yet, so that what is read of them is unknown; ``up``
            refuses if there are any.
        findings: those of the warnings that are the policies'.
        resources: what policies analyze.
        basis: identifies the state and the configuration that the preview was made from.
    """

    stack: str
    steps: tuple[Step, ...]
    outputs: Mapping[str, Any]
    warnings: tuple[str, ...] = ()
    needs_stock: tuple[str, ...] = ()
    needs_stacks: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    resources: tuple[AnalyzedResource, ...] = field(default=(), repr=False)
    basis: str = ""

    def counts(self) -> dict[Op, int]:
        """How many custom resources each operation concerns; operations without any left out."""
        return count_steps(self.steps)

    @property
    def changes(self) -> bool:
        """Whether ``up`` would change anything."""
        return bool(self.counts().keys() - {Op.SAME, Op.READ})


@dataclass(frozen=True, kw_only=True)
class Result:
    """What ``up`` or ``destroy`` did."""

    stack: str
    steps: tuple[Step, ...]
    outputs: Mapping[str, Any]
    seconds: float
    warnings: tuple[str, ...] = ()

    def counts(self) -> dict[Op, int]:
        """How many custom resources each operation concerned; operations without any left out."""
        return count_steps(self.steps)


@dataclass(frozen=True, kw_only=True)
class StackSummary:
    """One stack of an engine."""

    name: str
    engine: str
    updated: datetime
    resource_count: int


class Engine(Protocol):
    """What carries a program out.

    ``config`` is a file to use in place of the stack's own configuration file, as with
    ``pulumi --config-file``. All methods raise ``Refused`` before anything changed and
    ``Failed`` afterwards.
    """

    name: str

    def preview(self, stack: str, *, config: Path | None = None, report: Report) -> Preview:
        """What ``up`` would do; changes nothing and needs no lock."""
        ...

    def up(
        self,
        stack: str,
        *,
        config: Path | None = None,
        report: Report,
        expect: Preview | None = None,
    ) -> Result:
        """Make the cluster what the program says, and wait until it is ready.

        Args:
            stack: the stack's name.
            config: configuration file to use in place of the stack's own.
            report: called from several threads.
            expect: the preview that the user agreed to; refused if it no longer holds. Without
                it, the engine previews by itself first, so that what can be refused is refused
                before anything changes.
        """
        ...

    def destroy(self, stack: str, *, protected: Protected, report: Report) -> Result:
        """Delete what the state records, in reverse order of dependency.

        Args:
            stack: the stack's name.
            protected: what becomes of protected resources.
            report: called from several threads.
        """
        ...

    def drift(self, stack: str, *, report: Report) -> Drift:
        """How the cluster differs from what the last ``up`` applied; changes nothing."""
        ...

    def outputs(self, stack: str, *, show_secrets: bool = False) -> dict[str, Any]:
        """The outputs of the last ``up``."""
        ...

    def stacks(self) -> list[StackSummary]:
        """The stacks that this engine keeps, by name."""
        ...


def has_protected(stack: str, names: list[str]) -> Refused:
    """The refusal to destroy a stack with protected resources."""
    return Refused(
        f"stack {stack} has protected resources: {', '.join(names)}",
        "keep them (agent destroy does), or delete them for good (agent destroy --delete-data)",
    )


def count_steps(steps: tuple[Step, ...]) -> dict[Op, int]:
    """Custom resources per operation, in the order of ``Op``."""
    counted = [step.op for step in steps if step.custom]
    return {op: counted.count(op) for op in Op if op in counted}
