"""What a change of an agent does before it does it: what restarts, what it needs, what it gaps.

Why: docs/decisions/0003.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal

from moltghost.config import AgentSpec, EnvironmentConfig, StackName
from moltghost.errors import Refused
from moltghost.planning.agent import AgentPlan, plan_agent
from moltghost.planning.base import Plan
from moltghost.planning.images import substitutes
from moltghost.planning.karpenter import CONSOLIDATE_AFTER_SECONDS
from moltghost.planning.model_server import NODE_READY_SECONDS
from moltghost.units import format_context, format_duration


class Surge(Plan):
    """What has to be there beside the old model server until the new one is proven."""

    pool: str
    instance_type: str
    nodes: int
    """Nodes that have to be added, of shared ones at the most; 0 where the old node has room."""
    usd_per_hour: Decimal
    """Price of the added nodes while both run."""


class UpdatePlan(Plan):
    """The difference between what runs and what is planned, as consequences."""

    action: Literal["create", "update", "none"]
    strategy: Literal["surge", "in-place"]
    changes: tuple[str, ...]
    restarts: tuple[str, ...]
    """One sentence for each pod that is replaced, with how long that takes."""
    surge: Surge | None
    added_nodes: int
    """Nodes of the new plan's type that its pool must have room for before anything stops."""
    started_nodes: int
    """Nodes of the new plan's type that the cloud has to have: those, and in place one of another
    type, which comes when the old one has gone."""
    gap_seconds: int
    """Predicted time without an answering model; 0 with a surge."""
    from_pool: str | None
    """The pool of the model server that runs; None where none does."""


def plan_change(
    stack: StackName, old: AgentSpec | None, new: AgentSpec, environment: EnvironmentConfig
) -> tuple[AgentPlan, UpdatePlan]:
    """The plan of ``new`` and what going there from ``old`` does.

    An old config that today's environment has no place for (its pool is gone, say) counts as none:
    going away from it must stay possible.

    Raises:
        Refused: ``new`` can't be planned.
    """
    plan = plan_agent(stack, new, environment)
    try:
        before = plan_agent(stack, old, environment) if old else None
    except Refused:
        before = None
    return plan, plan_update(before, plan)


def plan_json(plan: AgentPlan, update: UpdatePlan) -> dict[str, Any]:
    """``moltghost plan --json``: the keys that scripts rely on, then the whole plan."""
    return {
        "stack": plan.stack,
        "environment": plan.environment,
        "agent": plan.agent,
        "simulated": plan.simulated,
        "sizing": plan.sizing.to_json(),
        "update": update.model_dump(mode="json"),
        "notes": list(plan.notes),
        "substitutes": {name: each.model_dump() for name, each in substitutes(plan.images).items()},
        "plan": plan.model_dump(mode="json", exclude={"sizing", "notes"}),
    }


def plan_update(old: AgentPlan | None, new: AgentPlan) -> UpdatePlan:
    """Say what going from ``old`` to ``new`` does. ``old`` is None for the first deploy."""
    strategy = new.strategy
    if old is None:
        return UpdatePlan(
            action="create",
            strategy=strategy,
            changes=(),
            restarts=(),
            surge=None,
            added_nodes=1,
            started_nodes=1,
            gap_seconds=0,
            from_pool=None,
        )
    # Tokens and labels, which name the owner, are on both pods.
    both_change = old.rotation != new.rotation or old.labels != new.labels
    server_changes = old.model_server != new.model_server or both_change
    runtime_changes = old.runtime != new.runtime or both_change
    action: Literal["update", "none"] = "update" if old != new else "none"
    if _paused(old) or _paused(new):
        return UpdatePlan(
            action=action,
            strategy=strategy,
            changes=tuple(_changes(old, new)),
            restarts=(_pause_or_resume(old, new),),
            surge=None,
            added_nodes=0 if _paused(new) else 1,
            started_nodes=0 if _paused(new) else 1,
            gap_seconds=0,
            from_pool=None if _paused(old) else old.model_server.pool,
        )
    surge = _surge(old, new) if server_changes and strategy == "surge" else None
    gap = _gap_seconds(old, new) if server_changes and strategy == "in-place" else 0
    other_type = old.model_server.instance_type != new.model_server.instance_type
    return UpdatePlan(
        action=action,
        strategy=strategy,
        changes=tuple(_changes(old, new)),
        restarts=tuple(_restarts(new, server_changes, runtime_changes, gap)),
        surge=surge,
        added_nodes=surge.nodes if surge else int(old.model_server.pool != new.model_server.pool),
        started_nodes=surge.nodes if surge else int(other_type),
        gap_seconds=gap,
        from_pool=old.model_server.pool,
    )


