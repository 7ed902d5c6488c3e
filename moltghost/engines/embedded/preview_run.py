"""A run that decides and changes nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from moltghost.engines.embedded.conversions import Failure, delete_step, state_of
from moltghost.engines.embedded.monitor import Answer, Goal
from moltghost.engines.embedded.plan import Plan, Provider
from moltghost.engines.embedded.run import Run
from moltghost.engines.interface import Op
from moltghost.engines.pulumi.state import ResourceState
from moltghost.engines.pulumi.urn import is_provider, name_of
from moltghost.errors import Refused
from moltghost.progress import Event

_RULE_KINDS = {
    "Namespace",  # its labels hold the Pod Security level
    "ResourceQuota",
    "LimitRange",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "ValidatingWebhookConfiguration",
    "MutatingWebhookConfiguration",
}


class PreviewRun(Run):
    """Plans every resource, and the deletion of what left the program."""

    dry_run = True

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._goals: dict[str, Goal] = {}
        self._doubts: list[tuple[Goal, Plan, Refused]] = []

    def _decided(
        self, goal: Goal, old: ResourceState | None, plan: Plan, provider: Provider
    ) -> Answer:
        if plan.doubt:
            note = "a rule of the cluster stands against it, which may change before"
            self._doubts.append((goal, plan, plan.doubt))
            plan = replace(plan, note=note)
        self._goals[goal.urn] = goal
        self._add_planned(goal, plan)
        self._journal.keep(state_of(goal, plan.inputs, old))
        done = len(self.steps)
        self._report(
            Event(task=f"preview {self.stack}", state="running", detail=f"{done} resources")
        )
        known = plan.op in (Op.SAME, Op.UPDATE)
        return Answer(id=plan.id if known else "", outputs=plan.outputs)

    def settle_doubts(self) -> None:
        """Fail what a rule of the cluster stands against, unless the rule itself may change.

        That is so if something that the resource needs changes in this run, or something whose
        kind holds rules, such as a quota or an admission policy.
        """
        changing = {step.urn for step in self.steps if step.op not in (Op.SAME, Op.READ)}
        kinds = {self._goals[urn].type.rpartition(":")[2] for urn in changing & set(self._goals)}
        for goal, plan, doubt in self._doubts:
            if not (kinds & _RULE_KINDS or self._all_needs(goal) & changing):
                self.failures.append(Failure(plan.title, doubt))

    def _all_needs(self, goal: Goal) -> set[str]:
        found: set[str] = set()
        waiting = list(goal.needs())
        while waiting:
            urn = waiting.pop()
            if urn not in found:
                found.add(urn)
                waiting += self._goals[urn].needs() if urn in self._goals else ()
        return found

    def plan_deletions(self) -> None:
        """Plan the deletion of what the state has and the program no longer says.

        Raises:
            Refused: some of it is protected.
        """
        leaving = [item for item in self._journal.leftovers() if not item.external]
        if kept := [item for item in leaving if item.protect and not item.delete]:
            names = ", ".join(self._title(item) for item in kept)
            raise Refused(
                f"the program of stack {self.stack} no longer has {names}, which is protected",
                "put it back, or unprotect it first by an up with protect off",
            )
        for item in reversed(leaving):
            note = "stays in the cluster" if item.retain_on_delete else ""
            self.steps.append(delete_step(item, self._title(item), note))

    def _title(self, resource: ResourceState) -> str:
        if not resource.custom or is_provider(resource.type):
            return f"{resource.type.rsplit(':', 1)[1]} {name_of(resource.urn)}"
        return self.providers.of_state(resource).title(resource)
