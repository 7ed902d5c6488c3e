"""A fleet before it changes: every agent of its file planned, and all of them held together.

Nothing is changed before the file, every agent's plan and the pools' room for all of them are
known to be right.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from moltghost.checks import Check
from moltghost.config import StackName
from moltghost.config_fleet import AGENT_FIELDS, Fleet
from moltghost.environments.environment import Environment
from moltghost.errors import Refused
from moltghost.kube.agents import AgentStatus, list_agents
from moltghost.lifecycle.agents.change import AgentChange, plan_wanted, read_wanted
from moltghost.lifecycle.agents.patch import AgentPatch
from moltghost.lifecycle.agents.preflight import passed
from moltghost.lifecycle.agents.prepare import Prepared, missing_of
from moltghost.lifecycle.agents.project import own, require_own
from moltghost.lifecycle.agents.running import running_spec
from moltghost.lifecycle.fleets.needs import FleetNeeds, fleet_needs, require_room_for_fleet

if TYPE_CHECKING:
    from moltghost.lifecycle.weights.missing import Missing


@dataclass(frozen=True, kw_only=True)
class FleetPlan:
    """What applying a fleet's file means.

    Attributes:
        environment: where.
        prepared: a change for each agent of the file, in the file's order.
        checks: what the environment's account says of all of them together.
        needs: what they need of the pools.
        running: the agents of the file that the cluster has now, by name.
        others: agents of the environment that the file doesn't have.
    """

    environment: Environment
    prepared: tuple[Prepared, ...]
    checks: tuple[Check, ...]
    needs: FleetNeeds
    running: dict[str, AgentStatus]
    others: tuple[AgentStatus, ...]

    @property
    def changes(self) -> tuple[AgentChange, ...]:
        """What becomes of each agent of the file, in the file's order."""
        return tuple(each.change for each in self.prepared)

    @property
    def stores(self) -> tuple[str, ...]:
        """The models whose weights store is built first, once each."""
        return tuple(
            dict.fromkeys(each.missing.choice.name for each in self.prepared if each.missing)
        )

    @property
    def usd_per_hour_before(self) -> Decimal:
        """What the file's agents cost now: their model servers' nodes."""
        return sum((each.node_usd_per_hour for each in self.running.values()), Decimal(0))

    @property
    def usd_per_hour(self) -> Decimal:
        """What they will cost: whole nodes of dedicated agents, GPUs' shares of the others."""
        places = (change.plan.sizing.placement for change in self.changes)
        return sum(
            (each.node_usd_per_hour if each.dedicated else each.usd_per_hour for each in places),
            Decimal(0),
        )


def plan_fleet(environment: Environment, fleet: Fleet, *, parallel: int) -> FleetPlan:
    """Plan every agent of the file and hold all of them against the cluster. Changes nothing.

    Args:
        environment: the fleet's.
        fleet: the file.
        parallel: how many agents will be changed side by side.

    Raises:
        Refused: an agent can't be planned, the pools have no room for all of them, or preflight
            found a blocker.
    """
    client = environment.client
    found = {each.agent: each for each in list_agents(client)}
    changes, problems = [], {}
    for name, spec in fleet.agents.items():
        stack = StackName.of_agent(name, fleet.environment)
        try:
            require_own(environment.project, stack, client)
            running = running_spec(found[name], stack) if name in found else None
            patch = AgentPatch.to(spec, AGENT_FIELDS)
            wanted = read_wanted(environment.project, stack, patch)
            changes.append(plan_wanted(environment, wanted, running))
        except Refused as refused:
            problems[name] = refused
    missing = _missing_stores(environment, changes)
    problems |= {name: each.refusal() for name, each in missing.items() if not each.can_be_built}
    _refuse(fleet, problems)
    needs = fleet_needs(changes, environment.platform, client, parallel)
    require_room_for_fleet(needs, client, fleet.environment)
    checks = environment.check_fleet(
        [change.plan for change in changes], needs.servers, needs.runtimes
    )
    return FleetPlan(
        environment=environment,
        prepared=tuple(
            Prepared(change=change, missing=missing.get(change.stack.agent)) for change in changes
        ),
        checks=tuple(passed(checks)),
        needs=needs,
        running={name: found[name] for name in fleet.agents if name in found},
        others=tuple(
            each
            for each in own(found.values(), environment.project)
            if each.agent not in fleet.agents
        ),
    )


def _missing_stores(environment: Environment, changes: Iterable[AgentChange]) -> dict[str, Missing]:
    """What agents' pods would wait for in vain, by agent; each store is asked for once."""
    asked: dict[str, Missing | None] = {}
    found = {}
    for change in changes:
        url = change.plan.model_server.store_url
        if url not in asked:
            asked[url] = missing_of(environment, change)
        if missing := asked[url]:
            found[change.stack.agent] = missing
    return found


def _refuse(fleet: Fleet, problems: dict[str, Refused]) -> None:
    if not problems:
        return
    lines = "\n".join(f"  {name}: {refused.message}" for name, refused in problems.items())
    hints = dict.fromkeys(refused.hint for refused in problems.values() if refused.hint)
    raise Refused(
        f"{len(problems)} of the {len(fleet.agents)} agents in {fleet.file} can't be planned, "
        f"nothing was changed:\n{lines}",
        "; ".join(hints),
    )


def deployed(names: Iterable[str], known: Iterable[str], environment: str) -> tuple[str, ...]:
    """Those of the agents that the engine has a stack of."""
    stacks = set(known)
    return tuple(name for name in names if f"{name}.{environment}" in stacks)
