"""Every agent of an environment to a fresh node, one after the other.

The way to bring a new AMI or Kubernetes version to running agents: each is moved as `agent move`
does it, so each has its surge, its proof and its way back, and never two at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from moltghost.config import StackName
from moltghost.engines.interface import Engine
from moltghost.environments.environment import Environment
from moltghost.errors import Failed, Interrupted, MoltghostError, Refused
from moltghost.kube.agents import list_agents
from moltghost.lifecycle.agents.apply import carry_out
from moltghost.lifecycle.agents.operations import move_values
from moltghost.lifecycle.agents.prepare import AgentChange, check, propose, running_agent
from moltghost.progress import Report


def plan_roll(environment: Environment, *, begin_with: str | None = None) -> list[AgentChange]:
    """The moves of an environment's agents, by name; paused ones are on no node.

    Args:
        environment: theirs.
        begin_with: leave out the agents before this one, which an earlier roll has moved.

    Raises:
        Refused: there is nothing to move, or an agent's move can't be planned.
    """
    names = [each.agent for each in list_agents(environment.client) if each.stage != "paused"]
    if begin_with is not None:
        if begin_with not in names:
            raise Refused(
                f"there is no running agent {begin_with} in {environment.name} to begin with",
                "moltghost agent list shows what there is",
            )
        names = names[names.index(begin_with) :]
    if not names:
        raise Refused(
            f"no agent runs in {environment.name}: there is nothing to move",
            "moltghost agent list shows what there is",
        )
    return [move_of(environment, StackName.of_agent(name, environment.name)) for name in names]


def move_of(environment: Environment, stack: StackName) -> AgentChange:
    """One agent's move, as things are now.

    Raises:
        Refused: it isn't deployed, is paused, or can't be planned.
    """
    running = running_agent(environment.client, stack)
    values = move_values(running, stack)
    return propose(environment, stack, values, running=running, must_exist=True)


def roll(
    environment: Environment,
    moves: Sequence[AgentChange],
    engine_for: Callable[[Path], Engine],
    report: Report,
    done: Callable[[str], None],
) -> None:
    """Move one agent after the other, and stop at the first that can't be moved.

    Args:
        environment: theirs.
        moves: as `plan_roll` gave them; each is planned again when its turn comes.
        engine_for: makes the engine, anew for each agent.
        report: progress of the one that is being moved.
        done: called with the name of each agent that was moved.

    Raises:
        Refused: the very first can't be moved; nothing has changed.
        Failed: another can't; those before it have been moved.
    """
    for number, planned in enumerate(moves):
        name = planned.stack.agent
        try:
            change = move_of(environment, planned.stack)
            check(change, environment.client)
            carry_out(change, engine_for(environment.project), report)
        except Interrupted:
            raise
        except MoltghostError as error:
            if number == 0:
                raise
            raise Failed(
                f"{number} of {len(moves)} agents were moved; then {name}: {error.message}",
                f"{error.hint + '; then ' if error.hint else ''}moltghost environment roll "
                f"{planned.stack.environment} --from {name} goes on",
            ) from error
        done(name)
