"""Which engine a stack belongs to: the one that applied it first.

Each engine keeps that in its own state. For the other one, and for other machines, it is written
on the namespace of an agent too. Whoever isn't the owner refuses before anything changes;
``moltghost stack adopt`` moves an environment's stacks from one engine to the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal

from moltghost import paths
from moltghost.errors import Refused

EngineName = Literal["stock", "embedded"]

# A program that nobody told otherwise was started by the Pulumi CLI.
_RUNNING: ContextVar[EngineName] = ContextVar("moltghost_engine", default="stock")


def running_engine() -> EngineName:
    """Return the engine that runs the program which asks.

    Only a program's entry asks; from there on it is an argument.
    """
    return _RUNNING.get()


@contextmanager
def program_of(engine: EngineName) -> Iterator[None]:
    """Run a program as this engine."""
    token = _RUNNING.set(engine)
    try:
        yield
    finally:
        _RUNNING.reset(token)


def embedded_stacks(project: str) -> list[str]:
    """The stacks of a project that the embedded engine has on this machine."""
    return sorted(file.stem for file in paths.stacks_home(project).glob("*.json"))


def embedded_projects() -> list[str]:
    """The projects that the embedded engine has stacks of on this machine."""
    return sorted(folder.parent.name for folder in paths.projects_home().glob("*/stacks"))


def of_another_project(owner: str, agent: str) -> Refused:
    """The refusal of an agent's name that another project has taken."""
    return Refused(
        f"agent {agent} belongs to project {owner}, which shares this environment",
        f"choose another name, or change it in the folder of project {owner}",
    )


def belongs_to(owner: str, stack: str, engine: EngineName) -> Refused:
    """The refusal of an engine that isn't the owner."""
    environment = stack.rpartition(".")[2]
    names = {"stock": "the Pulumi CLI", "embedded": "the embedded engine"}
    return Refused(
        f"stack {stack} belongs to {names.get(owner, owner)}, which applied it first",
        f"use --engine {owner}, or move the environment with: "
        f"moltghost stack adopt {environment} --engine {engine}",
    )
