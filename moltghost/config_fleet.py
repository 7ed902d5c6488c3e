"""The file of a fleet: many agents of one environment, described together.

The file says all of an agent: what it leaves out has its default, whatever the agent had before.
What runs, and what ran before it, stays each stack's own business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from moltghost.config import AgentSpec, StackName, parse_spec
from moltghost.config_aws import Spec
from moltghost.config_errors import in_words, unknown_field
from moltghost.errors import Refused

# `kind` follows from being in the file; `previous` is what ran, which no file decides.
AGENT_FIELDS = tuple(name for name in AgentSpec.model_fields if name not in ("kind", "previous"))


class FleetSpec(Spec):
    """Agents of one environment, in a file of their own: `moltghost fleet apply agents.yaml`."""

    environment: str | None = None
    """The agents' environment; without it, the command's ``--env``."""
    defaults: dict[str, Any] = Field(default_factory=dict)
    """Fields of kind agent that hold for every agent which doesn't set them itself."""
    agents: dict[str, dict[str, Any] | None] = Field(min_length=1)
    """Agents by name, each with the fields of kind agent but ``kind`` and ``previous``."""


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """A fleet's file, read and checked.

    Args:
        file: where it was read.
        environment: the agents' environment.
        agents: what each is to be, by name, in the file's order.
    """

    file: Path
    environment: str
    agents: Mapping[str, AgentSpec]


def read_fleet(file: Path, environment: str | None, default: str = "local") -> Fleet:
    """Read a fleet's file.

    Args:
        file: the YAML file.
        environment: what the command was told; None if nothing.
        default: the environment where neither the file nor the command says one.

    Raises:
        Refused: it can't be read, with every problem and its place; or it is of another
            environment than the command's.
    """
    try:
        spec = FleetSpec.model_validate(_document(file))
    except ValidationError as error:
        raise _invalid(file, [_problem(each) for each in error.errors()]) from error
    if environment and spec.environment and environment != spec.environment:
        raise Refused(
            f"{file} belongs to environment {spec.environment}, "
            f"but the command names {environment}",
            "leave --env (or MOLTGHOST_ENV) out, or correct the file",
        )
    chosen = environment or spec.environment or default
    problems = list(_unknown_fields("defaults", spec.defaults))
    agents = {}
    for name, fields in spec.agents.items():
        unknown = list(_unknown_fields(f"agents.{name}", fields or {}))
        problems += unknown
        if unknown or any(key not in AGENT_FIELDS for key in spec.defaults):
            continue
        try:
            agents[name] = _agent(name, {**spec.defaults, **(fields or {})}, chosen)
        except Refused as refused:
            # The first line only says again which stack it is.
            head, _, rest = refused.message.partition("\n")
            lines = [line.strip() for line in rest.splitlines()] or [head]
            problems += [f"agents.{name}: {line}" for line in lines]
    if problems:
        raise _invalid(file, problems)
    return Fleet(file=file, environment=chosen, agents=agents)


def _agent(name: str, fields: Mapping[str, Any], environment: str) -> AgentSpec:
    stack = StackName.of_agent(name, environment)
    spec = parse_spec({"kind": "agent", **fields}, stack)
    assert isinstance(spec, AgentSpec)  # noqa: S101 the kind is set above
    return spec


def _problem(problem: ErrorDetails) -> str:
    place = ".".join(map(str, problem["loc"])) or "the file"
    return f"{place}: {in_words(problem, FleetSpec, problem['loc'])}"


def _unknown_fields(place: str, fields: Mapping[str, Any]) -> list[str]:
    return [
        f"{place}.{key}: {unknown_field(key, AGENT_FIELDS)}"
        for key in fields
        if key not in AGENT_FIELDS
    ]


def _document(file: Path) -> Any:
    try:
        return YAML(typ="safe").load(file)
    except FileNotFoundError:
        raise Refused(f"there is no {file}", "docs/guide/fleet.md shows such a file") from None
    except OSError as error:
        raise Refused(f"{file} can't be read: {error.strerror}", "name another file") from error
    except (YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error)
        raise Refused(f"{file}{line} is not valid YAML: {problem}", "correct it") from error


def _invalid(file: Path, problems: list[str]) -> Refused:
    lines = "\n".join(f"  {each}" for each in problems)
    return Refused(
        f"{file} is invalid, nothing was changed:\n{lines}",
        f"correct {file}; what holds for every agent may be written once, under `defaults`",
    )
