"""Gives back every node of an environment: its pools go first, and Karpenter drains what they have.

A NodePool that is deleted takes its NodeClaims with it, and a NodeClaim goes only when its machine
has. Whatever removes Karpenter before that leaves machines that nobody ends.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from moltghost.errors import Failed
from moltghost.kube.client import Client
from moltghost.kube.errors import UnknownKind
from moltghost.kube.pod_diagnosis import LiveObject, condition
from moltghost.labels import MANAGED_BY, MANAGED_BY_LABEL
from moltghost.planning.karpenter import API_VERSION, NODE_POOL_LABEL
from moltghost.progress import Event, Report

_OURS = {MANAGED_BY_LABEL: MANAGED_BY}
_PAUSE_SECONDS = 2.0
TASK = "drain pools"


def drain_pools(
    client: Client,
    report: Report,
    *,
    timeout_seconds: float,
    sleep: Callable[[float], None] = time.sleep,
) -> list[str]:
    """Delete the pools and wait until no node of theirs is left. Can be repeated.

    Args:
        client: the environment's cluster.
        report: told how many nodes are left, and what the first of them waits for.
        timeout_seconds: at least the pools' ``terminationGracePeriod``, which ends what clings.
        sleep: waits between two looks.

    Returns:
        Names of the nodes that were given back.

    Raises:
        Failed: nodes are left when the time is up; they still cost.
    """
    try:
        pools = [
            each["metadata"]["name"] for each in client.list(API_VERSION, "NodePool", labels=_OURS)
        ]
    except UnknownKind:
        return []  # Karpenter never came here, and so no node of a pool
    claims = _claims(client)
    report(Event(task=TASK, state="started", detail=_left(claims)))
    for pool in pools:
        client.delete(API_VERSION, "NodePool", pool, propagation="Foreground")
    seen = {name(each) for each in claims}
    deadline = time.monotonic() + timeout_seconds
    while claims := _claims(client):
        seen |= {name(each) for each in claims}
        if time.monotonic() >= deadline:
            report(Event(task=TASK, state="failed", detail=_left(claims)))
            raise _stuck(claims, timeout_seconds)
        report(Event(task=TASK, state="running", detail=_left(claims)))
        sleep(_PAUSE_SECONDS)
    report(Event(task=TASK, state="done", detail=f"{len(seen)} nodes given back"))
    return sorted(seen)


def name(claim: LiveObject) -> str:
    """The node of a NodeClaim, or the claim itself while it has none."""
    return str(claim.get("status", {}).get("nodeName") or claim["metadata"]["name"])


def _claims(client: Client) -> list[LiveObject]:
    """All NodeClaims of the cluster, also of a pool that is gone already."""
    return [
        each
        for each in client.list(API_VERSION, "NodeClaim")
        if NODE_POOL_LABEL in each["metadata"].get("labels", {})
    ]


def _left(claims: list[LiveObject]) -> str:
    if not claims:
        return "no node is there"
    word = "node is" if len(claims) == 1 else "nodes are"
    return f"{len(claims)} {word} left; {name(claims[0])} {_waits_for(claims[0])}"


def _waits_for(claim: LiveObject) -> str:
    """Karpenter's conditions of a NodeClaim that goes: drained, then volumes, then the machine."""
    steps = (
        ("Drained", "waits for its pods to end"),
        ("VolumesDetached", "waits for its volumes"),
        ("InstanceTerminating", "waits for the machine"),
    )
    for kind, text in steps:
        if condition(claim, kind).get("status") != "True":
            return text
    return "is ending"


def _stuck(claims: list[LiveObject], seconds: float) -> Failed:
    lines = "\n".join(f"  {name(each)} {_waits_for(each)}" for each in claims)
    first = claims[0]["metadata"]["name"]
    return Failed(
        f"{len(claims)} nodes are still there after {seconds / 60:.0f} minutes, and cost:\n{lines}",
        f"kubectl describe nodeclaim {first} says why; run the same command again to continue",
    )
