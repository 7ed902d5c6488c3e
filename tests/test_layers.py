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


def contracts() -> list[dict[str, Any]]:
    """Those of layers: the house's, then the engines'."""
    settings = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    found = [
        each for each in settings["tool"]["importlinter"]["contracts"] if each["type"] == "layers"
    ]
    assert len(found) == 2
    return found


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
    assert inside - OUTSIDE_THE_LAYERS == rooms() - {"infra", "components"}


def house(folder: Path) -> Path:
    """The rooms of the house, empty, with the contract of the real one."""
    shutil.copy(PROJECT / "pyproject.toml", folder / "pyproject.toml")
    for room in rooms() | engine_rooms():
        place = folder / Path(*room.split("."))
        place.mkdir(parents=True, exist_ok=True)
        (place / "__init__.py").touch()
    (folder / "moltghost" / "__init__.py").touch()
    (folder / "policies").mkdir()
    (folder / "policies" / "__init__.py").touch()
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
        ("moltghost.planning", "components"),
        ("components", "moltghost.engines"),
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
    [("policies", "moltghost.planning"), ("moltghost.policy", "policies")],
)
def test_the_policy_pack_and_the_library_import_nothing_of_each_other(
    tmp_path: Path, module: str, imported: str
) -> None:
    place = house(tmp_path) / Path(*module.split(".")) / "__init__.py"
    place.write_text(f"import {imported}\n", encoding="utf-8")
    assert lint(tmp_path).returncode != 0
