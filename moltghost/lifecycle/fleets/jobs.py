"""What a fleet's workers are given to do, and what they answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from moltghost.config import StackName
from moltghost.engines.interface import Engine
from moltghost.environments.environment import Environment
from moltghost.lifecycle.agents.prepare import Prepared
from moltghost.lifecycle.weights.source import Request
from moltghost.progress import Report

Phase = Literal["queued", "weights", "checking", "waiting for room", "applying", "destroying"]
Ending = Literal["done", "unchanged", "failed", "refused", "interrupted"]


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is to be done with one agent.

    Args:
        stack: the agent's.
        prepared: what to apply, its store apart; None to destroy the agent.
        delete_data: destroy namespace and volume as well.
        store: the model whose store is built first; empty where it is there.
    """

    stack: StackName
    prepared: Prepared | None = None
    delete_data: bool = False
    store: str = ""

    @property
    def name(self) -> str:
        """The agent's."""
        return self.stack.agent

    @classmethod
    def of(cls, prepared: Prepared) -> Job:
        """Apply a change, after its store was built: once for all agents that copy it."""
        return cls(
            stack=prepared.change.stack,
            prepared=replace(prepared, missing=None),
            store=prepared.missing.choice.name if prepared.missing else "",
        )


@dataclass(frozen=True, kw_only=True)
class Build:
    """A model's store that is to be built, once for all agents whose pods copy it."""

    model: str
    environment: str

    @property
    def name(self) -> str:
        """The model's."""
        return self.model


@dataclass(frozen=True, kw_only=True)
class News:
    """How far a job has come."""

    phase: Phase
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a job ended, or a build.

    Args:
        agent: whose; of a build, the model.
        ending: ``refused`` if nothing of the agent was changed, ``interrupted`` if it may go on.
        changes: objects by operation, those that stayed as they were left out.
        message: what went wrong.
        hint: what to do next.
        warnings: what engine and policies warned of.
    """

    agent: str
    ending: Ending
    seconds: float
    changes: dict[str, int]
    message: str = ""
    hint: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def succeeded(self) -> bool:
        """Whether the agent is as it was asked for."""
        return self.ending in ("done", "unchanged")


def _add(environment: Environment, request: Request, report: Report) -> None:
    from moltghost.lifecycle.weights.build import add  # loads the client of S3

    add(environment, request, report)


@dataclass(frozen=True, kw_only=True)
class Tools:
    """What a worker works with. It is sent to its process: functions are of modules."""

    environment: Environment
    engine_for: Callable[[Path], Engine]
    build: Callable[[Environment, Request, Report], object] = _add
    """Makes sure that an environment has a model's store."""


def lost(task: Job | Build, exit_code: int | None) -> Outcome:
    """The outcome of what a worker did that died."""
    return Outcome(
        agent=task.name,
        ending="failed",
        seconds=0.0,
        changes={},
        message=f"the process that worked on it ended with {exit_code}",
        hint="what was done is in the stack's state; run the same command to continue from there",
    )
