"""Decides what happens to a ``kubernetes:*`` resource.

It compares the program with the state and with the live object. An object that isn't ours is
refused; ours is what carries the stack's annotation or has the uid that the state recorded. What
differs between the program and the live object is repaired, whoever changed it.
"""

from __future__ import annotations

import threading
from dataclasses import replace

from moltghost.engines.embedded.kubernetes.goals import refuse_unsupported
from moltghost.engines.embedded.kubernetes.readiness import readiness
from moltghost.engines.embedded.kubernetes.waiting import DEFAULT_TIMEOUT_SECONDS, Waiter
from moltghost.engines.embedded.monitor import Goal
from moltghost.engines.embedded.plan import Plan
from moltghost.engines.interface import MADE_ANEW, UNDONE, Change, Op
from moltghost.engines.kubernetes import objects
from moltghost.engines.kubernetes.check import Checked, Checker
from moltghost.engines.kubernetes.cluster import Cluster
from moltghost.engines.kubernetes.drift import by_hand
from moltghost.engines.kubernetes.objects import Identity, Object
from moltghost.engines.kubernetes.recorded import recorded, recorded_uid, with_ignored
from moltghost.engines.pulumi.diff import diff, same
from moltghost.engines.pulumi.state import ResourceState
from moltghost.engines.pulumi.values import plain
from moltghost.errors import Refused
from moltghost.kube.client import Client
from moltghost.kube.errors import Forbidden, UnknownKind
from moltghost.labels import ENGINE_ANNOTATION, PROJECT_ANNOTATION, STACK_ANNOTATION
from moltghost.ownership import belongs_to

_CLI_MANAGER = "pulumi-kubernetes"  # what the CLI's provider calls itself, and a random suffix


