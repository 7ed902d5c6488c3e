"""Whether an object is ready, told from the object alone.

The rules for workloads are those of ``kubectl rollout status``; a claim whose volume waits for its
first consumer counts as ready.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from moltghost.engines.kubernetes.objects import Object
from moltghost.kube.pod_diagnosis import condition

SKIP_AWAIT = "pulumi.com/skipAwait"


@dataclass(frozen=True)
class Readiness:
    """How far an object is.

    Args:
        ready: nothing to wait for.
        detail: what it waits for.
        failed: waiting is pointless; ``detail`` says why.
    """

    ready: bool
    detail: str = ""
    failed: bool = False


READY = Readiness(True)


def readiness(live: Object) -> Readiness:
    """How far an object is; kinds without a notion of readiness are ready at once."""
    if live["metadata"].get("annotations", {}).get(SKIP_AWAIT) == "true":
        return READY
    rule = _RULES.get(live["kind"])
    return rule(live) if rule else READY


def _observed(live: Object) -> bool:
    seen = live.get("status", {}).get("observedGeneration", 0)
    return bool(seen >= live["metadata"].get("generation", 0))


def _deployment(live: Object) -> Readiness:
    status, wanted = live.get("status", {}), live["spec"].get("replicas", 1)
    if not _observed(live):
        return Readiness(False, "the change has not been taken up yet")
    progressing = condition(live, "Progressing")
    if progressing.get("reason") == "ProgressDeadlineExceeded":
        return Readiness(False, progressing.get("message", "no progress"), failed=True)
    updated = status.get("updatedReplicas", 0)
    if updated < wanted:
        return _counted("updated", updated, wanted, _refusal(live))
    if status.get("replicas", 0) > updated:
        return _counted("old replicas to end", status["replicas"] - updated, None, "")
    return _counted_ready(status.get("availableReplicas", 0), updated)


def _refusal(live: Object) -> str:
    failure = condition(live, "ReplicaFailure")
    return str(failure.get("message", "")) if failure.get("status") == "True" else ""


def _stateful_set(live: Object) -> Readiness:
    status, wanted = live.get("status", {}), live["spec"].get("replicas", 1)
    if not _observed(live):
        return Readiness(False, "the change has not been taken up yet")
    if status.get("updateRevision") != status.get("currentRevision"):
        return _counted("updated", status.get("updatedReplicas", 0), wanted, "")
    return _counted_ready(status.get("readyReplicas", 0), wanted)


def _daemon_set(live: Object) -> Readiness:
    status = live.get("status", {})
    if not _observed(live):
        return Readiness(False, "the change has not been taken up yet")
    wanted = status.get("desiredNumberScheduled", 0)
    if status.get("updatedNumberScheduled", 0) < wanted:
        return _counted("updated", status.get("updatedNumberScheduled", 0), wanted, "")
    return _counted_ready(status.get("numberAvailable", 0), wanted)


def _counted(what: str, count: int, wanted: int | None, why: str) -> Readiness:
    of = "" if wanted is None else f" of {wanted}"
    return Readiness(False, f"{count}{of} {what}" + (f": {why}" if why else ""))


def _counted_ready(count: int, wanted: int) -> Readiness:
    return READY if count >= wanted else Readiness(False, f"{count} of {wanted} ready")


def _job(live: Object) -> Readiness:
    failed = condition(live, "Failed")
    if failed.get("status") == "True":
        text = f"{failed.get('reason', 'Failed')}: {failed.get('message', '')}"
        return Readiness(False, text, failed=True)
    if condition(live, "Complete").get("status") == "True" or live["spec"].get("suspend"):
        return READY
    status = live.get("status", {})
    counts = [
        f"{status[key]} {key}" for key in ("active", "succeeded", "failed") if status.get(key)
    ]
    return Readiness(False, ", ".join(counts) or "not started yet")


def _pod(live: Object) -> Readiness:
    phase = live.get("status", {}).get("phase", "Pending")
    if phase == "Failed":
        status = live["status"]
        return Readiness(False, status.get("message") or status.get("reason", phase), failed=True)
    if phase == "Succeeded" or condition(live, "Ready").get("status") == "True":
        return READY
    return Readiness(False, phase.lower())


def _namespace(live: Object) -> Readiness:
    phase = live.get("status", {}).get("phase")
    if phase == "Terminating":
        return Readiness(False, "it is being deleted", failed=True)
    return READY if phase == "Active" else Readiness(False, "not active yet")


def _claim(live: Object) -> Readiness:
    phase = live.get("status", {}).get("phase", "Pending")
    if phase == "Lost":
        return Readiness(False, "its volume is lost", failed=True)
    return READY if phase == "Bound" else Readiness(False, "no volume yet")


def _definition(live: Object) -> Readiness:
    refused = condition(live, "NamesAccepted")
    if refused.get("status") == "False":
        return Readiness(False, refused.get("message", "names not accepted"), failed=True)
    established = condition(live, "Established").get("status") == "True"
    return READY if established else Readiness(False, "not established yet")


def _service(live: Object) -> Readiness:
    if live["spec"].get("type") != "LoadBalancer":
        return READY
    if live.get("status", {}).get("loadBalancer", {}).get("ingress"):
        return READY
    return Readiness(False, "no load balancer yet")


_RULES: dict[str, Callable[[Object], Readiness]] = {
    "Deployment": _deployment,
    "StatefulSet": _stateful_set,
    "DaemonSet": _daemon_set,
    "Job": _job,
    "Pod": _pod,
    "Namespace": _namespace,
    "PersistentVolumeClaim": _claim,
    "CustomResourceDefinition": _definition,
    "Service": _service,
}
