"""The workflow that users copy: what linters say, and that its commands and versions are ours.

actionlint, a Go program, was asked by hand (docs/guide/ci.md); these linters come with the
development dependencies.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from moltghost.cli.main import cli
from tests.examples import PROJECT

WORKFLOW = PROJECT / "docs" / "ci" / "github-actions.yml"
TEXT = WORKFLOW.read_text(encoding="utf-8")
JOBS: dict[str, Any] = yaml.safe_load(TEXT)["jobs"]


def lint(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name(program), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def schema(file: Path) -> subprocess.CompletedProcess[str]:
    return lint("check-jsonschema", "--builtin-schema", "vendor.github-workflows", str(file))


def security(file: Path) -> subprocess.CompletedProcess[str]:
    return lint("zizmor", "--offline", "--no-progress", "--persona=pedantic", str(file))


@pytest.mark.parametrize("linter", [schema, security])
def test_linters_find_nothing(linter: Any) -> None:
    done = linter(WORKFLOW)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("linter", "old", "new", "said"),
    [
        (schema, "runs-on: ubuntu-24.04", "runs_on: ubuntu-24.04", "runs_on"),
        (security, "@93cb6efe18208431cddfb8368fd83d5badbf9bfd # v5.0.1", "@v5", "unpinned-uses"),
        (security, "permissions: {}", "permissions: write-all", "excessive-permissions"),
        (
            security,
            "        with:\n          persist-credentials: false\n",
            "",
            "artipacked",
        ),
    ],
)
def test_the_linters_find_what_is_wrong(
    tmp_path: Path, linter: Any, old: str, new: str, said: str
) -> None:
    broken = tmp_path / ".github" / "workflows" / "broken.yml"
    broken.parent.mkdir(parents=True)
    assert old in TEXT
    broken.write_text(TEXT.replace(old, new))
    done = linter(broken)
    assert done.returncode != 0
    assert said in done.stdout + done.stderr


def test_every_action_is_named_by_its_commit_with_its_version_beside_it() -> None:
    used = re.findall(r"uses: (\S+)(.*)", TEXT)
    assert len(used) == 8
    for action, comment in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action), action
        assert re.match(r" # v\d+\.\d+\.\d+", comment), action


def test_the_commands_are_commands_of_ours() -> None:
    called = set(re.findall(r"moltghost ([a-z]+(?: check)?)", TEXT))
    assert called == {"preflight", "policy check"}
    for name in called:
        assert cli.get_command(click.Context(cli), name.split()[0])


def test_the_pulumi_cli_is_of_the_sdks_version() -> None:
    settings = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    (pinned,) = (d for d in settings["project"]["dependencies"] if d.startswith("pulumi=="))
    assert f"PULUMI_VERSION: {pinned.removeprefix('pulumi==')} " in TEXT
    assert (PROJECT / "policies" / "config" / "dev.json").is_file()


def test_a_pull_request_only_looks_and_a_merge_changes_after_asking() -> None:
    def commands(job: str) -> str:
        return "\n".join(step.get("run", "") for step in JOBS[job]["steps"])

    assert "pulumi up" not in commands("preview")
    assert "pull_request" in JOBS["preview"]["if"]
    assert "head.repo.full_name == github.repository" in JOBS["preview"]["if"]
    up = commands("up")
    assert up.index("preflight") < up.index('--stack "$ENVIRONMENT"') < up.index("platform.")
    assert JOBS["up"]["concurrency"]["cancel-in-progress"] is False
    for job in JOBS.values():
        assert job["permissions"] == {"contents": "read", "id-token": "write"}


def test_no_long_lived_secret_is_used() -> None:
    assert "secrets." not in TEXT
    assert "aws-access-key-id" not in TEXT
