"""Preflight of an agent: what its environment's account says, and whether its pool has room."""

from __future__ import annotations

from moltghost.checks import Check, Status, blocker, ok, unknown
from moltghost.config import AgentSpec, StackName
from moltghost.environments.environment import Environment
from moltghost.errors import MoltghostError, Refused
from moltghost.lifecycle.agents.change import AgentChange, plan_wanted, read_wanted
from moltghost.lifecycle.agents.patch import AgentPatch
from moltghost.lifecycle.agents.room import check_room
from moltghost.lifecycle.agents.running import running_agent
from moltghost.planning.agent import AgentPlan, plan_agent


def check_agent(environment: Environment, stack: StackName) -> list[Check]:
    """Whether an agent finds what its config asks for in its environment. Changes nothing.

    Raises:
        Refused: its config isn't there or is invalid, or no pool of the environment fits.
    """
    running, doubts = _running(environment, stack)
    wanted = read_wanted(environment.project, stack, AgentPatch(), must_exist=True)
    change = plan_wanted(environment, wanted, running)
    asked = account_checks(environment, change)
    # A cluster that isn't up yet has no room to look at; an account has answers all the same.
    room = [] if doubts and asked else [_room(environment, change)]
    return [*doubts, *room, *asked]


def account_checks(environment: Environment, change: AgentChange) -> list[Check]:
    """What the environment's account says of a change; nothing where there is none to ask."""
    return environment.check_change(change.plan, change.update, _before(environment, change))


def passed(checks: list[Check]) -> list[Check]:
    """The answers, if none of them is a blocker.

    Raises:
        Refused: one is.
    """
    blockers = [check for check in checks if check.status is Status.BLOCKER]
    if blockers:
        found = "\n".join(f"  {check.id}: {check.found}" for check in blockers)
        raise Refused(
            f"preflight found what stops this:\n{found}",
            "\n".join(dict.fromkeys(check.remedy for check in blockers)),
        )
    return checks


def _running(environment: Environment, stack: StackName) -> tuple[AgentSpec | None, list[Check]]:
    """What the cluster has of the agent; a check says so if it can't be asked."""
    try:
        return running_agent(environment.client, stack), []
    except MoltghostError as error:
        why = f"what runs can't be read, so this is taken for a first deploy: {error.message}"
        return None, [unknown("agent", why, error.hint)]


def _before(environment: Environment, change: AgentChange) -> AgentPlan | None:
    try:
        return plan_agent(change.stack, change.old, environment.config) if change.old else None
    except Refused:
        # Its pool is gone from the config; then nothing can be said of what it frees.
        return None


def _room(environment: Environment, change: AgentChange) -> Check:
    name = f"pool.{change.plan.model_server.pool}"
    try:
        check_room(change, environment.client)
    except Refused as refusal:
        return blocker(name, refusal.message, refusal.hint)
    return ok(name, f"there is room for {change.plan.model_server.instance_type}")
