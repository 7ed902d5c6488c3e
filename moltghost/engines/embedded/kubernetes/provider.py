"""Carries out the ``kubernetes:*`` resources of one provider.

Objects are created plainly, so that one which isn't ours is refused, and changed by server-side
apply with force, which makes exactly our fields ours.

Why: docs/decisions/0013.
"""

from __future__ import annotations

import threading
import time

from moltghost.engines.embedded.kubernetes.planner import Planner
from moltghost.engines.embedded.kubernetes.readiness import readiness
from moltghost.engines.embedded.kubernetes.waiting import (
    DEFAULT_TIMEOUT_SECONDS,
    OWNERS_OF_PODS,
    Waiter,
)
from moltghost.engines.embedded.monitor import Goal
from moltghost.engines.embedded.plan import Detail, Made, Plan
from moltghost.engines.interface import DriftedObject, Op
from moltghost.engines.kubernetes import objects
from moltghost.engines.kubernetes.check import explained, own_created_fields
from moltghost.engines.kubernetes.cluster import Cluster
from moltghost.engines.kubernetes.drift import drifted, remove_additions, strangers
from moltghost.engines.kubernetes.objects import Identity, Object
from moltghost.engines.kubernetes.recorded import named, recorded, recorded_uid
from moltghost.engines.pulumi.state import ResourceState
from moltghost.engines.pulumi.values import plain, unknown_paths
from moltghost.errors import Failed, Refused
from moltghost.kube.client import Client, Propagation
from moltghost.kube.errors import AlreadyExists, ApiError, UnknownKind

_NEW_KIND_SECONDS = 15.0  # an established definition is served a moment later
_NEW_KIND_PAUSE_SECONDS = 0.2


class KubernetesProvider:
    """Makes, changes and deletes objects of one cluster.

    Args:
        cluster: the connection.
        stack: the stack's name, which objects are marked with.
        cancelled: set when the user asks to stop.
    """

    remembers_creation = True

    def __init__(self, cluster: Cluster, stack: str, cancelled: threading.Event) -> None:
        self._cluster = cluster
        self._stack = stack
        self._cancelled = cancelled
        self._planner = Planner(cluster, stack, cancelled)

    def connect(self) -> None:
        """Connect to the cluster.

        Raises:
            Refused: it isn't running, or is another one than the state's.
        """
        self._cluster.client()

    def plan(
        self, goal: Goal, old: ResourceState | None, *, begun: frozenset[str], check: bool
    ) -> Plan:
        """Compare the program with the state and with the live object."""
        return self._planner.plan(goal, old, begun=begun, check=check)

    def apply(self, goal: Goal, plan: Plan) -> Made:
        """Send the object to the API server."""
        who = objects.identity(plan.inputs)
        if who is None or unknown_paths(plan.inputs):
            raise Failed(f"{plan.title}: a value that it needs is still unknown")
        client = self._cluster.client()
        if plan.live is None:
            live = self._create(client, plan, who)
        elif plan.unready:
            live = plan.live
        else:
            live = self._update(client, plan, who, plan.live)
        ready = readiness(live).ready
        return Made(id=who.id, outputs=objects.shown(live, plan.inputs), ready=ready)

    def wait(self, goal: Goal, plan: Plan, made: Made, detail: Detail) -> Made:
        """Wait until the object is ready."""
        live = plain(made.outputs)
        timeouts = goal.custom_timeouts
        operation = "update" if plan.op is Op.UPDATE else "create"
        timeout = timeouts.get(operation, timeouts.get("create", DEFAULT_TIMEOUT_SECONDS))
        who = named(plan.inputs)
        waiter = Waiter(self._cluster.client(), self._cancelled)
        live = waiter.until_ready(who, live, timeout, detail)
        return Made(id=made.id, outputs=objects.shown(live, plan.inputs))

    def delete(self, resource: ResourceState, detail: Detail) -> None:
        """Delete the object, a workload's pods first, and wait until it is gone."""
        client, who = self._cluster.client(), recorded(resource)
        try:
            live = _get(client, who)
        except UnknownKind:
            return  # its definition is gone, and all objects of the kind with it
        if live is None or not objects.is_ours(live, self._stack, recorded_uid(resource)):
            return
        uid = live["metadata"]["uid"]
        propagation: Propagation = "Foreground" if who.kind in OWNERS_OF_PODS else "Background"
        client.delete(
            who.api_version, who.kind, who.name, who.namespace, propagation=propagation, uid=uid
        )
        timeout = resource.custom_timeouts.get("delete", DEFAULT_TIMEOUT_SECONDS)
        Waiter(client, self._cancelled).until_gone(who, uid, timeout, detail)

    def read(self, api_version: str, kind: str, id_: str) -> Object:
        """An object that the program looks up by its id.

        Raises:
            Refused: there is none.
        """
        namespace, _, name = id_.rpartition("/")
        live = self._cluster.client().get(api_version, kind, name, namespace or None)
        if live is None:
            raise Refused(f"there is no {kind} {id_} in the cluster", "create it first")
        return objects.shown(live, {})

    def title(self, resource: ResourceState) -> str:
        """``Deployment agent-x/model-server``."""
        return recorded(resource).title

    def drift(self, resource: ResourceState) -> DriftedObject | None:
        """How the object differs from what was applied last; None if it doesn't."""
        return drifted(self._cluster.client(), self._stack, resource)

    def strangers(self, namespace: str) -> list[DriftedObject]:
        """Objects in a namespace of ours that others made."""
        return strangers(self._cluster.client(), self._stack, namespace)

    def _create(self, client: Client, plan: Plan, who: Identity) -> Object:
        body = objects.rendered(plan.inputs, self._stack)
        deadline = time.monotonic() + _NEW_KIND_SECONDS
        while True:
            try:
                return client.create(body, manager=objects.MANAGER)
            except UnknownKind:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_NEW_KIND_PAUSE_SECONDS)
            except ApiError as error:
                live = _get(client, who) if isinstance(error, AlreadyExists) else None
                if live and objects.is_ours(live, self._stack, None):
                    return live  # our own request, repeated after the connection broke
                raise explained(error, plan.title, plan.inputs, Failed) from error

    def _update(self, client: Client, plan: Plan, who: Identity, live: Object) -> Object:
        try:
            own_created_fields(client, who, live)
            body = objects.rendered(plan.inputs, self._stack)
            return remove_additions(client, who, client.apply(body, manager=objects.MANAGER), body)
        except ApiError as error:
            raise explained(error, plan.title, plan.inputs, Failed) from error


def _get(client: Client, who: Identity) -> Object | None:
    return client.get(who.api_version, who.kind, who.name, who.namespace)
