"""What makes a program another one, and what doesn't."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from moltghost.errors import Refused
from moltghost.local.build import recipes
from moltghost.local.build.recipes import CopiedFile, Program, SourceChange

GO_MOD = """module example
go 1.27.0

tool (
\texample.org/server/cmd/one
)

require example.org/server v1.2.3
"""
CHANGE = SourceChange(module="example.org/server", file="main.go", old="a", new="b")


def program(home: Path, go_mod: str = GO_MOD, **files: str) -> Program:
    home.mkdir()
    (home / "go.mod").write_text(go_mod)
    (home / "go.sum").write_text("sums")
    for name, content in files.items():
        (home / f"{name}.go").write_text(content)
    return Program(name="one", home=home, package="example.org/one", module="example.org/server")


def test_equal_pins_in_another_folder_make_an_equal_program(tmp_path: Path) -> None:
    assert recipes.key(program(tmp_path / "a")) == recipes.key(program(tmp_path / "b"))


@pytest.mark.parametrize(
    "other",
    [
        {"package": "example.org/two"},
        {"version_variables": ("main.version",)},
        {"linker_values": (("main.answer", "42"),)},
        {"tags": ("netgo",)},
        {"cgo": True},
        {"changes": (CHANGE,)},
        {"manifests": (CopiedFile(module="example.org/server", file="crd.yaml"),)},
    ],
    ids=lambda other: next(iter(other)),
)
def test_any_other_recipe_has_another_key(tmp_path: Path, other: dict[str, Any]) -> None:
    first = program(tmp_path / "a")
    assert recipes.key(first) != recipes.key(replace(first, **other))


def test_another_requirement_makes_another_program(tmp_path: Path) -> None:
    upgraded = program(tmp_path / "b", GO_MOD.replace("v1.2.3", "v1.2.4"))
    assert recipes.key(program(tmp_path / "a")) != recipes.key(upgraded)
    assert upgraded.version == "v1.2.4"


def test_another_tool_in_the_same_module_changes_no_key(tmp_path: Path) -> None:
    longer = GO_MOD.replace("one\n)", "one\n\texample.org/server/cmd/two\n)")
    assert longer != GO_MOD
    assert recipes.key(program(tmp_path / "a", longer)) == recipes.key(program(tmp_path / "b"))


def test_code_of_ours_is_part_of_the_key_and_its_tests_are_not(tmp_path: Path) -> None:
    keys = [
        recipes.key(program(tmp_path / "a", main="package main")),
        recipes.key(program(tmp_path / "b", main="package main // changed")),
        recipes.key(program(tmp_path / "c", main="package main", main_test="package main")),
    ]
    assert keys[0] == keys[2] != keys[1]


def test_a_program_of_ours_has_its_key_as_its_version(tmp_path: Path) -> None:
    ours = replace(program(tmp_path / "a"), module="", version_variables=("main.version",))
    assert ours.version == recipes.key(ours)
    assert f"-X main.version={ours.version}" in " ".join(recipes.build_flags(ours))


def test_c_code_is_linked_statically(tmp_path: Path) -> None:
    plain = program(tmp_path / "a")
    assert "-extldflags" not in " ".join(recipes.build_flags(plain))
    flags = recipes.build_flags(replace(plain, cgo=True, tags=("netgo", "osusergo")))
    assert flags[:2] == ["-tags", "netgo,osusergo"]
    assert "-extldflags=-static" in flags[3].split()


@pytest.mark.parametrize(
    ("system", "machine"), [("darwin", "arm64"), ("linux", "riscv64"), ("win32", "x86_64")]
)
def test_another_platform_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, system: str, machine: str
) -> None:
    monkeypatch.setattr("sys.platform", system)
    monkeypatch.setattr("platform.machine", lambda: machine)
    with pytest.raises(Refused, match=f"needs Linux on x86_64 or aarch64; this is {system} on"):
        recipes.go_architecture()
