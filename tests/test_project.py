"""Whose stacks a folder has: its own project's, in environments of its own or of another."""

from __future__ import annotations

from pathlib import Path

import pytest

from moltghost.errors import Refused
from moltghost.project import Project, read_project, require_environments

TEAM = Project(name="team-b", environment_project="my-platform")


def write(folder: Path, text: str) -> Path:
    (folder / "Pulumi.yaml").write_text(text, encoding="utf-8")
    return folder


def test_a_project_has_its_own_environments_unless_it_names_another(tmp_path: Path) -> None:
    project = read_project(write(tmp_path, "name: my-platform\nruntime: python\n"))
    assert project == Project(name="my-platform", environment_project="my-platform")
    assert project.has_environments
    assert project.names == ("my-platform",)


def test_a_team_names_the_project_that_has_the_environments(tmp_path: Path) -> None:
    config = "config:\n  moltghost:environment_project:\n    value: my-platform\n"
    project = read_project(write(tmp_path, f"name: team-b\n{config}"))
    assert project == TEAM
    assert project.names == ("team-b", "my-platform")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("runtime: python\n", "has no name"),
        ("name: ..\n", "not a valid name"),
        ("name: ../other\n", "not a valid name"),
        (f"name: {'a' * 101}\n", "not a valid name"),
        ("name: a\nconfig:\n  moltghost:environment_project:\n    value: ../b\n", "not a valid"),
        ("name: [\n", "not valid YAML"),
    ],
)
def test_a_name_that_no_project_can_have_is_refused(
    text: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(Refused, match=message):
        read_project(write(tmp_path, text))


def test_cloud_and_platform_are_changed_by_the_project_that_has_them() -> None:
    with pytest.raises(Refused, match="environment local belongs to project my-platform"):
        require_environments(TEAM, "environment local")
    require_environments(Project(name="a", environment_project="a"), "environment local")
