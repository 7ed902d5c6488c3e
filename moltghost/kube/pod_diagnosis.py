"""Why a pod isn't ready, in one line, from the pod and the events about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

LiveObject = Mapping[str, Any]
"""An object as the API server has it, which is only read."""

_QUIET_WAITING = ("PodInitializing", "ContainerCreating")
_KARPENTER = "karpenter"
_RESTARTS_IN_VAIN = 3  # a minute and a half, as the kubelet doubles its pauses


def condition(live: LiveObject, type_: str) -> dict[str, Any]:
    """The condition of that type, or an empty dict."""
    conditions = live.get("status", {}).get("conditions") or []  # a new definition has null
    return next((item for item in conditions if item["type"] == type_), {})


def container_statuses(pod: LiveObject) -> list[dict[str, Any]]:
    """What is known of each container, init containers first."""
    status = pod.get("status", {})
    return [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]


def pod_reason(pod: LiveObject, events: Sequence[LiveObject]) -> str:
    """What a pod is waiting for or why it fails; empty if it is ready.

    Args:
        pod: the pod.
        events: the events about it, in any order.
    """
    if "deletionTimestamp" in pod["metadata"]:
        return "ending"
    scheduled = condition(pod, "PodScheduled")
    if scheduled.get("status") != "True":
        return _unscheduled(scheduled, events)
    status = pod.get("status", {})
    if status.get("phase") == "Failed":
        return str(status.get("message") or status.get("reason") or "the pod failed")
    for reason in _init_reasons(pod), _container_reasons(pod):
        if reason:
            return reason
    if condition(pod, "Ready").get("status") == "True":
        return ""
    return _latest_warning(events) or str(condition(pod, "Ready").get("message", "starting"))


def event_time(event: LiveObject) -> str:
    """When it was last seen; sorts as text."""
    series = event.get("series") or {}
    times = series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime")
    created = event["metadata"].get("creationTimestamp", "")
    return str(next((time for time in times if time), created))


def _unscheduled(scheduled: dict[str, Any], events: Sequence[LiveObject]) -> str:
    """Karpenter's latest word if it has one: it knows why no node comes, the scheduler doesn't."""
    spoken = [event for event in events if _source(event) == _KARPENTER]
    if spoken:
        return str(max(spoken, key=event_time)["message"])
    return str(scheduled.get("message") or "not scheduled yet")


def _source(event: LiveObject) -> str:
    component = event.get("source", {}).get("component")
    return str(event.get("reportingComponent") or component or "").partition("/")[0]


def _init_reasons(pod: LiveObject) -> str:
    statuses = pod["status"].get("initContainerStatuses", [])
    names = [item["name"] for item in pod["spec"].get("initContainers", [])]
    for item in statuses:
        place = f"init container {item['name']} ({names.index(item['name']) + 1} of {len(names)})"
        if found := trouble(item):
            return f"{place} {found}"
        if "running" in item.get("state", {}) and not _passed(item):
            return f"{place} is running"
    return ""


def _passed(status: dict[str, Any]) -> bool:
    """A sidecar keeps running after it has started; an ordinary init container never counts."""
    return bool(status.get("started"))


def _container_reasons(pod: LiveObject) -> str:
    for item in pod["status"].get("containerStatuses", []):
        if found := trouble(item):
            return f"container {item['name']} {found}"
    waiting = [
        item["name"] for item in pod["status"].get("containerStatuses", []) if not item["ready"]
    ]
    running = [
        item["name"]
        for item in pod["status"].get("containerStatuses", [])
        if "running" in item.get("state", {}) and not item["ready"]
    ]
    if running:
        return f"waiting until {', '.join(running)} is ready"
    return f"starting {', '.join(waiting)}" if waiting else ""


def trouble(status: Mapping[str, Any]) -> str:
    """What is wrong with a container, or nothing."""
    state = status.get("state", {})
    waiting = state.get("waiting", {})
    ended = state.get("terminated") or status.get("lastState", {}).get("terminated") or {}
    last = ""
    if ended.get("exitCode"):
        text = ended.get("message", "").strip() or ended.get("reason", "")
        last = f"exit code {ended['exitCode']}" + (f", {text}" if text else "")
    reason = waiting.get("reason", "")
    if reason and reason not in _QUIET_WAITING:
        said = waiting.get("message", "")
        return f"waits: {reason}" + "".join(f": {part}" for part in (said, last) if part)
    failed_now = bool((state.get("terminated") or {}).get("exitCode"))
    return f"failed: {last}" if failed_now else ""


def has_given_up(pod: LiveObject) -> bool:
    """Whether a container keeps ending, so that waiting for it is pointless.

    What only needs time waits by itself here: the weights for their store, the loader for Ollama.
    """
    return any(
        status.get("state", {}).get("waiting", {}).get("reason") == "CrashLoopBackOff"
        and status.get("restartCount", 0) >= _RESTARTS_IN_VAIN
        for status in container_statuses(pod)
    )


def _latest_warning(events: Sequence[LiveObject]) -> str:
    warnings = [event for event in events if event.get("type") == "Warning"]
    return str(max(warnings, key=event_time)["message"]) if warnings else ""
