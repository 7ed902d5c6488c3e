"""Every agent of a project in an environment to a fresh node, one after the other.

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
from moltghost.kube.agents import AgentStatus, list_agents
from moltghost.lifecycle.agents.apply import apply
from moltghost.lifecycle.agents.change import AgentChange, plan_wanted, read_wanted
from moltghost.lifecycle.agents.operations import move_patch
from moltghost.lifecycle.agents.prepare import Prepared, prepare
from moltghost.lifecycle.agents.project import own
from moltghost.lifecycle.agents.running import running_agent, running_spec
from moltghost.progress import Report
from moltghost.project import read_project


def plan_roll(environment: Environment, *, begin_with: str | None = None) -> list[AgentChange]:
    """The moves of the project's agents in an environment, by name; paused ones are on no node.

    Args:
        environment: theirs.
        begin_with: leave out the agents before this one, which an earlier roll has moved.

    Raises:
        Refused: there is nothing to move, or an agent's move can't be planned.
    """
    agents = {
        each.agent: each for each in own(list_agents(environment.client), environment.project)
    }
    names = [name for name, each in agents.items() if each.stage != "paused"]
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
    return [_planned(environment, agents[name]) for name in names]


def of_others(environment: Environment) -> list[str]:
    """The agents that a roll leaves alone, each with the project that has it."""
    name = read_project(environment.project).name
    return [
        f"{each.agent} ({each.project or 'of no project'})"
        for each in list_agents(environment.client)
        if each.project != name
    ]


def _planned(environment: Environment, status: AgentStatus) -> AgentChange:
    stack = StackName.of_agent(status.agent, environment.name)
    running = running_spec(status, stack)
    patch = move_patch(running, stack)
    wanted = read_wanted(environment.project, stack, patch, must_exist=True)
    return plan_wanted(environment, wanted, running)


def prepare_move(environment: Environment, stack: StackName) -> Prepared:
    """One agent's move, as things are now.

    Raises:
        Refused: it isn't deployed, is paused, or its move can't be prepared.
    """
    patch = move_patch(running_agent(environment.client, stack), stack)
    return prepare(environment, stack, patch, must_exist=True)


def roll(
    environment: Environment,
    moves: Sequence[AgentChange],
    engine_for: Callable[[Path], Engine],
    report: Report,
    *,
    look: Callable[[Prepared], None],
    done: Callable[[str], None],
) -> None:
    """Move one agent after the other, and stop at the first that can't be moved.

    Args:
        environment: theirs.
        moves: as `plan_roll` gave them; each is planned again when its turn comes.
        engine_for: makes the engine, anew for each agent.
        report: progress of the one that is being moved.
        look: called with each move before it is made, as things are then.
        done: called with the name of each agent that was moved.

    Raises:
        Refused: the very first can't be moved; nothing has changed.
        Failed: another can't; those before it have been moved.
    """
    for number, planned in enumerate(moves):
        name = planned.stack.agent
        try:
            prepared = prepare_move(environment, planned.stack)
            look(prepared)
            apply(environment, prepared, engine_for(environment.project), report)
        except Interrupted:
            raise
        except MoltghostError as error:
            if number == 0:
                raise
            raise Failed(
                f"{number} of {len(moves)} agents were moved; then {name}: {error.message}",
                f"{error.hint + '; then ' if error.hint else ''}moltghost environment roll "
                f"{planned.stack.environment} --from {name} continues",
            ) from error
        done(name)
