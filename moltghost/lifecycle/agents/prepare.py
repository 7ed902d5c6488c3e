"""What comes before every change of an agent: its plan, the checks, and a look at its store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from moltghost.checks import Check
from moltghost.config import StackName
from moltghost.environments.environment import Environment
from moltghost.lifecycle.agents.change import AgentChange, plan_wanted, read_wanted
from moltghost.lifecycle.agents.patch import AgentPatch
from moltghost.lifecycle.agents.preflight import account_checks, passed
from moltghost.lifecycle.agents.project import require_own
from moltghost.lifecycle.agents.room import check_room
from moltghost.lifecycle.agents.running import running_agent

if TYPE_CHECKING:
    from moltghost.lifecycle.weights.missing import Missing


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A change that nothing stands against.

    Attributes:
        change: as it is planned.
        checks: what the environment's account says of it; no blocker is among them.
        missing: the store that has to be built first; None where there is all.
    """

    change: AgentChange
    checks: tuple[Check, ...] = ()
    missing: Missing | None = None


def prepare(
    environment: Environment, stack: StackName, patch: AgentPatch, *, must_exist: bool = False
) -> Prepared:
    """Plan a change and hold it against the cluster, the account and the store. Changes nothing.

    Args:
        environment: the agent's.
        stack: the agent's stack.
        patch: what is to change; without any, an interrupted change is taken up again.
        must_exist: refuse an agent that has no config yet.

    Raises:
        NoRoom: a pool has no room for what the change needs.
        Refused: the agent isn't there or is another project's, a value is invalid, nothing
            fits, the cluster can't be
            asked, or preflight found a blocker.
    """
    wanted = read_wanted(environment.project, stack, patch, must_exist=must_exist)
    # The plan first: what is wrong with it needs no cluster to be said.
    plan_wanted(environment, wanted, None)
    require_own(environment.project, stack, environment.client)
    change = plan_wanted(environment, wanted, running_agent(environment.client, stack))
    check_room(change, environment.client)
    checks = passed(account_checks(environment, change))
    return Prepared(change=change, checks=tuple(checks), missing=missing_of(environment, change))


def missing_of(environment: Environment, change: AgentChange) -> Missing | None:
    """The store that the change's pods would wait for in vain; None where there is all.

    Raises:
        Refused: the store can't be asked.
    """
    if change.plan.simulated:
        return None  # no container runs, so nothing is copied; and no client of S3 is loaded
    from moltghost.lifecycle.weights.missing import missing_store

    return missing_store(environment, change.plan, change.new.model)
