"""The life of an agent: propose a change, check it against the cluster, carry it out, remove it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moltghost.config import (
    AgentSpec,
    StackName,
    parse_spec,
    read_agent,
    read_environment,
    stack_file,
)
from moltghost.engines.interface import Engine, Result
from moltghost.errors import Failed, MoltghostError, Refused
from moltghost.kube.client import Client
from moltghost.kube.pools import pool_statuses, require_room
from moltghost.lifecycle.stack_files import (
    commit_pending,
    discard_pending,
    lock_file,
    model_part,
    pending_file,
    spec_values,
    write_pending,
)
from moltghost.locks import held
from moltghost.planning.agent import AgentPlan, plan_change
from moltghost.planning.update import UpdatePlan
from moltghost.progress import Report

# What `agent update` and `agent scale` may leave to the sizing again.
AUTO = "auto"


@dataclass(frozen=True, kw_only=True)
class AgentChange:
    """A change of one agent that was planned and not yet made."""

    project: Path
    stack: StackName
    old: AgentSpec | None
    new: AgentSpec
    base: AgentSpec | None
    """The config as it was read; like ``old``, but also of an agent that isn't deployed."""
    plan: AgentPlan
    update: UpdatePlan
    interrupted: bool
    """An earlier change of this agent never ended; this one takes its place."""


def propose(
    project: Path,
    stack: StackName,
    values: Mapping[str, Any],
    *,
    deployed: bool,
    must_exist: bool = False,
) -> AgentChange:
    """Plan what ``values`` over the agent's present config would mean. Changes nothing.

    Args:
        project: folder with ``Pulumi.yaml``.
        stack: the agent's stack.
        values: fields of `AgentSpec`; None leaves a field as it is, ``auto`` resets it. Without
            any, an interrupted change is taken up again.
        deployed: whether the agent runs in the cluster; if not, its config alone is no old state.
        must_exist: refuse an agent that has no config yet.

    Raises:
        Refused: the agent isn't there, a value is invalid, or nothing fits.
    """
    environment = read_environment(project, stack.environment)
    pending = pending_file(project, stack)
    exists = stack_file(project, stack).is_file()
    if must_exist and not exists:
        raise no_such_agent(stack)
    current = read_agent(project, stack) if exists else None
    old = current if deployed else None
    if pending.is_file() and not any(values.values()):
        new = read_agent(project, stack, pending)
    else:
        new = _merged(stack, current, values, remember=deployed)
    plan, update = plan_change(stack, old, new, environment)
    return AgentChange(
        project=project,
        stack=stack,
        old=old,
        new=new,
        base=current,
        plan=plan,
        update=update,
        interrupted=pending.is_file(),
    )


def no_such_agent(stack: StackName) -> Refused:
    """The error for a name that no agent has."""
    return Refused(
        f"there is no agent {stack.agent} in {stack.environment}",
        f"moltghost deploy {stack.agent} --model MODEL creates it; "
        "moltghost agent list shows what is there",
    )


def _merged(
    stack: StackName, old: AgentSpec | None, values: Mapping[str, Any], *, remember: bool
) -> AgentSpec:
    """The new spec: ``values`` over the old one, which it remembers if the model part changes."""
    base: dict[str, Any] = spec_values(old) if old else {"kind": "agent"}
    # A strategy is how one change is made, not a trait of the agent.
    base.pop("strategy", None)
    for key, value in values.items():
        if value == AUTO:
            base.pop(key, None)
        elif value is not None:
            base[key] = value
    spec = parse_spec(base, stack, where="the command's options")
    assert isinstance(spec, AgentSpec)  # noqa: S101 the kind is set above
    if old is None or not remember or model_part(spec) == model_part(old):
        return spec
    return spec.model_copy(update={"previous": model_part(old)})


