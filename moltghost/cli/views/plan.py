"""A plan as people read it: what, on what, for how much, and what it does to what runs."""

from __future__ import annotations

from decimal import Decimal

import click

from moltghost.cli.views.tables import print_facts, print_table
from moltghost.models import instance_types
from moltghost.planning.agent import AgentPlan
from moltghost.planning.images import substitutes
from moltghost.planning.platform import PlatformPlan
from moltghost.planning.update import UpdatePlan
from moltghost.sizing.cost import HOURS_PER_MONTH
from moltghost.units import format_bytes, format_context, format_duration


def show_plan(plan: AgentPlan, update: UpdatePlan, *, interrupted: bool = False) -> None:
    """Print an agent's plan, with its price, before anything changes."""
    server, sizing = plan.model_server, plan.sizing
    placement = sizing.placement
    idle = placement.node_gpu_count - placement.gpu_count
    facts = [
        ("agent", f"{plan.agent} in {plan.environment}, owner {plan.owner}"),
        ("model", f"{server.model}"),
        ("quantization", server.quantization),
        ("context", f"{format_context(server.context)} x {server.parallel}, KV {server.kv_cache}"),
        ("runs on", placement.hardware + (f", {idle} GPUs idle" if idle else "")),
        ("GPU memory" if placement.gpu_count else "memory", _memory(plan)),
        ("instance", f"{placement.instance_type}{' (simulated)' if plan.simulated else ''}"),
        ("price", _price(plan)),
        ("load", f"about {format_duration(server.load_seconds)} from disk to memory"),
    ]
    facts += [
        ("substitute", f"{name} {each}")
        for name, each in substitutes(plan.images).items()
        if each.other_version
    ]
    facts += [("change", change) for change in update.changes]
    facts += [("restart", sentence) for sentence in update.restarts]
    if update.surge:
        facts.append(("surge", _surge(update)))
    facts += [("note", note) for note in plan.notes]
    if interrupted:
        facts.append(
            ("note", "an earlier change of this agent was interrupted; this takes its place")
        )
    print_facts(facts)


def show_price(plan: AgentPlan) -> None:
    """Print what an agent costs, and what an update of it adds while both models run."""
    second = "; a second node as long as an update runs both models"
    click.echo(f"  price: {_price(plan)}{second if plan.sizing.cost.surge_vcpu else ''}")


def _price(plan: AgentPlan) -> str:
    placement = plan.sizing.placement
    if not placement.gpu_count:
        return "nothing: this machine is there already"
    month = placement.node_usd_per_hour * HOURS_PER_MONTH
    return (
        f"{placement.node_usd_per_hour:.2f} $/h for the node ({month:,.0f} $/month), "
        f"{placement.usd_per_hour:.2f} $/h for its GPUs' share"
    )


def _memory(plan: AgentPlan) -> str:
    footprint = plan.sizing.footprint
    return (
        f"{format_bytes(footprint.total_bytes)}: weights {format_bytes(footprint.weights_bytes)}, "
        f"KV {format_bytes(footprint.kv_cache_bytes)}, "
        f"compute {format_bytes(footprint.compute_bytes)}, "
        f"overhead {format_bytes(footprint.overhead_bytes)}, "
        f"margin {format_bytes(footprint.margin_bytes)}"
    )


def _surge(update: UpdatePlan) -> str:
    surge = update.surge
    assert surge is not None  # noqa: S101 the caller looked
    if not surge.nodes:
        return "both model servers share the node while the new one loads: nothing is added"
    return (
        f"{surge.nodes} more {surge.instance_type} in pool {surge.pool} while both run: "
        f"{surge.usd_per_hour:.2f} $/h"
    )


def show_platform(plan: PlatformPlan) -> None:
    """Print an environment's pools and what they cost at most."""
    prices = {kind.type: kind.usd_per_hour or Decimal(0) for kind in instance_types().values()}
    print_table(
        ("pool", "instance types", "max nodes", "at most $/h"),
        [
            (
                pool.name,
                ", ".join(pool.instance_types),
                str(pool.max_nodes),
                f"{pool.max_nodes * max(prices[kind] for kind in pool.instance_types):.2f}",
            )
            for pool in plan.pools
        ],
        right=("max nodes", "at most $/h"),
    )
    click.echo("Every pool starts from zero nodes and costs nothing while it is empty.")
