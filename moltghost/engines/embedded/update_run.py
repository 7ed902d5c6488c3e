"""A run that carries out: creates, changes, waits, and deletes what left the program."""

from __future__ import annotations

from dataclasses import replace

from moltghost.engines.embedded.conversions import (
    Failure,
    delete_step,
    state_of,
    with_secret_outputs,
)
from moltghost.engines.embedded.deletion import delete_all
from moltghost.engines.embedded.monitor import Answer, Goal
from moltghost.engines.embedded.plan import Made, Plan, Provider
from moltghost.engines.embedded.run import Run
from moltghost.engines.interface import Op
from moltghost.engines.pulumi.state import ResourceState
from moltghost.engines.pulumi.urn import is_provider, name_of
from moltghost.errors import MoltghostError
from moltghost.progress import Event

_NOT_READY = "not known to be ready: the run that made it was stopped"


class UpdateRun(Run):
    """Carries out every step, writing each down before the next builds on it."""

    dry_run = False

    def _decided(
        self, goal: Goal, old: ResourceState | None, plan: Plan, provider: Provider
    ) -> Answer:
        resource = state_of(goal, plan.inputs, old)
        if plan.op is Op.SAME:
            outputs = with_secret_outputs(plan.outputs, goal.additional_secret_outputs)
            self._journal.keep(replace(resource, id=plan.id, outputs=outputs))
            self._report(Event(task=plan.title, state="cached"))
            self._add_planned(goal, plan)
            return Answer(id=plan.id, outputs=outputs)
        self._report(Event(task=plan.title, state="started", detail=plan.op))
        try:
            made = self._carried_out(goal, old, plan, provider, resource)
        except MoltghostError as error:
            self._report(Event(task=plan.title, state="failed", detail=error.message))
            raise
        self._add_planned(goal, plan)
        self._report(Event(task=plan.title, state="done", detail=plan.op))
        return Answer(id=made.id, outputs=made.outputs)

    def _carried_out(
        self,
        goal: Goal,
        old: ResourceState | None,
        plan: Plan,
        provider: Provider,
        resource: ResourceState,
    ) -> Made:
        creates = plan.op in (Op.CREATE, Op.REPLACE)
        if creates and provider.remembers_creation:
            self._journal.begin(replace(resource, id=plan.id))
        made = provider.apply(goal, plan)
        replaced = old if plan.op is Op.REPLACE and provider.remembers_creation else None
        if made.ready:
            return self._recorded(goal, resource, made, replaced=replaced)
        self._recorded(goal, resource, made, replaced=replaced, trouble=_NOT_READY)
        try:
            made = provider.wait(goal, plan, made, lambda text: self._tell(plan.title, text))
        except MoltghostError as error:
            self._recorded(goal, resource, made, trouble=error.message)
            raise
        return self._recorded(goal, resource, made)

    def _recorded(
        self,
        goal: Goal,
        resource: ResourceState,
        made: Made,
        *,
        replaced: ResourceState | None = None,
        trouble: str = "",
    ) -> Made:
        outputs = with_secret_outputs(made.outputs, goal.additional_secret_outputs)
        errors = [trouble] if trouble else []
        done = replace(resource, id=made.id, outputs=outputs, init_errors=errors)
        self._journal.record(done, replaced=replaced)
        return replace(made, outputs=outputs)

    def delete_leftovers(self) -> None:
        """Delete what the state has and the program no longer says."""
        leaving = self._journal.leftovers()
        self.delete([*leaving, *self._journal.unfinished()], also_gone=leaving)

    def check_clusters(self, leaving: list[ResourceState]) -> None:
        """Connect to the clusters of what will be deleted.

        Raises:
            Refused: one of them isn't running, or is another one than the state's.
        """
        for resource in leaving:
            if resource.custom and not resource.external and not is_provider(resource.type):
                self.providers.of_state(resource).connect()

    def delete(self, leaving: list[ResourceState], also_gone: list[ResourceState]) -> None:
        """Delete resources in reverse order of dependency; failures are kept in ``failures``.

        Args:
            leaving: what to delete.
            also_gone: what is deleted in the same run, for the option ``deleted_with``.
        """
        going = {item.urn for item in also_gone}

        def delete_one(resource: ResourceState) -> None:
            self._delete_one(resource, going)

        for left in delete_all(leaving, delete_one, self._cancelled):
            self.failures.append(Failure(self._title(left.resource), left.error))

    def _delete_one(self, resource: ResourceState, going: set[str]) -> None:
        if not resource.custom or resource.external or is_provider(resource.type):
            self._journal.drop(resource)
            return
        title = self._title(resource)
        self._report(Event(task=title, state="started", detail=Op.DELETE))
        if not resource.retain_on_delete and resource.deleted_with not in going:
            try:
                self.providers.of_state(resource).delete(
                    resource, lambda text: self._tell(title, text)
                )
            except MoltghostError as error:
                self._report(Event(task=title, state="failed", detail=error.message))
                raise
        self._journal.drop(resource)
        with self._lock:
            self.steps.append(delete_step(resource, title))
        self._report(Event(task=title, state="done", detail=Op.DELETE))

    def _tell(self, task: str, detail: str) -> None:
        self._report(Event(task=task, state="running", detail=detail))

    def _title(self, resource: ResourceState) -> str:
        if not resource.custom or is_provider(resource.type):
            return f"{resource.type.rsplit(':', 1)[1]} {name_of(resource.urn)}"
        return self.providers.of_state(resource).title(resource)
