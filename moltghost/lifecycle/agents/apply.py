"""A prepared change of an agent is made, and taken back if it fails; or the agent is removed."""

from __future__ import annotations

from pathlib import Path

from moltghost.config import (
    AgentSpec,
    StackName,
    read_agent,
    stack_file,
)
from moltghost.engines.interface import Engine, Protected, Result
from moltghost.environments.environment import Environment
from moltghost.errors import Failed, Interrupted, MoltghostError, Refused
from moltghost.lifecycle.agents.change import AgentChange, no_such_agent
from moltghost.lifecycle.agents.prepare import Prepared
from moltghost.lifecycle.agents.stack_files import (
    commit_pending,
    discard_pending,
    lock_file,
    pending_text,
    restore_pending,
    write_pending,
)
from moltghost.locks import held
from moltghost.progress import Report


def apply(environment: Environment, prepared: Prepared, engine: Engine, report: Report) -> Result:
    """Build the store that is missing, then make the change (`carry_out`).

    Raises:
        Refused: nothing of the agent has changed; the store can't be built without a person, or
            the engine refused.
        Failed: it was tried; the message says what is left.
    """
    if missing := prepared.missing:
        if not missing.can_be_built:
            raise missing.refusal()
        from moltghost.lifecycle.weights.build import add  # loads the client of S3
        from moltghost.lifecycle.weights.source import Request

        add(environment, Request(model=missing.choice.name), report)
    return carry_out(prepared.change, engine, report)


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
        earlier = pending_text(change.project, change.stack)
        file = write_pending(change.project, change.stack, change.new)
        try:
            result = engine.up(str(change.stack), config=file, report=report)
        except Refused:
            restore_pending(change.project, change.stack, earlier)
            raise
        except Interrupted:
            # The pending file stays: the next command takes the change up.
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
            f"agent {change.stack.agent} was changed by someone else since this was planned",
            "look at the new plan: run the command again",
        )


def _taken_back(
    change: AgentChange, engine: Engine, report: Report, failure: Failed
) -> MoltghostError:
    """Undo a failed update; the error to raise says how that went."""
    name = change.stack.agent
    proven = _proven(change)
    if proven is None:
        commit_pending(change.project, change.stack)
        return Failed(
            failure.message,
            f"{failure.hint or 'what was created stays'}; "
            f"moltghost up {change.stack} tries again, moltghost agent destroy {name} removes it",
        )
    try:
        file = write_pending(change.project, change.stack, proven)
        engine.up(str(change.stack), config=file, report=report)
    except MoltghostError as second:
        return Failed(
            f"{failure.message}\nTaking the change back failed as well: {second.message}",
            f"moltghost up {change.stack} continues the rollback",
        )
    discard_pending(change.project, change.stack)
    return Failed(
        f"{failure.message}\nThe change was taken back: {proven.model} serves as before.",
        failure.hint,
    )


def _proven(change: AgentChange) -> AgentSpec | None:
    """What a failed change goes back to, None if nothing else ran before."""
    old, new, base = change.old, change.new, change.base
    # An interrupted change that the cluster has already was never proven; the config is what ran
    # before it.
    if change.interrupted and old and base and old.previous == base.model_part != new.model_part:
        return base
    return old if old != new else None


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
    """Remove an agent; its namespace and volume stay unless ``delete_data``, its config always.

    Raises:
        Refused: the agent is being changed.
        Failed: not everything could be removed.
    """
    with held(lock_file(project, stack), f"agent {stack.agent}", "destroy"):
        protected: Protected = "delete" if delete_data else "keep"
        result = engine.destroy(str(stack), protected=protected, report=report)
        if stack_file(project, stack).is_file():
            discard_pending(project, stack)
        elif pending_text(project, stack) is not None:
            commit_pending(project, stack)  # of a first deploy that was stopped: all there is
    return result
