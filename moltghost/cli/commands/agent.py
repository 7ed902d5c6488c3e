"""`moltghost agent`: the list of what can be done with an agent."""

from __future__ import annotations

import click

from moltghost.cli.lazy import CommandRow, LazyGroup

_COMMANDS: dict[str, CommandRow] = {
    "list": ("agents", "list_command", "List the agents of an environment."),
    "status": ("agents", "status", "Show where an agent is on its way, and why it isn't further."),
    "logs": ("agent_logs", "logs", "Print what an agent's containers wrote."),
    "chat": ("agent_chat", "chat", "Ask an agent, or talk with it."),
    "connect": ("agent_chat", "connect_command", "Offer an agent on loopback, as an OpenAI API."),
    "update": ("agents", "update", "Change what an agent runs, without a gap."),
    "scale": ("agents", "scale", "Give an agent other GPUs, without a gap."),
    "history": ("agent_operations", "history", "List what an agent ran, newest first."),
    "rollback": ("agent_operations", "rollback", "Bring back what an agent ran before."),
    "move": ("agent_operations", "move", "Move an agent to a fresh node, without a gap."),
    "pause": ("agent_operations", "pause", "Stop an agent's pods; its memory stays."),
    "resume": ("agent_operations", "resume", "Start a paused agent again."),
    "destroy": ("agents", "destroy", "Remove an agent; its data stays unless you say so."),
}


@click.command(cls=LazyGroup, commands_by_name=_COMMANDS)
def agent() -> None:
    """Talk to agents; list, update, scale, move, pause and destroy them."""
