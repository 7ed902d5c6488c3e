"""The wheel alone, in an environment of its own: a project is made and worked in.

Its dependencies are borrowed from this environment, so no network is needed.
"""

from __future__ import annotations

import os
import shutil
import site
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from tests.examples import PROJECT

_BUILD = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
_PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")
_SOURCES = ("moltghost", "infra", "components", "policies", "images", "examples")
_FILES = ("pyproject.toml", "README.md", "LICENSE", "requirements.txt", "Pulumi.yaml", "docs/ci")


def top_level(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as opened:
        return {name.partition("/")[0] for name in opened.namelist()}


def build(source: Path, into: Path) -> Path:
    ran = subprocess.run(
        [sys.executable, "-c", _BUILD, str(into)],
        cwd=source,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    [wheel] = into.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the wheel is built from: setuptools writes beside it."""
    folder = tmp_path_factory.mktemp("source")
    ignored = shutil.ignore_patterns("__pycache__")
    for name in _SOURCES:
        shutil.copytree(PROJECT / name, folder / name, symlinks=True, ignore=ignored)
    for name in _FILES:
        if (PROJECT / name).is_dir():
            shutil.copytree(PROJECT / name, folder / name)
        else:
            shutil.copy(PROJECT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(source, tmp_path_factory.mktemp("dist"))


class Installed:
    """The command of the wheel, run in folders outside of this checkout."""

    def __init__(self, folder: Path, wheel: Path) -> None:
        venv.create(folder / "venv")
        self.python = folder / "venv/bin/python"
        self.folder = folder
        subprocess.run(
            [*_PIP, "--python", self.python, "install", "-q", "--no-deps", "--no-index", wheel],
            check=True,
            timeout=60,
        )
        borrowed = [
            path
            for path in (*site.getsitepackages(), *sys.path)
            if path.endswith("site-packages") and Path(path).is_dir()
        ]
        packages = sysconfig.get_path("purelib", vars={"base": str(folder / "venv")})
        # Not `site.addsitedir`, which would also follow the link to this checkout.
        Path(packages, "borrowed.pth").write_text("\n".join(dict.fromkeys(borrowed)))

    def __call__(self, *arguments: str, cwd: Path, code: int = 0) -> str:
        ran = subprocess.run(
            [self.folder / "venv/bin/moltghost", *arguments],
            cwd=cwd,
            env={
                "PATH": "/usr/bin:/bin",
                "HOME": str(self.folder),
                "MOLTGHOST_STATE": str(self.folder / "state"),
                "MOLTGHOST_ENGINE": "embedded",
                "COLUMNS": "100",
            },
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert ran.returncode == code, f"{arguments}: {ran.stdout}{ran.stderr}"
        return ran.stdout if code == 0 else ran.stderr


@pytest.fixture(scope="module")
def moltghost(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed(tmp_path_factory.mktemp("installed"), wheel)


@pytest.fixture(scope="module")
def project(moltghost: Installed) -> Path:
    moltghost("init", "my-platform", "--yes", cwd=moltghost.folder)
    return moltghost.folder / "my-platform"


def test_it_has_one_package_and_no_generic_name(wheel: Path) -> None:
    assert top_level(wheel) == {"moltghost", "moltghost-0.1.0.dist-info"}


def test_a_package_with_a_generic_name_would_be_found(source: Path, tmp_path: Path) -> None:
    broken = tmp_path / "source"
    shutil.copytree(source, broken, symlinks=True)
    file = broken / "pyproject.toml"
    text = file.read_text()
    assert 'include = ["moltghost*"]' in text
    file.write_text(text.replace('include = ["moltghost*"]', 'include = ["moltghost*", "infra*"]'))
    assert "infra" in top_level(build(broken, tmp_path / "dist"))


def test_the_command_is_the_wheels_and_not_the_checkouts(moltghost: Installed) -> None:
    program = "import moltghost.infra.program as p; print(p.__file__)"
    ran = subprocess.run(
        [moltghost.python, "-c", program],
        cwd=moltghost.folder,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert ran.stdout.startswith(str(moltghost.folder))


def test_every_stack_is_planned_and_passes_the_policies(
    moltghost: Installed, project: Path
) -> None:
    assert "pools" in moltghost("plan", "platform.local", "--json", cwd=project)
    assert "2 stacks" in moltghost("policy", "check", cwd=project)
    assert "ollama-gated" in moltghost("policy", "list", cwd=project)


def test_what_needs_the_cluster_says_so(moltghost: Installed, project: Path) -> None:
    said = moltghost("fleet", "apply", "fleet.yaml", "--dry-run", cwd=project, code=2)
    assert "the cluster of environment local isn't running" in said
    assert "hint: moltghost up local" in said


def test_the_sources_of_what_is_built_here_are_in_it(moltghost: Installed, project: Path) -> None:
    assert "agent-tools" in moltghost("images", "list", cwd=project)
    program = (
        "from moltghost.local.build import programs as p; print(p.AGENT_TOOLS_HOME);"
        "from moltghost.images.openclaw_image import LOCK_FOLDER as l; print(l / '.npmrc')"
    )
    ran = subprocess.run(
        [moltghost.python, "-c", program],
        cwd=project,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    home, npmrc = map(Path, ran.stdout.split())
    assert home.is_relative_to(moltghost.folder)
    assert (home / "internal/loader/loader.go").is_file()
    assert npmrc.is_file()


def test_a_team_shares_the_environment_and_cannot_take_it_down(
    moltghost: Installed, project: Path
) -> None:
    options = ("--environment-project", str(project), "--yes")
    moltghost("init", "team-b", *options, cwd=moltghost.folder)
    team = moltghost.folder / "team-b"
    said = moltghost("policy", "check", cwd=team, code=2)
    assert "has no stack to check" in said, "the environment's stacks are the other project's"
    config = (
        "config: {'moltghost:spec': {kind: agent, owner: b, model: llama3.1-8b-q4, context: 32k}}"
    )
    (team / "Pulumi.theirs.local.yaml").write_text(config)
    assert "1 stack" in moltghost("policy", "check", cwd=team)
    said = moltghost("up", "local", "--yes", cwd=team, code=2)
    assert "environment local belongs to project my-platform" in said


def test_the_requirements_are_all_pinned_by_hash(project: Path, wheel: Path) -> None:
    text = (project / "requirements.txt").read_text()
    assert text.startswith(f"./wheels/{wheel.name} \\\n    --hash=sha256:")
    entries = [line for line in text.splitlines() if line and line[0] not in " #"]
    assert len(entries) > 20
    assert all(line.endswith("\\") for line in entries)
    assert (project / "wheels" / wheel.name).read_bytes() == wheel.read_bytes()
