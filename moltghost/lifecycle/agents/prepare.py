"""A change of an agent before it is made: planned, then held against the cluster."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moltghost.config import (
    AgentSpec,
    ModelSpec,
    StackName,
    parse_spec,
    read_agent,
    stack_file,
)
from moltghost.environments.environment import Environment
from moltghost.errors import Refused
from moltghost.kube.agents import AgentStatus, list_agents
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
from moltghost.labels import SPEC_ANNOTATION
from moltghost.lifecycle.agents.stack_files import (
    pending_file,
)
from moltghost.planning.agent import AgentPlan
from moltghost.planning.model_server import Share
from moltghost.planning.update import UpdatePlan, plan_change

# What `agent update` and `agent scale` may leave to the sizing again.
AUTO = "auto"


@dataclass(frozen=True, kw_only=True)
class AgentChange:
    """A change of one agent that was planned and not yet made."""

    project: Path
    stack: StackName
    old: AgentSpec | None
    new: AgentSpec
    base: AgentSpec | None
    """The config as it was read; it may differ from ``old``, which the cluster has."""
    plan: AgentPlan
    update: UpdatePlan
    interrupted: bool
    """An earlier change of this agent never ended; this one takes its place."""


def propose(
    environment: Environment,
    stack: StackName,
    values: Mapping[str, Any],
    *,
    running: AgentSpec | None,
    must_exist: bool = False,
) -> AgentChange:
    """Plan what ``values`` over the agent's present config would mean. Changes nothing.

    Args:
        environment: the agent's.
        stack: the agent's stack.
        values: fields of `AgentSpec`; None leaves a field as it is, ``auto`` resets it. Without
            any, an interrupted change is taken up again.
        running: what the cluster has of the agent (`running_spec`), None if nothing.
        must_exist: refuse an agent that has no config yet.

    Raises:
        Refused: the agent isn't there, a value is invalid, or nothing fits.
    """
    project = environment.project
    pending = pending_file(project, stack)
    exists = stack_file(project, stack).is_file()
    # An interrupted first deploy has no config yet.
    if must_exist and not (exists or pending.is_file()):
        raise no_such_agent(stack)
    current = read_agent(project, stack) if exists else None
    if pending.is_file() and not any(values.values()):
        new = read_agent(project, stack, pending)
    else:
        new = _merged(stack, current, values)
        if running:
            new = new.model_copy(update={"previous": _previous(running, new)})
    plan, update = plan_change(stack, running, new, environment.config)
    return AgentChange(
        project=project,
        stack=stack,
        old=running,
        new=new,
        base=current,
        plan=plan,
        update=update,
        interrupted=pending.is_file(),
    )


def _previous(running: AgentSpec, new: AgentSpec) -> ModelSpec | None:
    """What ran before ``new`` did, or will have."""
    if running.model_part != new.model_part:
        return running.model_part
    # It runs already; a change that was killed before its config was written left this to say.
    return new.previous or running.previous


def no_such_agent(stack: StackName) -> Refused:
    """The error for a name that no agent has."""
    return Refused(
        f"there is no agent {stack.agent} in {stack.environment}",
        f"moltghost deploy {stack.agent} --model MODEL creates it; "
        "moltghost agent list shows what is there",
    )


def running_agent(client: Client, stack: StackName) -> AgentSpec | None:
    """What the cluster has of an agent (`running_spec`), None if nothing.

    Raises:
        Refused: it can't be read.
    """
    return next((running_spec(each, stack) for each in list_agents(client, stack.agent)), None)


def running_spec(status: AgentStatus, stack: StackName) -> AgentSpec:
    """The config that an agent was last applied with, as the cluster keeps it.

    Raises:
        Refused: it can't be read: another version of MoltGhost wrote it, or a hand.
    """
    place = f"annotation {SPEC_ANNOTATION} of Deployment model-server of agent {stack.agent}"
    try:
        spec = parse_spec(json.loads(status.spec), stack, where="the cluster")
    except (ValueError, Refused) as error:
        why = error.message if isinstance(error, Refused) else f"it is no JSON: {error}"
        raise Refused(
            f"{place} can't be read, so what runs isn't known; {why}",
            "another version of moltghost wrote it: use that one; or start the agent anew, with a "
            f"gap and with its memory: moltghost agent destroy {stack.agent}, then "
            f"moltghost up {stack}",
        ) from error
    assert isinstance(spec, AgentSpec)  # noqa: S101 the stack's name says so
    return spec


def _merged(stack: StackName, current: AgentSpec | None, values: Mapping[str, Any]) -> AgentSpec:
    """``values`` over the present config."""
    merged = current.as_written() if current else {"kind": "agent"}
    if any(values.values()):
        # A strategy is how one change is made, not a trait of the agent.
        merged.pop("strategy", None)
    for key, value in values.items():
        if value == AUTO:
            merged.pop(key, None)
        elif value is not None:
            merged[key] = value
    spec = parse_spec(merged, stack, where="the command's options")
    assert isinstance(spec, AgentSpec)  # noqa: S101 the kind is set above
    return spec


def check(change: AgentChange, client: Client) -> None:
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
