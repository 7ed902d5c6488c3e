"""Operations on a running agent that change no model: back, to another node, off and on again.

Each is a change of the agent's config, so it is planned, checked, carried out and taken back like
any other (`prepare`, `apply`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from moltghost.config import AgentSpec, ModelSpec, StackName, parse_spec
from moltghost.errors import Refused
from moltghost.kube.history import Revision
from moltghost.lifecycle.agents.patch import RESET, AgentPatch


def move_patch(running: AgentSpec | None, stack: StackName) -> AgentPatch:
    """The config change that brings the same model up on a fresh node.

    Raises:
        Refused: it isn't deployed, or is paused.
    """
    spec = _running(running, stack, "move")
    if spec.paused:
        raise Refused(
            f"agent {stack.agent} is paused: it is on no node",
            f"moltghost agent resume {stack.agent} brings it up on one that is there or comes",
        )
    return AgentPatch(moves=spec.moves + 1)


def pause_patch(running: AgentSpec | None, stack: StackName, *, paused: bool) -> AgentPatch:
    """The config change that stops an agent's pods, or starts them again.

    Raises:
        Refused: it isn't deployed, or is so already.
    """
    spec = _running(running, stack, "pause" if paused else "resume")
    if spec.paused == paused:
        raise Refused(
            f"agent {stack.agent} is {'paused' if paused else 'not paused'} already",
            f"moltghost agent status {stack.agent} shows it",
        )
    return AgentPatch(paused=True if paused else RESET)


def rollback_patch(
    running: AgentSpec | None, stack: StackName, history: Sequence[Revision], to: int | None
) -> AgentPatch:
    """The config change that brings an earlier model back.

    Args:
        running: what the cluster has of the agent.
        stack: the agent's stack.
        history: its revisions, newest first.
        to: the number of one; by default the newest that differs from what runs.

    Raises:
        Refused: it isn't deployed, or there is no such revision.
    """
    spec = _running(running, stack, "roll back")
    earlier = {each.number: _model_part(each, stack) for each in history if not each.current}
    if to is None:
        differing = [number for number, part in earlier.items() if part != spec.model_part]
        if not differing:
            raise Refused(
                f"agent {stack.agent} has no other revision left in the cluster",
                f"moltghost agent update {stack.agent} --model MODEL changes what it runs",
            )
        to = max(differing)
    if to not in earlier:
        numbers = ", ".join(map(str, sorted(earlier))) or "none"
        raise Refused(
            f"agent {stack.agent} has no earlier revision {to}; it has {numbers}",
            f"moltghost agent history {stack.agent} lists them",
        )
    return AgentPatch.to(earlier[to], ModelSpec.model_fields)


def _running(running: AgentSpec | None, stack: StackName, what: str) -> AgentSpec:
    if running is None:
        raise Refused(
            f"agent {stack.agent} isn't deployed in {stack.environment}: nothing to {what}",
            "moltghost agent list shows what is",
        )
    return running


def _model_part(revision: Revision, stack: StackName) -> ModelSpec:
    spec = parse_spec(json.loads(revision.spec), stack, where=f"revision {revision.number}")
    assert isinstance(spec, AgentSpec)  # noqa: S101 the stack's name says so
    return spec.model_part
