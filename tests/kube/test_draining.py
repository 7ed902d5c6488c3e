"""Pools go first, and the wait ends when the last machine has, or says what it waits for."""

from __future__ import annotations

from typing import Any, cast

import pytest

from moltghost.errors import Failed
from moltghost.kube.client import Client
from moltghost.kube.draining import drain_pools
from moltghost.kube.errors import UnknownKind
from moltghost.progress import Event
from tests.kube.clusters import condition

OURS = {"app.kubernetes.io/managed-by": "moltghost"}


def claim(name: str, *conditions: dict[str, str], node: str = "") -> dict[str, Any]:
    return {
        "kind": "NodeClaim",
        "metadata": {"name": name, "labels": {"karpenter.sh/nodepool": "h100"}},
        "status": {"conditions": list(conditions), **({"nodeName": node} if node else {})},
    }


class Karpenter:
    """A cluster whose NodeClaims end after some looks, once their pool has been deleted."""

    def __init__(self, claims: list[list[dict[str, Any]]]) -> None:
        self.claims, self.deleted = claims, list[str]()

    def list(self, _api: str, kind: str, **_: Any) -> list[dict[str, Any]]:
        if kind == "NodePool":
            return [{"metadata": {"name": each}} for each in ("h100", "cpu")]
        return self.claims.pop(0) if len(self.claims) > 1 else self.claims[0]

    def delete(self, _api: str, kind: str, name: str, *, propagation: str) -> bool:
        assert (kind, propagation) == ("NodePool", "Foreground")
        self.deleted.append(name)
        return True


def drain(cluster: Karpenter, seconds: float = 60) -> tuple[list[str], list[Event]]:
    events: list[Event] = []
    nodes = drain_pools(
        cast("Client", cluster),
        events.append,
        timeout_seconds=seconds,
        sleep=lambda _seconds: None,
    )
    return nodes, events


def test_pools_are_deleted_and_their_nodes_waited_for() -> None:
    leaving = claim("h100-a", node="ip-10-40-0-9")
    drained = claim("h100-a", condition("Drained", "True"), node="ip-10-40-0-9")
    cluster = Karpenter([[leaving], [leaving], [drained], []])
    nodes, events = drain(cluster)
    assert cluster.deleted == ["h100", "cpu"]
    assert nodes == ["ip-10-40-0-9"]
    said = [event.detail for event in events]
    assert "1 node is left; ip-10-40-0-9 waits for its pods to end" in said
    assert "1 node is left; ip-10-40-0-9 waits for its volumes" in said
    assert (events[-1].state, events[-1].detail) == ("done", "1 nodes given back")


def test_a_claim_that_never_became_a_node_is_waited_for_too() -> None:
    nodes, _ = drain(Karpenter([[claim("h100-b")], [claim("h100-b")], []]))
    assert nodes == ["h100-b"]


def test_nodes_that_stay_are_named_with_what_they_wait_for() -> None:
    done = [condition(kind, "True") for kind in ("Drained", "VolumesDetached")]
    cluster = Karpenter([[claim("h100-a", node="n1"), claim("h100-b", *done, node="n2")]])
    with pytest.raises(Failed, match="2 nodes are still there after 0 minutes, and cost") as failed:
        drain(cluster, seconds=0)
    assert "n1 waits for its pods to end" in failed.value.message
    assert "n2 waits for the machine" in failed.value.message
    assert "kubectl describe nodeclaim h100-a" in failed.value.hint


def test_a_cluster_without_karpenter_has_nothing_to_drain() -> None:
    class Bare(Karpenter):
        def list(self, _api: str, kind: str, **_: Any) -> list[dict[str, Any]]:
            raise UnknownKind(f"no {kind}")

    assert drain(Bare([[]]))[0] == []