def _paused(plan: AgentPlan) -> bool:
    return plan.model_server.replicas == 0


def _pause_or_resume(old: AgentPlan, new: AgentPlan) -> str:
    if not _paused(new):
        load = new.sizing.load
        seconds = load.download_seconds + load.verify_seconds + load.load_seconds
        return (
            f"both pods start: answers about {format_duration(seconds)} after their node is there"
        )
    if _paused(old):
        return "it stays paused; this takes effect with moltghost agent resume"
    return "both pods stop, streams are finished first: no answers until moltghost agent resume"


def _changes(old: AgentPlan, new: AgentPlan) -> list[str]:
    rows = (
        ("model", _model(old), _model(new)),
        ("context", *(format_context(plan.model_server.context) for plan in (old, new))),
        ("requests side by side", *(str(plan.model_server.parallel) for plan in (old, new))),
        ("KV cache", old.model_server.kv_cache, new.model_server.kv_cache),
        ("GPUs", old.sizing.placement.hardware, new.sizing.placement.hardware),
        ("node", old.model_server.instance_type, new.model_server.instance_type),
        ("sharing of nodes", old.sharing, new.sharing),
        ("owner", old.owner, new.owner),
        ("token rotation", str(old.rotation), str(new.rotation)),
        ("moves", str(old.model_server.moves), str(new.model_server.moves)),
        ("running", *("no" if _paused(plan) else "yes" for plan in (old, new))),
    )
    return [f"{what}: {before} -> {after}" for what, before, after in rows if before != after]


def _model(plan: AgentPlan) -> str:
    return f"{plan.model_server.model} {plan.model_server.quantization}"


def _restarts(new: AgentPlan, server: bool, runtime: bool, gap: int) -> list[str]:
    sentences = []
    if server and gap:
        sentences.append(
            f"the model server stops first: no answers for about {format_duration(gap)}"
        )
    elif server:
        sentences.append(
            "a new model server is started, loaded and proven before the old one drains: no gap"
        )
    if runtime:
        sentences.append(
            "the runtime restarts (its config, token or labels change): "
            "10-20 s without new requests; its memory is on its volume"
        )
    elif server:
        sentences.append("the runtime keeps running")
    return sentences


def _surge(old: AgentPlan, new: AgentPlan) -> Surge:
    placement = new.sizing.placement
    # Anti-affinity is against other agents only, so the new pod may use free GPUs of the old node.
    # On a shared one the owner's other agents may have them, which no plan knows.
    alone = old.sharing == new.sharing == "dedicated"
    moved = old.model_server.moves != new.model_server.moves and new.model_server.fresh_node
    shares_node = (
        alone
        and not moved
        and old.model_server.instance_type == placement.instance_type
        and old.model_server.gpu_count + placement.gpu_count <= placement.node_gpu_count
    )
    nodes = 0 if shares_node else 1
    return Surge(
        pool=placement.pool,
        instance_type=placement.instance_type,
        nodes=nodes,
        usd_per_hour=nodes * placement.node_usd_per_hour,
    )


def _gap_seconds(old: AgentPlan, new: AgentPlan) -> int:
    """Drain, then copy and load; where the type changes, a node has to go and another to come."""
    same_node = old.model_server.instance_type == new.model_server.instance_type
    return round(
        new.model_server.drain_seconds
        + (0 if same_node else CONSOLIDATE_AFTER_SECONDS + NODE_READY_SECONDS / 3)
        + new.sizing.load.download_seconds
        + new.sizing.load.verify_seconds
        + new.sizing.load.load_seconds
    )
