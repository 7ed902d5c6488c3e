"""The workflows, that which users copy and our release: what linters say, and that they are true.

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
from moltghost.images import store
from moltghost.planning.images import pinned_images
from tests.examples import PROJECT

WORKFLOW = PROJECT / "docs" / "ci" / "github-actions.yml"
TEXT = WORKFLOW.read_text(encoding="utf-8")
JOBS: dict[str, Any] = yaml.safe_load(TEXT)["jobs"]

RELEASE = PROJECT / ".github" / "workflows" / "release.yml"
RELEASE_TEXT = RELEASE.read_text(encoding="utf-8")
RELEASE_JOBS: dict[str, Any] = yaml.safe_load(RELEASE_TEXT)["jobs"]


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


@pytest.mark.parametrize("workflow", [WORKFLOW, RELEASE], ids=lambda each: each.name)
@pytest.mark.parametrize("linter", [schema, security])
def test_linters_find_nothing(linter: Any, workflow: Path) -> None:
    done = linter(workflow)
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


@pytest.mark.parametrize(("text", "count"), [(TEXT, 8), (RELEASE_TEXT, 14)])
def test_every_action_is_named_by_its_commit_with_its_version_beside_it(
    text: str, count: int
) -> None:
    used = re.findall(r"uses: (\S+)(.*)", text)
    assert len(used) == count
    for action, comment in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action), action
        assert re.match(r" # v\d+\.\d+\.\d+", comment), action


def test_the_commands_are_commands_of_ours() -> None:
    called = set(re.findall(r"bin/moltghost ([a-z]+(?: check)?)", TEXT))
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


def released(job: str) -> str:
    """All that a job of the release runs."""
    return "\n".join(step.get("run", "") for step in RELEASE_JOBS[job]["steps"])


def test_a_release_runs_every_test_first_by_the_command_that_every_change_runs() -> None:
    assert released("test").split() == [".ci/run"]
    assert set(RELEASE_JOBS["images"]["needs"]) == {"test", "build"}
    assert "images" in RELEASE_JOBS["release"]["needs"]


def test_each_job_of_a_release_has_the_rights_that_it_needs_and_no_other() -> None:
    signing = {"id-token": "write", "attestations": "write"}
    assert {name: job["permissions"] for name, job in RELEASE_JOBS.items()} == {
        "test": {"contents": "read"},
        "build": {"contents": "read"},
        "images": {"packages": "write", **signing},
        "release": {"contents": "write", **signing},
    }
    assert yaml.safe_load(RELEASE_TEXT)["permissions"] == {}


def test_what_may_write_runs_no_code_of_the_repository() -> None:
    writing = [name for name, job in RELEASE_JOBS.items() if "write" in job["permissions"].values()]
    assert writing == ["images", "release"]
    for name in writing:
        assert "checkout" not in str(RELEASE_JOBS[name]["steps"])
        assert "python" not in released(name)
        assert "make " not in released(name)


def test_every_image_that_is_ours_has_a_list_of_what_is_in_it_and_a_provenance() -> None:
    ours = [getattr(pinned_images(), recipe.name) for recipe in store.RECIPES if recipe.ours]
    names = {each.rpartition("/")[2].partition(":")[0] for each in ours}
    assert names == {"gate", "agent-tools"}
    lists = re.findall(r"image: oci-dir:made/images/(\S+)", RELEASE_TEXT)
    assert set(lists) == names
    for name in names:
        assert f"sboms/{name}.spdx.json" in RELEASE_TEXT
    assert all(each.startswith("ghcr.io/") for each in ours)
    assert "auth login ghcr.io" in released("images")
    used = [step.get("uses", "").partition("@")[0] for step in RELEASE_JOBS["images"]["steps"]]
    assert used[-2:] == ["actions/attest-build-provenance", "actions/attest"]


def test_no_secret_but_the_runs_own_token_is_used_and_it_is_in_no_argument() -> None:
    assert "secrets." not in RELEASE_TEXT
    assert "--password-stdin" in released("images")
    for job in RELEASE_JOBS:
        assert "github.token" not in released(job)
