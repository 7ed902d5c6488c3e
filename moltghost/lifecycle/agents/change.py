"""A change of an agent, planned: from its files and a patch to what it does to what runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from moltghost.config import AgentSpec, ModelSpec, StackName, read_agent, stack_file
from moltghost.environments.environment import Environment
from moltghost.errors import Refused
from moltghost.lifecycle.agents.patch import AgentPatch
from moltghost.lifecycle.agents.stack_files import pending_file
from moltghost.planning.agent import AgentPlan
from moltghost.planning.update import UpdatePlan, plan_change


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What an agent is to be, by its files and a patch; no cluster was asked.

    Attributes:
        stack: the agent's.
        spec: the config that it is to have.
        base: the config as it was read; None for a new agent.
        interrupted: an earlier change of this agent never ended; this one takes its place.
        taken_up: it is that earlier change itself.
    """

    stack: StackName
    spec: AgentSpec
    base: AgentSpec | None
    interrupted: bool
    taken_up: bool


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


def read_wanted(
    project: Path, stack: StackName, patch: AgentPatch, *, must_exist: bool = False
) -> Wanted:
    """Read what an agent is to be. Without a patch, an interrupted change is taken up again.

    Args:
        project: folder with ``Pulumi.yaml``.
        stack: the agent's stack.
        patch: what is to change.
        must_exist: refuse an agent that has no config yet.

    Raises:
        Refused: the agent isn't there, or a value is invalid.
    """
    pending = pending_file(project, stack)
    exists, interrupted = stack_file(project, stack).is_file(), pending.is_file()
    # An interrupted first deploy has no config yet.
    if must_exist and not (exists or interrupted):
        raise no_such_agent(stack)
    base = read_agent(project, stack) if exists else None
    taken_up = interrupted and patch.empty
    return Wanted(
        stack=stack,
        spec=read_agent(project, stack, pending) if taken_up else patch.over(base, stack),
        base=base,
        interrupted=interrupted,
        taken_up=taken_up,
    )


def plan_wanted(environment: Environment, wanted: Wanted, running: AgentSpec | None) -> AgentChange:
    """Plan what an agent is to be, from what runs. Changes nothing.

    Args:
        environment: the agent's.
        wanted: what it is to be.
        running: what the cluster has of it (`running_agent`), None if nothing.

    Raises:
        Refused: nothing fits.
    """
    new = wanted.spec
    if running and not wanted.taken_up:
        new = new.model_copy(update={"previous": _previous(running, new)})
    plan, update = plan_change(wanted.stack, running, new, environment.config)
    return AgentChange(
        project=environment.project,
        stack=wanted.stack,
        old=running,
        new=new,
        base=wanted.base,
        plan=plan,
        update=update,
        interrupted=wanted.interrupted,
    )


def plan_as_written(environment: Environment, stack: StackName) -> AgentChange:
    """Plan an agent as its files say, without asking a cluster.

    Raises:
        Refused: the agent isn't there, its config is invalid, or nothing fits.
    """
    wanted = read_wanted(environment.project, stack, AgentPatch(), must_exist=True)
    return plan_wanted(environment, wanted, None)


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
