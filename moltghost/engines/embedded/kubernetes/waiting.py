"""Waiting until an object is ready or gone, telling meanwhile what it waits for."""

from __future__ import annotations

import threading
import time

from moltghost.engines.embedded.kubernetes.readiness import READY, Readiness, readiness
from moltghost.engines.embedded.plan import Detail
from moltghost.engines.interrupt import stop_if
from moltghost.engines.kubernetes.objects import Identity, Object
from moltghost.errors import Failed
from moltghost.kube.client import Client
from moltghost.kube.container_progress import last_words
from moltghost.kube.errors import ApiError
from moltghost.kube.pod_diagnosis import condition, has_given_up, pod_reason
from moltghost.units import format_duration

DEFAULT_TIMEOUT_SECONDS = 600.0  # pulumi-kubernetes' default
_LOOK_SECONDS = 1  # a watch lasts so long; also how soon Ctrl-C is noticed
_REASON_SECONDS = 2.0
OWNERS_OF_PODS = ("Deployment", "StatefulSet", "DaemonSet", "Job")
_REVISION = "deployment.kubernetes.io/revision"


class Waiter:
    """Waits for objects of one cluster.

    Args:
        client: the cluster.
        cancelled: set when the user asks to stop.
    """

    def __init__(self, client: Client, cancelled: threading.Event) -> None:
        self._client = client
        self._cancelled = cancelled

    def until_ready(self, who: Identity, live: Object, timeout: float, detail: Detail) -> Object:
        """Wait until an object is ready.

        Args:
            who: the object.
            live: the object as it was last seen.
            timeout: seconds.
            detail: takes what it waits for.

        Returns:
            The object once it is ready.

        Raises:
            Failed: it can't become ready, or didn't in time, with the last known reason.
        """
        deadline = time.monotonic() + timeout
        reason, asked, given_up = "", 0.0, False
        while True:
            state = self._readiness(who, live)
            if state.ready:
                return live
            if not reason or state.failed or time.monotonic() - asked > _REASON_SECONDS:
                pods = self._pods(who, live)
                reason, asked = self._reason(who, live, state, pods), time.monotonic()
                given_up = any(has_given_up(pod) for pod in pods)
                detail(reason)
            if state.failed or given_up:
                raise Failed(f"{who.title} failed: {reason}")
            if time.monotonic() > deadline:
                raise Failed(
                    f"{who.title} isn't ready after {format_duration(timeout)}: {reason}",
                    "it stays in place; run the command again to keep waiting",
                )
            live = self._next(who, live)

    def until_gone(self, who: Identity, uid: str, timeout: float, detail: Detail) -> None:
        """Wait until an object no longer exists.

        Raises:
            Failed: it still does after ``timeout`` seconds.
        """
        deadline = time.monotonic() + timeout
        while True:
            live = self._get(who)
            if live is None or live["metadata"]["uid"] != uid:
                return
            reason = _why_still_there(live)
            detail(reason)
            if time.monotonic() > deadline:
                raise Failed(
                    f"{who.title} is still there after {format_duration(timeout)}: {reason}",
                    "run the command again to keep waiting",
                )
            self._look(who, live)

    def _readiness(self, who: Identity, live: Object) -> Readiness:
        state = readiness(live)
        if who.kind == "PersistentVolumeClaim" and not state.ready and not state.failed:
            return READY if self._waits_for_consumer(live) else state
        return state

    def _waits_for_consumer(self, claim: Object) -> bool:
        name = claim["spec"].get("storageClassName")
        found = self._client.get("storage.k8s.io/v1", "StorageClass", name) if name else None
        return bool(found and found.get("volumeBindingMode") == "WaitForFirstConsumer")

    def _get(self, who: Identity) -> Object | None:
        stop_if(self._cancelled)
        return self._client.get(who.api_version, who.kind, who.name, who.namespace)

    def _next(self, who: Identity, live: Object) -> Object:
        self._look(who, live)
        found = self._get(who)
        if found is None:
            raise Failed(f"{who.title} was deleted by someone else while we waited for it")
        return found

    def _look(self, who: Identity, live: Object) -> None:
        """Return when the object changes, or after a second."""
        stop_if(self._cancelled)
        began = time.monotonic()
        events = self._client.watch(
            who.api_version,
            who.kind,
            who.namespace,
            name=who.name,
            resource_version=live["metadata"]["resourceVersion"],
            timeout_seconds=_LOOK_SECONDS,
        )
        try:
            kind = next((kind for kind, _object in events), "")
        except ApiError:
            kind = "ERROR"
        if kind in ("", "ERROR"):  # also a server that went away: don't ask in a tight loop
            self._cancelled.wait(max(0.0, _LOOK_SECONDS - (time.monotonic() - began)))

    def _reason(self, who: Identity, live: Object, state: Readiness, pods: list[Object]) -> str:
        if who.kind == "Pod":
            return pod_reason(live, self._events(live)) or state.detail
        found = next((text for pod in pods if (text := self._pod_text(pod))), "")
        return f"{state.detail}: {found}" if found else state.detail

    def _pod_text(self, pod: Object) -> str:
        return last_words(self._client, pod) or pod_reason(pod, self._events(pod))

    def _pods(self, who: Identity, live: Object) -> list[Object]:
        """The pods of a workload; of a Deployment, those of its newest revision.

        A Pod is waited for as it is, and other kinds have none.
        """
        if who.kind not in OWNERS_OF_PODS:
            return []
        labels = live["spec"].get("selector", {}).get("matchLabels", {})
        if not labels:
            return []
        owner = live["metadata"]["uid"]
        if who.kind == "Deployment":
            owner = self._newest_set(who, live, labels)
        pods = self._client.list("v1", "Pod", who.namespace, labels=labels)
        owned = [pod for pod in pods if owner in _owners(pod)]
        return sorted(owned, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))

    def _newest_set(self, who: Identity, live: Object, labels: dict[str, str]) -> str:
        revision = live["metadata"].get("annotations", {}).get(_REVISION)
        for item in self._client.list("apps/v1", "ReplicaSet", who.namespace, labels=labels):
            mine = live["metadata"]["uid"] in _owners(item)
            if mine and item["metadata"].get("annotations", {}).get(_REVISION) == revision:
                return str(item["metadata"]["uid"])
        return ""

    def _events(self, pod: Object) -> list[Object]:
        metadata = pod["metadata"]
        fields = {"involvedObject.uid": metadata["uid"]}
        return self._client.list("v1", "Event", metadata.get("namespace"), fields=fields)


def _owners(obj: Object) -> list[str]:
    return [str(item["uid"]) for item in obj["metadata"].get("ownerReferences", [])]


def _why_still_there(live: Object) -> str:
    for type_ in ("NamespaceContentRemaining", "NamespaceFinalizersRemaining"):
        if condition(live, type_).get("status") == "True":
            return str(condition(live, type_)["message"])
    finalizers = live["metadata"].get("finalizers", [])
    return f"waiting for {', '.join(finalizers)}" if finalizers else "being deleted"
