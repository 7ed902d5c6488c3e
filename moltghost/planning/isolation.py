"""The plan of an agent's walls: what its namespace may use, where its pods may run."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from moltghost.planning.base import Plan
from moltghost.planning.environment import WeightsStore
from moltghost.planning.model_server import ModelServerPlan, Share
from moltghost.planning.runtime import RuntimePlan

# Pods at most: the model server before and after an update, the runtime, and the one of these
# that is still terminating.
_MAX_PODS = 4
_MAX_VOLUMES = 1
_CONTAINER_DEFAULT = {"cpu": "100m", "memory": "128Mi", "ephemeral-storage": "64Mi"}


class IsolationPlan(Plan):
    """Quota and limits of one agent's namespace, and the nodes that it is pinned to."""

    quota: dict[str, str]
    """``hard`` of the ResourceQuota; room for the model server before and after an update."""
    container_max: dict[str, str]
    container_default: dict[str, str]
    """Requests of a container that names none; its limits are the same but for the CPU."""
    volume_max_bytes: int
    pools: tuple[str, ...]
    instance_types: tuple[str, ...]
    """Types of the plan and of the one before it, for GPU pods."""
    weights_egress_cidrs: tuple[str, ...]
    weights_port: int


def plan_isolation(
    server: ModelServerPlan,
    before: ModelServerPlan | None,
    runtime: RuntimePlan,
    store: WeightsStore,
) -> IsolationPlan:
    """Decide the walls: ``before`` and ``server``, and two of ``server``, fit inside at once."""
    other = before or server

    def both(measure: Callable[[ModelServerPlan], int]) -> int:
        return measure(server) + max(measure(server), measure(other))

    def shares(measure: Callable[[Share], int]) -> int:
        return both(lambda each: sum(map(measure, each.shares))) + measure(runtime.share)

    cpu = shares(lambda share: share.cpu_millis)
    memory = shares(lambda share: share.memory_bytes)
    ephemeral = shares(lambda share: share.ephemeral_bytes)
    largest = max(each.ollama_share.memory_bytes for each in (server, other))
    return IsolationPlan(
        quota={
            "pods": str(_MAX_PODS),
            "requests.cpu": f"{cpu}m",
            "requests.memory": str(memory),
            "limits.memory": str(memory),
            "requests.ephemeral-storage": str(ephemeral),
            "limits.ephemeral-storage": str(ephemeral),
            "requests.nvidia.com/gpu": str(both(lambda each: each.gpu_count)),
            "persistentvolumeclaims": str(_MAX_VOLUMES),
            "requests.storage": str(_MAX_VOLUMES * runtime.volume_bytes),
            "services.loadbalancers": "0",
            "services.nodeports": "0",
        },
        container_max={"memory": str(max(largest, runtime.share.memory_bytes))},
        container_default=_CONTAINER_DEFAULT,
        volume_max_bytes=runtime.volume_bytes,
        pools=_distinct((server.pool, other.pool, runtime.pool)),
        instance_types=_distinct((server.instance_type, other.instance_type)),
        weights_egress_cidrs=store.egress_cidrs,
        weights_port=store.port,
    )


def _distinct(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))