class Planner:
    """Decides about the objects of one cluster; called from many threads.

    Args:
        cluster: the connection.
        stack: the stack's name, which objects are marked with.
        cancelled: set when the user asks to stop.
    """

    def __init__(self, cluster: Cluster, stack: str, cancelled: threading.Event) -> None:
        self._cluster = cluster
        self._stack = stack
        self._cancelled = cancelled
        self._checker = Checker(stack)

    def plan(
        self, goal: Goal, old: ResourceState | None, *, begun: frozenset[str], check: bool
    ) -> Plan:
        """Compare the program with the state and with the live object."""
        refuse_unsupported(goal)
        self._checker.expect_kinds(goal.inputs)
        goal = replace(goal, inputs=self._checked(goal))
        who = objects.identity(goal.inputs)
        if who is None or not self._cluster.known:
            return _blind(goal, old, who)
        client = self._cluster.client()
        live = self._live(client, who, may_come=check and old is None)
        if old and not recorded(old).same_object(who):
            taken_up = who.id in begun
            return self._replacement(client, goal, old, who, live, taken_up, check=check)
        if live and _is_leaving(live):
            self._refuse_foreign(who, live, old, begun=who.id in begun)
            return self._successor(client, goal, who, live, wait=not check)
        if live is None:
            note = MADE_ANEW if old else ""
            return self._creation(client, goal, who, note, check=check)
        self._refuse_foreign(who, live, old, begun=who.id in begun)
        plan = self._comparison(client, goal, old, who, live)
        if check and plan.op is Op.UPDATE and not plan.unready:
            checked = self._checker.check_update(client, who, plan.inputs)
            plan = replace(plan, note=plan.note or checked.note, doubt=checked.doubt)
        return plan

    def _checked(self, goal: Goal) -> Object:
        namespaced = None
        if self._cluster.known:
            api_version, kind = plain(goal.inputs["apiVersion"]), plain(goal.inputs["kind"])
            try:
                namespaced = self._cluster.client().resource_type(api_version, kind).namespaced
            except UnknownKind:
                if not self._checker.will_have(api_version, kind):
                    raise
        return objects.checked_inputs(goal.inputs, goal.name, namespaced=namespaced)

    def _live(self, client: Client, who: Identity, *, may_come: bool) -> Object | None:
        """The live object; none while its kind is only about to be defined.

        ``may_come`` is set where a preview plans something new: the right to read it may be made
        by the same change, as an agent's stack makes its owner's.
        """
        try:
            return client.get(who.api_version, who.kind, who.name, who.namespace)
        except UnknownKind:
            return None
        except Forbidden:
            if not may_come:
                raise
            return None

    def _successor(
        self, client: Client, goal: Goal, who: Identity, live: Object, *, wait: bool
    ) -> Plan:
        """The creation of an object whose predecessor is still being deleted."""
        if wait:
            self._await_gone(client, who, live)
        note = "created again once the old one, which is being deleted, is gone"
        return self._creation(client, goal, who, note, check=False)

    def _await_gone(self, client: Client, who: Identity, live: Object) -> None:
        uid = live["metadata"]["uid"]
        waiter = Waiter(client, self._cancelled)
        waiter.until_gone(who, uid, DEFAULT_TIMEOUT_SECONDS, lambda _text: None)

    def _creation(
        self, client: Client, goal: Goal, who: Identity, note: str, *, check: bool
    ) -> Plan:
        checked = Checked()
        if check:
            checked = self._checker.check_creation(client, who, goal.inputs)
        return Plan(
            op=Op.CREATE,
            inputs=goal.inputs,
            id=who.id,
            outputs=dict(goal.inputs),
            title=who.title,
            namespace=who.namespace,
            object_name=who.name,
            note=checked.note or note,
            doubt=checked.doubt,
        )

    def _replacement(
        self,
        client: Client,
        goal: Goal,
        old: ResourceState,
        who: Identity,
        live: Object | None,
        taken_up: bool,
        *,
        check: bool,
    ) -> Plan:
        before = recorded(old)
        if old.protect:
            raise Refused(
                f"{before.title} is protected and would be replaced by {who.title}",
                "keep its name, or unprotect it first",
            )
        plan = self._creation(client, goal, who, "", check=check and live is None)
        if live is not None:
            leaving = _is_leaving(live)
            self._refuse_foreign(who, live, None, begun=taken_up or leaving)
            if leaving and not check:
                self._await_gone(client, who, live)
            live = None if leaving else live
        changed, note = diff(old.inputs, goal.inputs), f"{before.title} is deleted afterwards"
        return replace(plan, op=Op.REPLACE, diff=changed, note=note, live=live)

    def _comparison(
        self, client: Client, goal: Goal, old: ResourceState | None, who: Identity, live: Object
    ) -> Plan:
        inputs = with_ignored(goal.inputs, goal.ignore_changes, live)
        plan = Plan(
            op=Op.SAME,
            inputs=inputs,
            id=who.id,
            outputs=objects.shown(live, inputs),
            title=who.title,
            namespace=who.namespace,
            object_name=who.name,
            live=live,
        )
        if old is None:
            note = "taken up: an earlier run was stopped while it made this"
            return replace(plan, op=Op.UPDATE, note=note)
        before = with_ignored(old.inputs, goal.ignore_changes, live)
        drift = by_hand(client, self._checker, self._stack, before, live)
        undone = tuple(Change(each.path, each.live, each.recorded) for each in drift if each.undone)
        if not same(objects.settled(old.inputs), objects.settled(inputs)):
            return replace(
                plan,
                op=Op.UPDATE,
                diff=(*diff(old.inputs, inputs), *undone),
                outputs={**plan.outputs, **inputs},
                note=UNDONE if undone else "",
                undone=undone,
            )
        if undone:
            return replace(plan, op=Op.UPDATE, diff=undone, note=UNDONE, undone=undone)
        if old.init_errors and not readiness(live).ready:
            note = f"it isn't ready yet: {old.init_errors[0]}"
            return replace(plan, op=Op.UPDATE, note=note, unready=True)
        return plan

    def _refuse_foreign(
        self, who: Identity, live: Object, old: ResourceState | None, *, begun: bool
    ) -> None:
        ours = objects.is_ours(live, self._stack, recorded_uid(old) if old else None)
        if ours and (old or begun):
            return
        self._refuse_owned(live)
        mark = live["metadata"].get("annotations", {}).get(STACK_ANNOTATION)
        owner = f"it belongs to stack {mark}" if mark else "it wasn't made by this stack"
        if project := live["metadata"].get("annotations", {}).get(PROJECT_ANNOTATION):
            owner += f" of project {project}"
        raise Refused(
            f"{who.title} exists already, and {owner}",
            f"choose another name, or delete it if nothing needs it{self._adoption(live)}",
        )

    def _refuse_owned(self, live: Object) -> None:
        """Say so where the other engine owns our stack."""
        notes = live["metadata"].get("annotations", {})
        owner = notes.get(ENGINE_ANNOTATION, "embedded")
        if owner != "embedded" and notes.get(STACK_ANNOTATION, self._stack) == self._stack:
            raise belongs_to(owner, self._stack, "embedded")

    def _adoption(self, live: Object) -> str:
        """What to do if the Pulumi CLI made the object, or has taken it over, for our stack."""
        mark = live["metadata"].get("annotations", {}).get(STACK_ANNOTATION)
        managers = [entry["manager"] for entry in live["metadata"].get("managedFields", [])]
        if mark != self._stack and not any(each.startswith(_CLI_MANAGER) for each in managers):
            return ""
        environment = self._stack.rpartition(".")[2]
        return (
            f"; if the Pulumi CLI has stack {self._stack}: "
            f"moltghost stack adopt {environment} --engine embedded"
        )


def _is_leaving(live: Object) -> bool:
    """Whether an object is being deleted, which nothing can take back."""
    return "deletionTimestamp" in live["metadata"]


def _blind(goal: Goal, old: ResourceState | None, who: Identity | None) -> Plan:
    """A plan from the state alone: the cluster, or the object's name, isn't known yet."""
    changed = diff(old.inputs, goal.inputs) if old else ()
    op = Op.CREATE if not old else Op.UPDATE if changed else Op.SAME
    return Plan(
        op=op,
        inputs=goal.inputs,
        id=old.id if old else "",
        outputs=dict(goal.inputs),
        diff=changed,
        title=who.title if who else f"{plain(goal.inputs['kind'])} {goal.name}",
        note="checked when it is applied: the cluster or the name isn't known yet",
    )
