"""A fleet as people and machines read it: its plan, and how it ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import click

from moltghost.cli.views.tables import print_facts, print_table
from moltghost.environments.needs import RuntimeNeed
from moltghost.kube.agents import AgentStatus
from moltghost.lifecycle.agents.change import AgentChange
from moltghost.lifecycle.fleets.jobs import Outcome
from moltghost.lifecycle.fleets.plan import FleetPlan
from moltghost.sizing.cost import HOURS_PER_MONTH
from moltghost.units import format_context, format_duration

_VERBS = {"create": "deploy", "update": "update", "none": "as it is"}


def show_fleet(plan: FleetPlan, pruned: Sequence[AgentStatus], *, delete_data: bool) -> None:
    """Print every agent's plan in a row, then the price and what the pools must have."""
    print_table(
        ("agent", "", "model", "context", "GPUs", "instance", "$/h", "what changes"),
        [
            *(_row(change) for change in plan.changes),
            *(_pruned_row(each, delete_data=delete_data) for each in pruned),
        ],
        right=("$/h",),
    )
    click.echo()
    if plan.needs.servers:
        print_table(
            ("pool", "instance", "more nodes", "while updating", "vCPU", "EC2 quota"),
            [
                (
                    each.pool,
                    each.instance_type,
                    str(each.kept),
                    f"+{each.surge}" if each.surge else "",
                    str(each.vcpus),
                    each.quota,
                )
                for each in plan.needs.servers
            ],
            right=("more nodes", "while updating", "vCPU"),
        )
        click.echo()
    print_facts(_facts(plan, pruned))


def _facts(plan: FleetPlan, pruned: Sequence[AgentStatus]) -> list[tuple[str, str]]:
    before, after = plan.usd_per_hour_before, plan.usd_per_hour
    facts = [
        (
            "price",
            f"{after:,.2f} $/h for the model servers' nodes "
            f"({after * HOURS_PER_MONTH:,.0f} $/month), now {before:,.2f} $/h",
        )
    ]
    if surge := plan.needs.surge_usd_per_hour:
        facts.append(("surge", f"at most {surge:,.2f} $/h more while updates run"))
    if plan.needs.runtimes:
        facts.append(("runtimes", _runtimes(plan.needs.runtimes)))
    if plan.stores:
        facts.append(("weights", f"built first, once each: {', '.join(plan.stores)}"))
    if pruned:
        saved = sum((each.node_usd_per_hour for each in pruned), 0 * before)
        facts.append(("prune", f"{_agents(len(pruned))} destroyed: {saved:,.2f} $/h less"))
    elif plan.others:
        facts.append(
            ("others", f"{_agents(len(plan.others))} that the file doesn't have: left alone")
        )
    if any(change.plan.simulated for change in plan.changes):
        facts.append(("note", "nodes are simulated: nothing is charged"))
    return facts


def _runtimes(runtimes: RuntimeNeed) -> str:
    there = f", {runtimes.placed} find room on nodes that are there" if runtimes.placed else ""
    return f"{runtimes.runtimes} in pool {runtimes.pool}; new nodes: {runtimes.span}{there}"


def _row(change: AgentChange) -> tuple[str, ...]:
    server, place = change.plan.model_server, change.plan.sizing.placement
    return (
        change.stack.agent,
        _VERBS[change.update.action],
        f"{server.model} {server.quantization}",
        format_context(server.context),
        f"{place.gpu_count} x {place.gpu}",
        place.instance_type,
        f"{place.node_usd_per_hour:.2f}",
        _what(change),
    )


def _what(change: AgentChange) -> str:
    parts = list(change.update.changes)
    if change.update.gap_seconds:
        parts.append(f"no answers for about {format_duration(change.update.gap_seconds)}")
    if change.interrupted:
        parts.append("takes the place of an interrupted change")
    return "; ".join(parts)


def _pruned_row(status: AgentStatus, *, delete_data: bool) -> tuple[str, ...]:
    return (
        status.agent,
        "destroy",
        f"{status.model} {status.quantization}",
        format_context(status.context),
        "",
        status.node.instance_type if status.node else "",
        "0.00",
        "its memory goes, for good" if delete_data else "namespace and volume stay",
    )


def fleet_json(plan: FleetPlan, pruned: Sequence[AgentStatus]) -> dict[str, Any]:
    """The plan for machines."""
    runtimes = plan.needs.runtimes
    return {
        "environment": plan.environment.name,
        "agents": [
            {
                "agent": change.stack.agent,
                "action": change.update.action,
                "model": change.plan.model_server.model,
                "quantization": change.plan.model_server.quantization,
                "context": change.plan.model_server.context,
                "pool": change.plan.model_server.pool,
                "instance_type": change.plan.model_server.instance_type,
                "usd_per_hour": float(change.plan.sizing.placement.usd_per_hour),
                "node_usd_per_hour": float(change.plan.sizing.placement.node_usd_per_hour),
                "changes": list(change.update.changes),
                "gap_seconds": change.update.gap_seconds,
            }
            for change in plan.changes
        ],
        "destroy": [each.agent for each in pruned],
        "left_alone": [] if pruned else [each.agent for each in plan.others],
        "nodes": [
            {
                "pool": each.pool,
                "instance_type": each.instance_type,
                "nodes": each.kept,
                "surge_nodes": each.surge,
                "vcpus": each.vcpus,
                "quota": each.quota,
            }
            for each in plan.needs.servers
        ],
        "stores_to_build": list(plan.stores),
        "runtime_nodes": [runtimes.fewest, runtimes.most] if runtimes else [0, 0],
        "usd_per_hour": float(plan.usd_per_hour),
        "usd_per_hour_before": float(plan.usd_per_hour_before),
        "surge_usd_per_hour": float(plan.needs.surge_usd_per_hour),
    }


def show_outcomes(outcomes: Sequence[Outcome], unbegun: Sequence[str]) -> None:
    """Print what went wrong, and the count of everything."""
    for each in outcomes:
        if each.succeeded:
            continue
        click.secho(f"{each.agent}: {each.ending}: ", fg="red", nl=False)
        click.echo(each.message)
        if each.hint:
            click.echo(f"  hint: {each.hint}")
    for warning, count in _warnings(outcomes).items():
        click.secho(f"warning for {_agents(count)}: {warning}", fg="yellow", err=True)
    counts = Counter[str](each.ending for each in outcomes)
    if unbegun:
        counts["not begun"] = len(unbegun)
    click.echo(", ".join(f"{count} {ending}" for ending, count in counts.items()))
    if any(not each.succeeded for each in outcomes) or unbegun:
        click.echo("run the same command to continue with what is left")


def _warnings(outcomes: Sequence[Outcome]) -> Counter[str]:
    """What was warned of, and for how many agents; their own names taken out of the text."""
    return Counter(
        text.replace(f"agent-{each.agent}", "agent-NAME")
        for each in outcomes
        for text in each.warnings
    )


def _agents(count: int) -> str:
    return f"{count} agent{'' if count == 1 else 's'}"


def outcomes_json(
    environment: str, outcomes: Sequence[Outcome], unbegun: Sequence[str]
) -> dict[str, Any]:
    """How it ended, for machines."""
    return {
        "environment": environment,
        "agents": [
            {
                "agent": each.agent,
                "outcome": each.ending,
                "seconds": round(each.seconds, 1),
                "changes": each.changes,
                **(
                    {}
                    if each.succeeded
                    else {"error": {"message": each.message, "hint": each.hint}}
                ),
            }
            for each in outcomes
        ],
        "not_begun": list(unbegun),
        "failed": len([each for each in outcomes if not each.succeeded]),
    }
