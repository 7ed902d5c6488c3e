"""A weights job in a cluster: begun or joined, and followed by what its log says."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from moltghost.components.weights_job import key_secret, weights_job
from moltghost.errors import Failed, Refused
from moltghost.kube.client import Client
from moltghost.kube.errors import AlreadyExists, ApiError, Invalid, NotFound
from moltghost.kube.pod_diagnosis import condition, container_statuses, pod_reason, trouble
from moltghost.kube.transport import Object
from moltghost.labels import BUILD_CONTAINER, WEIGHTS_ANNOTATION, WEIGHTS_NAMESPACE
from moltghost.lifecycle.weights.stages import Stages
from moltghost.planning.weights import WeightsJobPlan
from moltghost.progress import Report
from moltghost.weights_store.bucket import Key

_JOB = ("batch/v1", "Job")
_MANAGER = "moltghost"
_POLL_SECONDS = 1.0
_GONE_WITHIN_SECONDS = 60.0
# An image that can't be pulled is tried for ever; so long may it be a passing trouble.
_STUCK_SECONDS = 45.0


def begin(
    client: Client,
    plan: WeightsJobPlan,
    key: Key | None,
    make_room: Callable[[bool], None] | None = None,
) -> bool:
    """Start the job, or join one that builds the very same store; returns whether it joined.

    The API server lets one Job of a name be created, so of several that begin at once one wins.

    Args:
        client: of the cluster.
        plan: what to build.
        key: the store's own, which the job gets.
        make_room: removes what is there before the job starts; told whether another command has
            begun the job, whose objects are then in the store.

    Raises:
        Refused: the store is being built from something else.
        Failed: the cluster refused an object.
    """
    wanted = weights_job(plan, with_key=key is not None)
    found = client.get(*_JOB, plan.name, plan.namespace)
    # A job that never started has put nothing into the store that room is made in.
    if found and (_is_over(found) or (make_room and found["spec"].get("suspend"))):
        _remove(client, found)
        found = None
    joined = found is not None
    if found is None:
        try:
            found = client.create(wanted, manager=_MANAGER)
        except NotFound as error:
            raise _no_namespace(plan) from error
        except AlreadyExists:
            found, joined = client.get(*_JOB, plan.name, plan.namespace), True
    _require_same(found or {}, wanted, plan)
    if make_room:
        make_room(joined)
    if found and found["spec"].get("suspend"):
        if key:
            client.apply(key_secret(plan, key.access, key.secret, found), manager=_MANAGER)
        _start(client, plan, found)
    return joined


def _start(client: Client, plan: WeightsJobPlan, job: Object) -> None:
    """By its uid: for another job of its name, another command may be making room."""
    body = {"metadata": {"uid": job["metadata"]["uid"]}, "spec": {"suspend": False}}
    try:
        client.patch(*_JOB, plan.name, plan.namespace, body, manager=_MANAGER)
    except (Invalid, NotFound) as error:
        raise Failed(
            f"another command removed the job {plan.namespace}/{plan.name} before it started",
            "run the same command again: it joins the other one's job",
        ) from error


def follow(client: Client, plan: WeightsJobPlan, report: Report) -> None:
    """Report the stages of a job until it ends.

    Raises:
        Failed: it failed, it can't start, or somebody removed it.
    """
    stages, stuck_since, uid = Stages(report), 0.0, ""
    while True:
        job = client.get(*_JOB, plan.name, plan.namespace)
        if job is None:
            stages.end("failed")
            raise Failed(
                f"the job {plan.namespace}/{plan.name} was removed while it ran",
                "run the same command again: what it uploaded is kept",
            )
        pod = _newest_pod(client, plan)
        if ended(job) == "Complete":
            stages.end("done")
            return
        if ended(job):
            stages.end("failed")
            raise _failure(plan, job, pod)
        if pod is None:
            time.sleep(_POLL_SECONDS)
            continue
        if uid not in ("", pod["metadata"]["uid"]):
            stages.end("failed")
            stages = Stages(report)
        uid = pod["metadata"]["uid"]
        if _has_begun(pod):
            _follow_log(client, plan, pod, stages)
            time.sleep(_POLL_SECONDS)
            continue
        stuck = _trouble(pod)
        stuck_since = (stuck_since or time.monotonic()) if stuck else 0.0
        stages.waiting(stuck or pod_reason(pod, _events(client, pod)))
        if stuck and time.monotonic() - stuck_since > _STUCK_SECONDS:
            stages.end("failed")
            _remove(client, job)
            raise Failed(
                f"the job's pod can't start: {stuck}",
                "moltghost images list says which images there are; then run it again",
            )
        time.sleep(_POLL_SECONDS)


def sources_in_use(client: Client) -> set[str]:
    """sha256 of the source of every job that goes on."""
    jobs = client.list(*_JOB, WEIGHTS_NAMESPACE)
    return {_source_of(job) for job in jobs if not ended(job)}


def ended(job: Object) -> str:
    """``Complete`` or ``Failed``; empty while it goes on."""
    kinds = ("Complete", "Failed")
    return next((kind for kind in kinds if condition(job, kind).get("status") == "True"), "")


def _is_over(job: Object) -> bool:
    return bool(ended(job)) or "deletionTimestamp" in job["metadata"]


def _no_namespace(plan: WeightsJobPlan) -> Refused:
    return Refused(
        f"the cluster has no namespace {plan.namespace}, where model stores are built",
        f"moltghost up platform.{plan.environment} makes it",
    )


def _require_same(found: Mapping[str, Any], wanted: Object, plan: WeightsJobPlan) -> None:
    """Joining a job that builds something else would end with the wrong store."""
    if _what(found) != _what(wanted):
        source = _source_of(found) or "another source"
        raise Refused(
            f"the store of {plan.model} {plan.quantization} is being built from {source}",
            f"wait until that ends, or kubectl delete job -n {plan.namespace} {plan.name} stops it",
        )


def _what(job: Mapping[str, Any]) -> str:
    annotations = job.get("metadata", {}).get("annotations", {})
    return str(annotations.get(WEIGHTS_ANNOTATION, ""))


def _source_of(job: Mapping[str, Any]) -> str:
    return str(json.loads(_what(job) or "{}").get("sha256", ""))


def _remove(client: Client, job: Object) -> None:
    """Remove a job with its pods and wait until it is gone."""
    metadata = job["metadata"]
    place = (metadata["name"], metadata["namespace"])
    client.delete(*_JOB, *place, propagation="Foreground", uid=metadata["uid"])
    deadline = time.monotonic() + _GONE_WITHIN_SECONDS
    while (there := client.get(*_JOB, *place)) and there["metadata"]["uid"] == metadata["uid"]:
        if time.monotonic() > deadline:
            raise Failed(
                f"the ended job {place[1]}/{place[0]} doesn't go away",
                f"kubectl describe job -n {place[1]} {place[0]} may say why",
            )
        time.sleep(_POLL_SECONDS)


def _newest_pod(client: Client, plan: WeightsJobPlan) -> Object | None:
    labels = {"batch.kubernetes.io/job-name": plan.name}
    pods = client.list("v1", "Pod", plan.namespace, labels=labels)
    return max(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]), default=None)


def _events(client: Client, pod: Object) -> list[Object]:
    metadata = pod["metadata"]
    fields = {"involvedObject.uid": metadata["uid"]}
    return client.list("v1", "Event", metadata["namespace"], fields=fields)


def _has_begun(pod: Object) -> bool:
    status = _status(pod)
    return bool(status.get("state", {}).keys() & {"running", "terminated"})


def _status(pod: Object) -> dict[str, Any]:
    return next((each for each in container_statuses(pod) if each["name"] == BUILD_CONTAINER), {})


def _trouble(pod: Object) -> str:
    found = ((each["name"], trouble(each)) for each in container_statuses(pod))
    return next((f"container {name} {what}" for name, what in found if what), "")


def _follow_log(client: Client, plan: WeightsJobPlan, pod: Object, stages: Stages) -> None:
    try:
        for line in client.follow_log(pod["metadata"]["name"], plan.namespace, BUILD_CONTAINER):
            stages.line(line)
    except ApiError as error:
        # The container has ended and its node with it, or it hasn't quite begun.
        stages.waiting(error.message)


def _failure(plan: WeightsJobPlan, job: Object, pod: Object | None) -> Failed:
    told = _status(pod).get("state", {}).get("terminated", {}) if pod else {}
    message = str(told.get("message", "")).strip()
    why = message or str(condition(job, "Failed").get("message", "no reason was given"))
    what, _, following = why.partition("\n")
    return Failed(
        f"building {plan.model} {plan.quantization} failed: {what}",
        following.strip() or "run the same command again: what was uploaded is kept",
    )
