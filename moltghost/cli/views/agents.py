"""Agents as people read them: a table of many, the facts of one."""

from __future__ import annotations

from moltghost.cli.views.tables import print_table
from moltghost.kube.agents import AgentStatus
from moltghost.units import format_context


def agent_facts(found: AgentStatus) -> str:
    """One agent's status, a line for each fact."""
    lines = [
        f"agent        {found.agent} in {found.environment}, owner {found.owner}",
        f"model        {found.model} {found.quantization}, context {format_context(found.context)}",
        f"stage        {found.stage}{' (the old model serves)' if found.updating else ''}",
        f"ready        {'yes' if found.ready else 'no'}",
        f"node         {_node_name(found) or 'none yet'}",
        f"type         {found.node.instance_type if found.node else ''}",
        f"price        {found.node_usd_per_hour} $/h for the node, "
        f"{found.usd_per_hour} $/h for its GPUs' share",
    ]
    if found.detail:
        lines.append(f"progress     {found.detail}")
    if found.reason:
        lines.append(f"reason       {found.reason}")
    return "\n".join(lines)


def print_agents(found: list[AgentStatus]) -> None:
    """Print a table, one agent a row."""
    print_table(
        ("agent", "model", "context", "stage", "ready", "type", "$/h", "node"),
        [
            (
                each.agent,
                f"{each.model} {each.quantization}",
                format_context(each.context),
                f"{each.stage}{' (updating)' if each.updating else ''}",
                "yes" if each.ready else "no",
                each.node.instance_type if each.node else "",
                f"{each.node_usd_per_hour:.2f}",
                _place(each),
            )
            for each in found
        ],
        right=("$/h",),
    )


def _place(found: AgentStatus) -> str:
    """Where it runs, short: the name of a simulated node says nothing that `status` doesn't."""
    return "simulated" if found.node and found.node.simulated else _node_name(found)


def _node_name(found: AgentStatus) -> str:
    if not found.node:
        return ""
    return f"{found.node.name}{' (simulated)' if found.node.simulated else ''}"
