"""Whose stacks these are: the names in ``Pulumi.yaml``.

A team is a project. Several share a backend, and may share environments: one project has the
environment's cloud and platform, the others name it and have agents in it only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from moltghost.errors import Refused

FILE = "Pulumi.yaml"
ENVIRONMENT_PROJECT = "environment_project"
ENVIRONMENT_PROJECT_KEY = f"moltghost:{ENVIRONMENT_PROJECT}"
"""In ``Pulumi.yaml``: which project has the environments' cloud and platform, if not this one.

Pulumi takes a ``value`` and no type for a key of another namespace than the project's own:
sdk/go/common/workspace/project.go of https://github.com/pulumi/pulumi.
"""
_LONGEST = 100  # of a project's name, sdk/go/common/tokens of the same repository
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


@dataclass(frozen=True, kw_only=True)
class Project:
    """The names that a project's stacks are found by.

    Args:
        name: the project's own.
        environment_project: the one that has the environments' cloud and platform.
    """

    name: str
    environment_project: str

    @property
    def has_environments(self) -> bool:
        """Whether cloud and platform are this project's own."""
        return self.name == self.environment_project

    @property
    def names(self) -> tuple[str, ...]:
        """Every project whose stacks this one works with."""
        return tuple(dict.fromkeys((self.name, self.environment_project)))


def read_project(folder: Path) -> Project:
    """The names in a folder's ``Pulumi.yaml``.

    Raises:
        Refused: it isn't there, or isn't valid.
    """
    file = folder / FILE
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Refused(f"{folder} has no {FILE}", "moltghost init FOLDER makes a project") from None
    except yaml.YAMLError as error:
        raise Refused(f"{file} is not valid YAML: {error}", "correct it") from error
    if not isinstance(document, Mapping) or not document.get("name"):
        raise Refused(f"{file} has no name", "write the project's name: 'name: my-platform'")
    name = checked_project(str(document["name"]), str(file))
    config = document.get("config")
    given = config.get(ENVIRONMENT_PROJECT_KEY) if isinstance(config, Mapping) else None
    other = given.get("value") if isinstance(given, Mapping) else given
    where = f"{ENVIRONMENT_PROJECT_KEY} in {file}"
    return Project(
        name=name, environment_project=checked_project(str(other), where) if other else name
    )


def checked_project(name: str, where: str) -> str:
    """The name, if Pulumi and a folder's name take it.

    Raises:
        Refused: they don't.
    """
    if len(name) > _LONGEST or not _NAME.fullmatch(name):
        raise Refused(
            f"{where}: {name!r} is not a valid name of a project",
            f"use letters, digits, '-', '_' and '.', {_LONGEST} at most, not starting with a dot",
        )
    return name


def require_environments(project: Project, what: str) -> None:
    """Cloud and platform are changed only by the project that has them.

    Args:
        project: the project that would.
        what: the stack or the environment that it would change.

    Raises:
        Refused: another project has them.
    """
    if not project.has_environments:
        raise Refused(
            f"{what} belongs to project {project.environment_project}; "
            f"project {project.name} has agents only",
            f"run this in the folder of project {project.environment_project}",
        )
