"""One run of a program: takes what it registers, asks the providers, and keeps the score.

``PreviewRun`` decides and changes nothing. ``UpdateRun`` decides again, with the values that are
known by then, and carries out. Both are called from many threads.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from moltghost.engines.embedded.conversions import (
    Failure,
    analyzed,
    clusters_in_use,
    state_of,
)
from moltghost.engines.embedded.journal import Journal
from moltghost.engines.embedded.monitor import Answer, Goal
from moltghost.engines.embedded.plan import Plan, Provider
from moltghost.engines.embedded.providers import Providers, foreign_answer, is_foreign
from moltghost.engines.interface import AnalyzedResource, Op, Step
from moltghost.engines.interrupt import stop_if
from moltghost.engines.pulumi.state import ResourceState, StackState
from moltghost.engines.pulumi.urn import ROOT_TYPE, is_provider, package_of, stack_of
from moltghost.engines.pulumi.values import UNKNOWN, has_secret
from moltghost.errors import Interrupted, MoltghostError, Refused
from moltghost.progress import Event, Report

_REFERENCE_TYPE = "pulumi:pulumi:StackReference"


class References(Protocol):
    """Looks up the outputs of other stacks."""

    def __call__(self, name: str) -> dict[str, Any] | None:
        """The outputs of the stack of that name, None if it is still to be made; else refused."""
        ...


class Run:
    """What preview and update have in common.

    Args:
        state: the state as the last run left it.
        journal: the state as it changes.
        references: looks up other stacks.
        report: receives progress.
        cancelled: set when the user asks to stop.
        judge: called with a resource before anything is decided about it; may raise Refused.
    """

    dry_run: bool

    def __init__(
        self,
        state: StackState,
        journal: Journal,
        references: References,
        report: Report,
        cancelled: threading.Event,
        *,
        judge: Callable[[AnalyzedResource], None] = lambda _resource: None,
    ) -> None:
        self._judge = judge
        self.stack = state.stack
        self.project = state.project
        self.steps: list[Step] = []
        self.analyzed: list[AnalyzedResource] = []
        self.failures: list[Failure] = []
        self.outputs: dict[str, Any] = {}
        self.needs_stock: set[str] = set()
        self.needs_stacks: set[str] = set()
        self._warnings: dict[str, None] = {}
        self._journal = journal
        self._references = references
        self._report = report
        self._cancelled = cancelled
        self._claimed: set[str] = set()
        self._failed: set[str] = set()
        self._lock = threading.Lock()
        self.providers = Providers(
            self.stack, self.project, clusters_in_use(state), journal, self._warn, cancelled
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the program and the API server warned of, each once."""
        return tuple(self._warnings)

    def program_message(self, severity: str, text: str) -> None:
        """What the program logs: warnings are kept, the rest is progress."""
        if severity == "info":
            self._report(Event(task=f"program of {self.stack}", state="running", detail=text))
        else:
            self._warn(text)

    def register(self, goal: Goal) -> Answer:
        """Take a resource. One that fails doesn't stop those that don't need it."""
        stop_if(self._cancelled)
        self._claim(goal)
        if goal.needs() & self._failed:
            self._failed.add(goal.urn)
            return Answer(failed=True)
        try:
            return self._handled(goal)
        except Interrupted:
            raise
        except MoltghostError as error:
            with self._lock:
                self._failed.add(goal.urn)
                self.failures.append(Failure(goal.name, error))
            return Answer(failed=True)

    def read(self, goal: Goal, id_: str) -> Answer:
        """Look up another stack, or an object in the cluster."""
        self._claim(goal)
        if goal.type == _REFERENCE_TYPE:
            outputs = self._reference(id_)
            reference = self.providers.default_reference("pulumi")
        else:
            outputs, reference = self._read_object(goal, id_), goal.provider
        resource = state_of(replace(goal, provider=reference), goal.inputs)
        self._journal.keep(replace(resource, id=id_, outputs=outputs, external=True))
        self._add_step(goal, Op.READ, title=f"{goal.type.rsplit(':', 1)[1]} {id_}")
        return Answer(id=id_, outputs=outputs)

    def register_outputs(self, urn: str, outputs: dict[str, Any]) -> None:
        """Take the outputs of a component, or of the stack."""
        current = self._journal.current(urn)
        if current is None:
            return
        if current.type == ROOT_TYPE:
            self.outputs = outputs
        if not self._failed:
            self._journal.keep(replace(current, outputs=outputs))

    def invoke(self, token: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """A provider's function: only foreign ones, only in a preview, and nothing is known."""
        package = token.partition(":")[0]
        if self.dry_run and package not in ("kubernetes", "random", "pulumi"):
            self.needs_stock.add(token)
            return foreign_answer()
        raise Refused(
            f"the program calls {token}, which the embedded engine doesn't have",
            "avoid the call, or run this stack with the Pulumi CLI: pulumi up",
        )

    def _handled(self, goal: Goal) -> Answer:
        if not goal.custom:
            return self._component(goal)
        if is_provider(goal.type):
            return self._provider(goal)
        provider = self.providers.of(goal.type, goal.provider)
        if is_foreign(provider):
            self.needs_stock.add(goal.type)
        if not goal.provider:
            goal = replace(goal, provider=self.providers.default_reference(package_of(goal.type)))
        old = self._journal.old(goal.urn)
        begun = self._journal.begun(goal.urn)
        plan = provider.plan(goal, old, begun=begun, check=self.dry_run)
        resource = analyzed(goal, plan)
        with self._lock:
            self.analyzed.append(resource)
        self._judge(resource)
        return self._decided(goal, old, plan, provider)

    def _decided(
        self, goal: Goal, old: ResourceState | None, plan: Plan, provider: Provider
    ) -> Answer:
        raise NotImplementedError

    def _component(self, goal: Goal) -> Answer:
        old = self._journal.old(goal.urn)
        outputs = old.outputs if old else {}
        self._journal.keep(replace(state_of(goal, goal.inputs, old), outputs=outputs))
        if goal.type != ROOT_TYPE:
            self._add_step(goal, Op.SAME if old else Op.CREATE)
        return Answer()

    def _provider(self, goal: Goal) -> Answer:
        old = self._journal.old(goal.urn)
        resource = state_of(goal, goal.inputs, old)
        id_ = old.id if old else str(uuid.uuid4())
        self._journal.keep(replace(resource, id=id_, outputs=goal.inputs))
        self.providers.add(goal.urn, goal.type, goal.inputs)
        self._add_step(goal, Op.SAME if old else Op.CREATE)
        return Answer(id=id_, outputs=goal.inputs)

    def _reference(self, name: str) -> dict[str, Any]:
        outputs = self._references(name)
        if outputs is None:
            self.needs_stacks.add(stack_of(name))
            return {"name": name, "outputs": UNKNOWN, "secretOutputNames": []}
        secret_names = [key for key, value in outputs.items() if has_secret(value)]
        return {"name": name, "outputs": outputs, "secretOutputNames": secret_names}

    def _read_object(self, goal: Goal, id_: str) -> dict[str, Any]:
        provider = self.providers.kubernetes(goal.provider)
        if provider is None:
            raise Refused(
                f"the embedded engine can't look up {goal.type} {id_}",
                "it looks up other stacks, and Kubernetes objects with an explicit provider",
            )
        _package, module, kind = goal.type.split(":")
        return provider.read(module.removeprefix("core/"), kind, id_)

    def _claim(self, goal: Goal) -> None:
        with self._lock:
            if goal.urn in self._claimed:
                raise Refused(
                    f"two resources of the program are called {goal.name} ({goal.type})",
                    "give them different names",
                )
            self._claimed.add(goal.urn)
        for alias in goal.aliases:
            if not self._journal.old(goal.urn) and self._journal.old(alias):
                self._journal.rename(alias, goal.urn)

    def _add_step(self, goal: Goal, op: Op, *, title: str = "") -> None:
        custom = goal.custom and not is_provider(goal.type)
        step = Step(
            urn=goal.urn,
            type=goal.type,
            name=goal.name,
            op=op,
            title=title or f"{goal.type.rsplit(':', 1)[1]} {goal.name}",
            custom=custom,
            protect=goal.protect,
        )
        with self._lock:
            self.steps.append(step)

    def _add_planned(self, goal: Goal, plan: Plan) -> None:
        step = Step(
            urn=goal.urn,
            type=goal.type,
            name=goal.name,
            op=plan.op,
            diff=plan.diff,
            title=plan.title,
            namespace=plan.namespace,
            object_name=plan.object_name,
            protect=goal.protect,
            note=plan.note,
            undone=plan.undone,
        )
        with self._lock:
            self.steps.append(step)

    def _warn(self, text: str) -> None:
        with self._lock:
            self._warnings[text] = None
