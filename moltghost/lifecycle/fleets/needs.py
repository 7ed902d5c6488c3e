"""What a fleet's changes need of the pools, reckoned over all agents before the first changes.

Nodes of model servers are counted exactly: the plan pins their type. How many nodes the runtimes
take is Karpenter's choice among the pool's types, so that is an interval.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from moltghost.environments.needs import FleetNodes, RuntimeNeed
from moltghost.errors import Refused
from moltghost.kube.client import Client
from moltghost.kube.karpenter import pool_statuses
from moltghost.kube.pools import PoolStatus, pods_that_fit
from moltghost.lifecycle.agents.change import AgentChange
from moltghost.lifecycle.agents.room import require_room_on_machine
from moltghost.models import instance_type
from moltghost.planning.model_server import Share
from moltghost.planning.platform import PlatformPlan
from moltghost.sizing.nodes import allocatable

# A runtime's node has Kubernetes' own pods as well: kube-proxy, CNI, agents of the cluster.
_PODS_OF_THE_CLUSTER = 4


@dataclass(frozen=True, kw_only=True)
class FleetNeeds:
    """All that a fleet's changes need.

    Attributes:
        parallel: changes that run side by side, and so surges at most.
        on_machine: changes of agents on the machine's own node, which need no other.
    """

    servers: tuple[FleetNodes, ...]
    runtimes: RuntimeNeed | None
    parallel: int
    on_machine: tuple[AgentChange, ...] = ()

    @property
    def surge_usd_per_hour(self) -> Decimal:
        """Price of the nodes that are there only while updates run, at the most."""
        prices = [
            instance_type(need.instance_type).usd_per_hour or Decimal(0)
            for need in self.servers
            for _ in range(need.surge)
        ]
        return sum(sorted(prices, reverse=True)[: self.parallel], Decimal(0))


def fleet_needs(
    changes: Sequence[AgentChange], platform: PlatformPlan, client: Client, parallel: int
) -> FleetNeeds:
    """Add up what the changes need.

    Args:
        changes: what is planned.
        platform: the environment's pools.
        client: its cluster.
        parallel: how many changes run side by side.
    """
    on_machine = tuple(change for change in changes if change.plan.on_machine)
    changes = [change for change in changes if not change.plan.on_machine]
    kept, surging = _kept_nodes(changes), _surging(changes)
    servers = tuple(
        FleetNodes(
            pool=pool, instance_type=kind, kept=kept[pool, kind], surge=min(parallel, surging[key])
        )
        for key in sorted({*kept, *surging})
        for pool, kind in [key]
    )
    return FleetNeeds(
        servers=servers,
        runtimes=_runtimes(changes, platform, client),
        parallel=parallel,
        on_machine=on_machine,
    )


def _kept_nodes(changes: Iterable[AgentChange]) -> Counter[tuple[str, str]]:
    """Nodes that come to stay: of new agents, and of those that move to another pool."""
    counted: Counter[tuple[str, str]] = Counter()
    shared: dict[tuple[str, str, str, int], int] = defaultdict(int)
    for change in changes:
        place = change.plan.sizing.placement
        if not change.update.added_nodes or not _comes_to_pool(change):
            continue
        if place.dedicated:
            counted[place.pool, place.instance_type] += change.update.added_nodes
        else:
            owned = (place.pool, place.instance_type, change.plan.owner, place.node_gpu_count)
            shared[owned] += place.gpu_count
    for (pool, kind, _owner, node_gpus), gpus in shared.items():
        counted[pool, kind] += -(-gpus // node_gpus)
    return counted


def _surging(changes: Iterable[AgentChange]) -> Counter[tuple[str, str]]:
    return Counter(
        (surge.pool, surge.instance_type)
        for change in changes
        if (surge := change.update.surge) and surge.nodes and not _comes_to_pool(change)
    )


def _comes_to_pool(change: AgentChange) -> bool:
    """Whether the agent's model server was in no pool, or in another one."""
    return change.update.from_pool != change.plan.model_server.pool


def _runtimes(
    changes: Iterable[AgentChange], platform: PlatformPlan, client: Client
) -> RuntimeNeed | None:
    new = [change.plan.runtime for change in changes if change.old is None]
    if not new:
        return None
    pool, share = platform.pool(new[0].pool), new[0].share
    placed = pods_that_fit(
        client, pool.selector, cpu_millis=share.cpu_millis, memory_bytes=share.memory_bytes
    )
    left = max(0, len(new) - placed)
    per_node = [fits for kind in pool.instance_types if (fits := _pods_of(kind, share)) > 0]
    return RuntimeNeed(
        pool=pool.name,
        runtimes=len(new),
        placed=len(new) - left,
        fewest=-(-left // max(per_node, default=1)),
        most=-(-left // min(per_node, default=1)),
    )


def _pods_of(kind: str, share: Share) -> int:
    """How many pods of that share fit on an empty node."""
    node = allocatable(instance_type(kind))
    return min(
        node.cpu_millis // share.cpu_millis,
        node.memory_bytes // share.memory_bytes,
        node.pods - _PODS_OF_THE_CLUSTER,
    )


def require_room_for_fleet(needs: FleetNeeds, client: Client, environment: str) -> None:
    """Hold the needs against the pools' limits.

    Raises:
        Refused: a pool can't have that many nodes; every such pool is named.
    """
    if needs.on_machine:
        require_room_on_machine(needs.on_machine, client)
    pools, problems, surge = pool_statuses(client), [], False
    by_pool: dict[str, list[FleetNodes]] = defaultdict(list)
    for need in needs.servers:
        by_pool[need.pool].append(need)
    runtimes = needs.runtimes
    for name in (*by_pool, *((runtimes.pool,) if runtimes else ())):
        if name not in pools:
            raise Refused(
                f"environment {environment} has no pool {name} in its cluster",
                f"moltghost up {environment} creates its pools",
            )
    for name, wanted in by_pool.items():
        extra = min(needs.parallel, sum(each.surge for each in wanted))
        nodes = sum(each.kept for each in wanted) + extra
        if nodes > _room(pools[name], wanted):
            surge = surge or bool(extra)
            what = f"{nodes} more nodes" + (f", {extra} of them for surges" if extra else "")
            problems.append(_too_small(pools[name], what))
    if runtimes and runtimes.fewest > _room(pools[runtimes.pool], ()):
        what = f"{runtimes.span} more nodes for runtimes"
        problems.append(_too_small(pools[runtimes.pool], what))
    if problems:
        lines = "\n".join(f"  {each}" for each in problems)
        fewer = ", or change fewer agents at a time with --parallel" if surge else ""
        raise Refused(
            f"the fleet doesn't fit into environment {environment}, nothing was changed:\n{lines}",
            f"raise max_nodes in Pulumi.platform.{environment}.yaml, then moltghost up "
            f"{environment}{fewer}",
        )


def _room(pool: PoolStatus, wanted: Iterable[FleetNodes]) -> int:
    idle = sum(pool.idle_types.count(each.instance_type) for each in wanted)
    return max(0, pool.max_nodes - pool.nodes) + idle


def _too_small(pool: PoolStatus, what: str) -> str:
    return f"pool {pool.name}: {what} are needed; {pool.nodes} of {pool.max_nodes} are in use"
