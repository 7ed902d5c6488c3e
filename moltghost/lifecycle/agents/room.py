"""Whether the cluster has room for a change of an agent, as it is now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from moltghost.errors import Refused
from moltghost.kube.client import Client
from moltghost.kube.karpenter import pool_statuses
from moltghost.kube.pools import (
    NoRoom,
    PoolStatus,
    has_place_beside,
    require_node,
    require_room,
    require_room_for_pod,
    require_room_on_node,
)
from moltghost.lifecycle.agents.change import AgentChange
from moltghost.planning.model_server import Share


def check_room(change: AgentChange, client: Client) -> None:
    """Hold the change against the cluster as it is now.

    Raises:
        NoRoom: a pool has no room for what the change needs.
        Refused: there is no such pool or node.
    """
    server, name = change.plan.model_server, change.stack.environment
    if change.plan.on_machine:
        require_room_on_machine([change], client)
        return
    pools = pool_statuses(client)
    surge = change.update.surge
    try:
        require_room(
            _pool(pools, server.pool, name),
            0 if _fits_beside_others(change, client) else change.update.added_nodes,
            server.instance_type,
            environment=name,
            purpose="the update's surge" if surge else "the model server",
        )
    except NoRoom as full:
        way_out = "; or accept a gap with --strategy in-place" if surge else ""
        raise NoRoom(full.message, full.hint + way_out) from full
    if change.old is None:
        runtime = change.plan.runtime
        require_room_for_pod(
            client,
            _pool(pools, runtime.pool, name),
            cpu_millis=runtime.share.cpu_millis,
            memory_bytes=runtime.share.memory_bytes,
            namespace=change.plan.namespace,
            environment=name,
            purpose="the runtime",
        )


def _fits_beside_others(change: AgentChange, client: Client) -> bool:
    """Whether an agent that shares nodes finds its place on one that its owner has already."""
    plan, old = change.plan, change.old
    if plan.sharing == "dedicated" or not change.update.added_nodes:
        return False
    server = plan.model_server
    moves = old is not None and old.moves != server.moves
    return has_place_beside(
        client,
        server.scheduling.node_selector,
        owner=plan.owner,
        share=(
            sum(each.cpu_millis for each in server.shares),
            sum(each.memory_bytes for each in server.shares),
            server.gpu_count,
        ),
        but_not=plan.namespace if moves else None,
    )


def require_room_on_machine(changes: Sequence[AgentChange], client: Client) -> None:
    """The machine's own node is there, and what these changes of agents on it add fits together.

    Raises:
        NoRoom: the node is full.
        Refused: it isn't there.
    """
    first = changes[0]
    node = require_node(client, first.plan.model_server.pool, environment=first.stack.environment)
    added = [share for change in changes for share in _added_on_machine(change)]
    alone = "the update's surge" if _is_on_machine(first) else "the agent"
    require_room_on_node(
        client,
        node,
        cpu_millis=sum(share.cpu_millis for share in added),
        memory_bytes=sum(share.memory_bytes for share in added),
        purpose=alone if len(changes) == 1 else f"what the {len(changes)} agents on it add",
    )


def _is_on_machine(change: AgentChange) -> bool:
    return change.old is not None and change.old.gpu == change.plan.sizing.request.gpu


def _added_on_machine(change: AgentChange) -> list[Share]:
    """Shares of the pods that come beside what runs."""
    plan, here = change.plan, _is_on_machine(change)
    servers = list(plan.model_server.shares) if not here or change.update.surge else []
    return servers if here else [*servers, plan.runtime.share]


def _pool(pools: Mapping[str, PoolStatus], pool: str, environment: str) -> PoolStatus:
    if pool not in pools:
        raise Refused(
            f"environment {environment} has no pool {pool} in its cluster",
            f"moltghost up {environment} creates its pools",
        )
    return pools[pool]
