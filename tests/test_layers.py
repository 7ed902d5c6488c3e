"""Data flows one way through the house, and the check of it in CI has every room in it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.examples import PROJECT

OUTSIDE_THE_LAYERS = {"moltghost.__init__"}


def every_contract() -> list[dict[str, Any]]:
    settings = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    found = settings["tool"]["importlinter"]["contracts"]
    assert isinstance(found, list)
    return found


def contracts() -> list[dict[str, Any]]:
    """Those of layers: the house's, then the engines'."""
    found = [each for each in every_contract() if each["type"] == "layers"]
    assert len(found) == 2
    return found


def modules() -> set[str]:
    """The modules that contracts besides the layers name."""
    keys = ("source_modules", "forbidden_modules", "ancestors")
    return {name for each in every_contract() for key in keys for name in each.get(key, ())}


def rooms_of(contract: dict[str, Any]) -> set[str]:
    return {room.strip() for layer in contract["layers"] for room in re.split("[:|]", layer)}


def rooms() -> set[str]:
    return rooms_of(contracts()[0])


def engine_rooms() -> set[str]:
    return {f"moltghost.engines.{room}" for room in rooms_of(contracts()[1])}


def test_every_room_of_the_library_is_in_a_layer() -> None:
    package = PROJECT / "moltghost"
    inside = {f"moltghost.{each.stem}" for each in package.glob("*.py")}
    inside |= {f"moltghost.{each.parent.name}" for each in package.glob("*/__init__.py")}
    assert inside - OUTSIDE_THE_LAYERS == rooms()


def test_no_room_may_import_the_policy_pack() -> None:
    settings = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    [found] = [
        each
        for each in settings["tool"]["importlinter"]["contracts"]
        if each.get("forbidden_modules") == ["moltghost.policies"]
    ]
    assert set(found["source_modules"]) == rooms() - {"moltghost.policies"}


def house(folder: Path) -> Path:
    """The rooms of the house, empty, with the contract of the real one."""
    shutil.copy(PROJECT / "pyproject.toml", folder / "pyproject.toml")
    for room in rooms() | engine_rooms() | modules():
        place = folder / Path(*room.split("."))
        place.mkdir(parents=True, exist_ok=True)
        (place / "__init__.py").touch()
    (folder / "moltghost" / "__init__.py").touch()
    return folder


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = Path(sys.executable).with_name("lint-imports")
    return subprocess.run(
        [command, "--no-cache"],
        cwd=folder,
        env={"PYTHONPATH": str(folder), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_empty_rooms_keep_the_contract(tmp_path: Path) -> None:
    assert lint(house(tmp_path)).returncode == 0


@pytest.mark.parametrize(
    ("room", "imports"),
    [
        ("moltghost.sizing", "moltghost.planning"),
        ("moltghost.planning", "moltghost.components"),
        ("moltghost.components", "moltghost.engines"),
        ("moltghost.models", "moltghost.config"),
        ("moltghost.engines.stock", "moltghost.engines.embedded"),
        ("moltghost.engines.embedded", "moltghost.engines.stock"),
        ("moltghost.engines.kubernetes", "moltghost.engines.embedded"),
        ("moltghost.engines.pulumi", "moltghost.engines.kubernetes"),
        ("moltghost.lifecycle", "moltghost.engines.embedded"),
    ],
)
def test_an_import_against_the_flow_is_caught(room: str, imports: str, tmp_path: Path) -> None:
    folder = house(tmp_path)
    (folder / Path(*room.split(".")) / "against.py").write_text(f"import {imports}\n")
    ran = lint(folder)
    assert ran.returncode == 1
    assert f"{room} is not allowed to import {imports}" in " ".join(ran.stdout.split())


def test_a_circle_in_planning_is_caught(tmp_path: Path) -> None:
    planning = house(tmp_path) / "moltghost" / "planning"
    (planning / "aws").mkdir()
    (planning / "aws" / "__init__.py").touch()
    (planning / "aws" / "cloud.py").write_text("import moltghost.planning.agent\n")
    assert lint(tmp_path).returncode == 0
    (planning / "agent" / "on_aws.py").write_text("import moltghost.planning.aws.cloud\n")
    ran = lint(tmp_path)
    assert ran.returncode == 1
    assert "planning has no circle BROKEN" in ran.stdout


@pytest.mark.parametrize(
    ("module", "imports", "contract"),
    [
        ("moltghost.planning", "moltghost.paths", "a plan is the same on every machine"),
        (
            "moltghost.components.runtime",
            "moltghost.planning.karpenter",
            "only Karpenter's providers",
        ),
    ],
)
def test_what_a_room_may_not_know_is_caught(
    tmp_path: Path, module: str, imports: str, contract: str
) -> None:
    place = house(tmp_path) / Path(*module.split(".")) / "against.py"
    place.write_text(f"import {imports}\n", encoding="utf-8")
    ran = lint(tmp_path)
    assert ran.returncode == 1
    assert re.search(f"^{re.escape(contract)}.* BROKEN$", ran.stdout, re.MULTILINE)


@pytest.mark.parametrize("room", ["sizing", "models"])
def test_sizing_and_models_load_neither_pulumi_nor_a_client_of_anything(room: str) -> None:
    program = (
        f"import sys, moltghost.{room}; "
        "print(sorted({'pulumi', 'boto3', 'grpc', 'lightkube', 'urllib.request'} & "
        "set(sys.modules)))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert ran.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("moltghost.policies", "moltghost.planning"),
        ("moltghost.policies", "moltghost.errors"),
        ("moltghost.policy", "moltghost.policies"),
        ("moltghost.cli", "moltghost.policies"),
    ],
)
def test_the_policy_pack_and_the_library_import_nothing_of_each_other(
    tmp_path: Path, module: str, imported: str
) -> None:
    place = house(tmp_path) / Path(*module.split(".")) / "__init__.py"
    place.write_text(f"import {imported}\n", encoding="utf-8")
    assert lint(tmp_path).returncode != 0
