"""Preflight of an environment, or of an agent in it, wherever the environment is."""

from __future__ import annotations

from pathlib import Path

from moltghost.aws.cost import EnvironmentCost, environment_cost
from moltghost.aws.preflight import preflight
from moltghost.aws.prices import prices_at_hand
from moltghost.checks import Check, Status, blocker, ok, unknown, warning
from moltghost.config import AgentSpec, AwsCloudSpec, EnvironmentConfig, StackName, read_environment
from moltghost.errors import MoltghostError, Refused
from moltghost.kube.agents import list_agents
from moltghost.kube.karpenter import pool_statuses
from moltghost.kube.pools import PoolStatus
from moltghost.lifecycle.agents.prepare import AgentChange, check, propose, running_spec
from moltghost.lifecycle.environments import connect
from moltghost.lifecycle.fleets.plan import FleetPlan
from moltghost.lifecycle.preflight_request import (
    agent_request,
    environment_request,
    fleet_request,
)
from moltghost.planning.agent import AgentPlan, plan_agent


def check_environment(project: Path, name: str) -> list[Check]:
    """Whether an environment can come up as its config says. Changes nothing.

    Raises:
        Refused: its config isn't there or is invalid.
    """
    environment = read_environment(project, name)
    if isinstance(environment.cloud, AwsCloudSpec):
        return preflight(environment_request(environment))
    return _pools(project, environment)


def check_agent(project: Path, stack: StackName) -> list[Check]:
    """Whether an agent finds what its config asks for in its environment. Changes nothing.

    Raises:
        Refused: a config isn't there or is invalid, or no pool of the environment fits.
    """
    environment = read_environment(project, stack.environment)
    running, doubts = _running(project, stack)
    change = propose(project, stack, {}, running=running, must_exist=True)
    if isinstance(environment.cloud, AwsCloudSpec):
        asked = agent_request(environment, change.plan, change.update, _before(change, environment))
        return (doubts or [_room(project, change)]) + preflight(asked)
    return [*doubts, _room(project, change)]


def require_environment(environment: EnvironmentConfig) -> list[Check]:
    """The answers for an environment that is to come up; none where there is no account to ask.

    Raises:
        Refused: one of them is a blocker.
    """
    if not isinstance(environment.cloud, AwsCloudSpec):
        return []
    return _passed(preflight(environment_request(environment)))


def require_change(change: AgentChange, environment: EnvironmentConfig) -> list[Check]:
    """The answers for a change of an agent; none where there is no account to ask.

    Raises:
        Refused: one of them is a blocker.
    """
    if not isinstance(environment.cloud, AwsCloudSpec):
        return []
    before = _before(change, environment)
    return _passed(preflight(agent_request(environment, change.plan, change.update, before)))


def require_fleet(plan: FleetPlan) -> list[Check]:
    """The answers for a fleet that is to be applied; none where there is no account to ask.

    Raises:
        Refused: one of them is a blocker.
    """
    if not isinstance(plan.environment.cloud, AwsCloudSpec):
        return []
    plans = [change.plan for change in plan.changes]
    return _passed(preflight(fleet_request(plan.environment, plans, plan.needs)))


def _passed(checks: list[Check]) -> list[Check]:
    blockers = [check for check in checks if check.status is Status.BLOCKER]
    if blockers:
        found = "\n".join(f"  {check.id}: {check.found}" for check in blockers)
        raise Refused(
            f"preflight found what stops this:\n{found}",
            "\n".join(dict.fromkeys(check.remedy for check in blockers)),
        )
    return checks


def _running(project: Path, stack: StackName) -> tuple[AgentSpec | None, list[Check]]:
    """What the cluster has of the agent; a check says so if it can't be asked."""
    try:
        client = connect(project, stack.environment)
        found = [running_spec(each, stack) for each in list_agents(client, stack.agent)]
    except MoltghostError as error:
        why = f"what runs can't be read, so this is taken for a first deploy: {error.message}"
        return None, [unknown("agent", why, error.hint)]
    return next(iter(found), None), []


def _before(change: AgentChange, environment: EnvironmentConfig) -> AgentPlan | None:
    try:
        return plan_agent(change.stack, change.old, environment) if change.old else None
    except Refused:
        # Its pool is gone from the config; then nothing can be said of what it frees.
        return None


def cost_at_most(project: Path, name: str) -> EnvironmentCost | None:
    """What an environment costs idle and full, or None for one on this machine.

    With the prices that preflight asked for within a day, else those of the catalogue.

    Raises:
        Refused: its config isn't there or is invalid.
    """
    environment = read_environment(project, name)
    if not isinstance(environment.cloud, AwsCloudSpec):
        return None
    request = environment_request(environment)
    assert request.holdings is not None  # noqa: S101 every environment on AWS has them
    known = prices_at_hand(request.holdings.instance_types, request.region)
    return environment_cost(request.holdings, known)


def _pools(project: Path, environment: EnvironmentConfig) -> list[Check]:
    try:
        client = connect(project, environment.name)
    except Refused as absent:
        return [ok("cluster", f"{absent.message}; moltghost up {environment.name} starts it")]
    return [_pool(environment.name, status) for status in pool_statuses(client).values()]


def _pool(environment: str, status: PoolStatus) -> Check:
    name = f"pool.{status.name}"
    found = f"{status.nodes} of {status.max_nodes} nodes are in use"
    if status.nodes < status.max_nodes or status.idle_types:
        return ok(name, found)
    return warning(
        name,
        f"{found}: the pool is full",
        f"raise max_nodes in Pulumi.platform.{environment}.yaml, then moltghost up {environment}",
    )


def _room(project: Path, change: AgentChange) -> Check:
    name = f"pool.{change.plan.model_server.pool}"
    try:
        check(change, connect(project, change.stack.environment))
    except Refused as refusal:
        return blocker(name, refusal.message, refusal.hint)
    return ok(name, f"there is room for {change.plan.model_server.instance_type}")
