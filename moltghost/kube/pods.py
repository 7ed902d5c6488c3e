"""How far a pod has come, and why it isn't further, from what the API server says of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from moltghost.kube.pod_diagnosis import LiveObject, condition, container_statuses, trouble
from moltghost.labels import WEIGHTS_CONTAINER


class Stage(StrEnum):
    """Where a model server is on its way from a request to an answering model."""

    ABSENT = "absent"
    SCHEDULING = "scheduling"
    STARTING = "starting"
    DOWNLOAD = "download"
    LOAD = "load"
    READY = "ready"
    PAUSED = "paused"
    DRAINING = "draining"
    FAILED = "failed"


@dataclass(frozen=True)
class PodProgress:
    """A pod's stage and, where it doesn't move on, the reason in the cluster's own words."""

    stage: Stage
    reason: str = ""


def is_ready(pod: LiveObject) -> bool:
    """Whether the pod takes requests: ready, and not on its way out."""
    leaving = "deletionTimestamp" in pod["metadata"]
    return not leaving and condition(pod, "Ready").get("status") == "True"


def progress(pod: LiveObject) -> PodProgress:
    """How far a pod has come, told by its containers in their order."""
    if "deletionTimestamp" in pod["metadata"]:
        return PodProgress(Stage.DRAINING)
    scheduled = condition(pod, "PodScheduled")
    if scheduled.get("status") != "True":
        return PodProgress(Stage.SCHEDULING, scheduled.get("message", ""))
    if pod.get("status", {}).get("phase") == "Failed":
        status = pod["status"]
        return PodProgress(Stage.FAILED, status.get("message") or status.get("reason", ""))
    if broken := next(_broken(pod), ""):
        return PodProgress(Stage.FAILED, broken)
    if is_ready(pod):
        return PodProgress(Stage.READY)
    return PodProgress(_running_stage(pod))


def _running_stage(pod: LiveObject) -> Stage:
    states = {each["name"]: each for each in container_statuses(pod)}
    if not states:
        return Stage.STARTING
    weights = states.get(WEIGHTS_CONTAINER)
    if weights and not weights.get("state", {}).get("terminated"):
        return Stage.DOWNLOAD if weights.get("state", {}).get("running") else Stage.STARTING
    return Stage.LOAD


def _broken(pod: LiveObject) -> Iterator[str]:
    for each in container_statuses(pod):
        if found := trouble(each):
            yield f"container {each['name']} {found}"
