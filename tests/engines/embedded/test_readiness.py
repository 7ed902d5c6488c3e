"""Readiness and its reasons, from objects alone."""

from __future__ import annotations

from typing import Any

import pytest

from moltghost.engines.embedded.kubernetes.readiness import readiness
from moltghost.kube.pod_diagnosis import has_given_up, pod_reason

Object = dict[str, Any]


def live(kind: str, status: Object, spec: Object | None = None, **metadata: Any) -> Object:
    return {"kind": kind, "metadata": metadata, "spec": spec or {}, "status": status}


def conditions(**states: str) -> list[Object]:
    return [{"type": type_, "status": status} for type_, status in states.items()]


AVAILABLE = {"observedGeneration": 2, "updatedReplicas": 1, "replicas": 1, "availableReplicas": 1}
STUCK = [
    {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "m"}
]
REFUSED = [{"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}]

READINESS = [
    (live("ConfigMap", {}), True, ""),
    (live("Deployment", AVAILABLE, generation=2), True, ""),
    (live("Deployment", AVAILABLE, generation=3), False, "the change has not been taken up yet"),
    (live("Deployment", {**AVAILABLE, "replicas": 2}), False, "1 old replicas to end"),
    (live("Deployment", {**AVAILABLE, "availableReplicas": 0}), False, "0 of 1 ready"),
    (live("Deployment", {"conditions": REFUSED}), False, "0 of 1 updated: exceeded quota"),
    (live("Deployment", {}, {"replicas": 0}), True, ""),
    (live("StatefulSet", {"readyReplicas": 1}), True, ""),
    (live("StatefulSet", {"updateRevision": "b", "currentRevision": "a"}), False, "0 of 1 updated"),
    (live("DaemonSet", {"desiredNumberScheduled": 1}), False, "0 of 1 updated"),
    (live("DaemonSet", {"desiredNumberScheduled": 0}), True, ""),
    (live("Job", {"conditions": conditions(Complete="True")}), True, ""),
    (live("Job", {"active": 1}), False, "1 active"),
    (live("Pod", {"conditions": conditions(Ready="True")}), True, ""),
    (live("Pod", {"phase": "Succeeded"}), True, ""),
    (live("Pod", {"phase": "Pending"}), False, "pending"),
    (live("Namespace", {"phase": "Active"}), True, ""),
    (live("PersistentVolumeClaim", {"phase": "Bound"}), True, ""),
    (live("PersistentVolumeClaim", {"phase": "Pending"}), False, "no volume yet"),
    (live("CustomResourceDefinition", {"conditions": None}), False, "not established yet"),
    (live("CustomResourceDefinition", {"conditions": conditions(Established="True")}), True, ""),
    (live("Service", {}, {"type": "ClusterIP"}), True, ""),
    (live("Service", {}, {"type": "LoadBalancer"}), False, "no load balancer yet"),
    (live("Pod", {}, annotations={"pulumi.com/skipAwait": "true"}), True, ""),
]
BROKEN = [
    (live("Deployment", {"conditions": STUCK}), "m"),
    (live("Job", {"conditions": conditions(Failed="True")}), "Failed: "),
    (live("Pod", {"phase": "Failed", "reason": "Evicted"}), "Evicted"),
    (live("Namespace", {"phase": "Terminating"}), "it is being deleted"),
    (live("PersistentVolumeClaim", {"phase": "Lost"}), "its volume is lost"),
    (live("CustomResourceDefinition", {"conditions": conditions(NamesAccepted="False")}), "names"),
]


@pytest.mark.parametrize(("obj", "ready", "detail"), READINESS)
def test_an_object_is_ready_when_nothing_is_left_to_wait_for(
    obj: Object, ready: bool, detail: str
) -> None:
    state = readiness(obj)

    assert (state.ready, state.failed, state.detail) == (ready, False, detail)


@pytest.mark.parametrize(("obj", "detail"), BROKEN)
def test_waiting_ends_when_it_has_become_pointless(obj: Object, detail: str) -> None:
    state = readiness(obj)

    assert state.failed
    assert state.detail.startswith(detail)


# --- reasons ---------------------------------------------------------------------------------


def pod(*, scheduled: bool = True, **status: Any) -> Object:
    placed = {"type": "PodScheduled", "status": "True" if scheduled else "False"}
    if not scheduled:
        placed["message"] = "0/3 nodes are available"
    spec = {"initContainers": [{"name": "weights"}, {"name": "ollama"}]}
    return {
        "metadata": {"name": "p"},
        "spec": spec,
        "status": {"conditions": [placed, *status.pop("conditions", [])], **status},
    }


def event(
    message: str, *, source: str = "kubelet", time: str = "2026-01-01", **more: Any
) -> Object:
    base = {"metadata": {}, "lastTimestamp": time, "reportingComponent": source, "type": "Warning"}
    return {**base, "message": message, **more}


def container(
    name: str, *, ready: bool = False, last: Object | None = None, **state: Any
) -> Object:
    return {"name": name, "ready": ready, "state": state, "lastState": last or {}}


REASONS = [
    pytest.param(pod(scheduled=False), [], "0/3 nodes are available", id="scheduler"),
    pytest.param(
        pod(scheduled=False),
        [
            event("old", source="karpenter", time="2026-01-01"),
            event("no instance type fits", source="karpenter", time="2026-01-02"),
            event("Failed", time="2026-01-03"),
        ],
        "no instance type fits",
        id="karpenter knows better",
    ),
    pytest.param(
        pod(initContainerStatuses=[container("weights", running={})]),
        [],
        "init container weights (1 of 2) is running",
        id="init container",
    ),
    pytest.param(
        pod(
            initContainerStatuses=[
                container("weights", waiting={"reason": "ImagePullBackOff", "message": "no such"})
            ]
        ),
        [],
        "init container weights (1 of 2) waits: ImagePullBackOff: no such",
        id="image",
    ),
    pytest.param(
        pod(
            initContainerStatuses=[
                {**container("ollama", running={}), "started": True},
            ],
            containerStatuses=[container("gate", running={})],
        ),
        [],
        "waiting until gate is ready",
        id="a started sidecar is no obstacle",
    ),
    pytest.param(
        pod(
            containerStatuses=[
                container(
                    "gate",
                    waiting={"reason": "CrashLoopBackOff"},
                    last={"terminated": {"exitCode": 1, "message": "bad config"}},
                )
            ]
        ),
        [],
        "container gate waits: CrashLoopBackOff: exit code 1, bad config",
        id="crash",
    ),
    pytest.param(
        pod(containerStatuses=[container("gate", waiting={"reason": "ContainerCreating"})]),
        [],
        "starting gate",
        id="creating",
    ),
    pytest.param(pod(phase="Failed", reason="Evicted"), [], "Evicted", id="evicted"),
    pytest.param(pod(conditions=conditions(Ready="True")), [], "", id="ready"),
    pytest.param(
        pod(), [event("mount failed"), event("later", time="2026-02")], "later", id="warning"
    ),
]


@pytest.mark.parametrize(("obj", "events", "reason"), REASONS)
def test_a_pod_says_why_it_is_not_ready(obj: Object, events: list[Object], reason: str) -> None:
    assert pod_reason(obj, events) == reason


@pytest.mark.parametrize(
    ("reason", "restarts", "given_up"),
    [("CrashLoopBackOff", 3, True), ("CrashLoopBackOff", 2, False), ("ImagePullBackOff", 3, False)],
)
def test_a_container_that_keeps_ending_is_given_up(
    reason: str, restarts: int, given_up: bool
) -> None:
    loader = {"state": {"waiting": {"reason": reason}}, "restartCount": restarts}
    assert has_given_up(live("Pod", {"initContainerStatuses": [loader]})) is given_up