def check(change: AgentChange, client: Client) -> None:
    """Hold the change against the cluster as it is now.

    Raises:
        Refused: a pool has no room for what the change needs.
    """
    server, name = change.plan.model_server, change.stack.environment
    pools = pool_statuses(client)
    if server.pool not in pools:
        raise Refused(
            f"environment {name} has no pool {server.pool} in its cluster",
            f"moltghost up {name} creates its pools",
        )
    surge = change.update.surge
    if change.update.action == "create":
        nodes, purpose = 1, "the model server"
    elif surge:
        nodes, purpose = surge.nodes, "the update's surge"
    else:
        return
    try:
        require_room(
            pools[server.pool], nodes, server.instance_type, environment=name, purpose=purpose
        )
    except Refused as full:
        way_out = "; or accept a gap with --strategy in-place" if surge else ""
        raise Refused(full.message, full.hint + way_out) from full


def carry_out(change: AgentChange, engine: Engine, report: Report) -> Result:
    """Make the change; its config becomes the stack's only when the model is proven.

    An update that fails is taken back, so that what served before serves on and nothing is paid
    for twice. A first deploy that fails keeps its config: there is nothing to go back to.

    Raises:
        Refused: the engine refused before anything changed; no file has changed either.
        Failed: it was tried; the message says what is left.
    """
    with held(lock_file(change.project, change.stack), f"agent {change.stack.agent}", "change"):
        _require_unchanged(change)
        file = write_pending(change.project, change.stack, change.new)
        try:
            result = engine.up(str(change.stack), config=file, report=report)
        except Refused:
            discard_pending(change.project, change.stack)
            raise
        except Failed as failure:
            raise _taken_back(change, engine, report, failure) from failure
        commit_pending(change.project, change.stack)
    return result


def _require_unchanged(change: AgentChange) -> None:
    """What was planned and agreed to still starts from what is there.

    Raises:
        Refused: another change ended in between.
    """
    file = stack_file(change.project, change.stack)
    now = read_agent(change.project, change.stack) if file.is_file() else None
    if now != change.base:
        raise Refused(
            f"agent {change.stack.agent} was changed by somebody else since this was planned",
            "look at the new plan: run the command again",
        )


def _taken_back(
    change: AgentChange, engine: Engine, report: Report, failure: Failed
) -> MoltghostError:
    """Undo a failed update; the error to raise says how that went."""
    name = change.stack.agent
    if change.old is None:
        commit_pending(change.project, change.stack)
        return Failed(
            failure.message,
            f"{failure.hint or 'what was created stays'}; "
            f"moltghost up {change.stack} tries again, moltghost agent destroy {name} removes it",
        )
    discard_pending(change.project, change.stack)
    try:
        engine.up(str(change.stack), report=report)
    except MoltghostError as second:
        return Failed(
            f"{failure.message}\nTaking the change back failed as well: {second.message}",
            f"the config is the old one; moltghost up {change.stack} goes back to it",
        )
    return Failed(
        f"{failure.message}\nThe change was taken back: {change.old.model} serves as before.",
        failure.hint,
    )


def require_deployed(project: Path, stack: StackName, engine: Engine) -> None:
    """Make sure that the engine has the agent.

    Raises:
        Refused: it hasn't; only a config is there, or nothing.
    """
    if str(stack) in {summary.name for summary in engine.stacks()}:
        return
    file = stack_file(project, stack)
    if file.is_file():
        raise Refused(
            f"agent {stack.agent} isn't deployed: only its config is there",
            f"delete {file.name}, or moltghost up {stack} deploys it",
        )
    raise no_such_agent(stack)


def destroy(
    project: Path, stack: StackName, engine: Engine, *, delete_data: bool, report: Report
) -> Result:
    """Remove an agent; its namespace and volume stay unless ``delete_data``, its config always."""
    if delete_data:
        engine.unprotect(str(stack))
    result = engine.destroy(str(stack), keep_protected=not delete_data, report=report)
    discard_pending(project, stack)
    return result
