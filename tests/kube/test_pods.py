from __future__ import annotations

from typing import Any

import pytest

from moltghost.kube.pods import Stage, is_ready, progress
from tests.kube.clusters import (
    DONE,
    INITIALIZING,
    RUNNING,
    STARTED_NOT_PROVEN,
    pod,
    ready_pod,
    waiting,
)

NO_NODE = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."
NOTHING_YET = dict.fromkeys(("ollama", "loader", "gate"), INITIALIZING)


@pytest.mark.parametrize(
    ("found", "stage"),
    [
        (pod(unschedulable=NO_NODE), Stage.SCHEDULING),
        # Bound to a node whose kubelet has not reported yet.
        (pod(), Stage.STARTING),
        (pod(containers={"weights": INITIALIZING, **NOTHING_YET}), Stage.STARTING),
        (pod(containers={"weights": waiting("ContainerCreating")}), Stage.STARTING),
        (pod(containers={**NOTHING_YET, "weights": RUNNING}), Stage.DOWNLOAD),
        (pod(containers={**NOTHING_YET, "weights": DONE}), Stage.LOAD),
        (
            pod(containers={**NOTHING_YET, "weights": DONE, "ollama": STARTED_NOT_PROVEN}),
            Stage.LOAD,
        ),
        (
            pod(
                containers={
                    "weights": DONE,
                    "ollama": RUNNING,
                    "loader": STARTED_NOT_PROVEN,
                    "gate": INITIALIZING,
                }
            ),
            Stage.LOAD,
        ),
        (ready_pod(), Stage.READY),
        (ready_pod(leaving=True), Stage.DRAINING),
    ],
)
def test_a_pods_stage_is_told_by_its_containers_in_their_order(
    found: dict[str, Any], stage: Stage
) -> None:
    assert progress(found).stage == stage


def test_a_pod_without_a_node_says_why_in_the_schedulers_words() -> None:
    assert progress(pod(unschedulable=NO_NODE)).reason == NO_NODE


def test_a_pod_that_the_scheduler_has_not_seen_has_no_reason_yet() -> None:
    fresh = pod()
    fresh["status"] = {"phase": "Pending"}
    assert (progress(fresh).stage, progress(fresh).reason) == (Stage.SCHEDULING, "")


@pytest.mark.parametrize(
    ("container", "state", "reason"),
    [
        (
            "weights",
            waiting("CrashLoopBackOff", "back-off 40s restarting failed container", 3),
            "container weights waits: CrashLoopBackOff: back-off 40s restarting failed container: "
            "exit code 3",
        ),
        (
            "ollama",
            waiting("ImagePullBackOff", 'Back-off pulling image "ollama:0"'),
            'container ollama waits: ImagePullBackOff: Back-off pulling image "ollama:0"',
        ),
        (
            "gate",
            waiting("CreateContainerConfigError", 'secret "gate-token-1" not found'),
            'container gate waits: CreateContainerConfigError: secret "gate-token-1" not found',
        ),
    ],
)
def test_a_container_that_does_not_start_by_itself_is_named_with_its_reason(
    container: str, state: dict[str, Any], reason: str
) -> None:
    found = progress(pod(containers={**NOTHING_YET, "weights": DONE, container: state}))
    assert found.stage == Stage.FAILED
    assert found.reason.startswith(reason)


def test_a_pod_that_was_evicted_says_so() -> None:
    evicted = pod(
        phase="Failed", reason="Evicted", message="Pod ephemeral local storage usage exceeds"
    )
    assert progress(evicted).stage == Stage.FAILED
    assert progress(evicted).reason == "Pod ephemeral local storage usage exceeds"
    without_message = pod(phase="Failed", reason="NodeLost")
    assert progress(without_message).reason == "NodeLost"


def test_a_pod_on_its_way_out_takes_no_requests_however_ready_it_is() -> None:
    assert is_ready(ready_pod())
    assert not is_ready(ready_pod(leaving=True))
    assert not is_ready(pod())


def test_a_simulated_pod_without_container_statuses_is_ready_when_it_says_so() -> None:
    """KWOK's pods have conditions only."""
    assert progress(pod(ready=True, phase="Running")).stage == Stage.READY
