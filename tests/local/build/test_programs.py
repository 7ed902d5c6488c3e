from __future__ import annotations

import re
from pathlib import Path

import pytest

from moltghost.local.build import programs, recipes

HOMES = sorted({program.home for program in programs.PROGRAMS})


def test_versions_have_one_home() -> None:
    versions = {program.name: program.version for program in programs.PROGRAMS if program.module}
    assert versions["kube-apiserver"] == versions["kubelet"] == programs.kubernetes_version()
    assert all(re.fullmatch(r"v\d+\.\d+\.\d+", version) for version in versions.values())
    assert re.fullmatch(r"\d+\.\d+\.\d+", recipes.go_version())


@pytest.mark.parametrize("home", HOMES, ids=lambda home: home.name)
def test_every_program_from_elsewhere_is_a_tool_of_its_module(home: Path) -> None:
    text = (home / "go.mod").read_text()
    listed = re.search(r"^tool \(\n(.*?)^\)", text, re.MULTILINE | re.DOTALL)
    single = re.search(r"^tool (\S+)$", text, re.MULTILINE)
    tools = listed[1].split() if listed else [single[1]] if single and single[1] != "(" else []
    packages = {p.package for p in programs.PROGRAMS if p.home == home if p.package[0] != "."}
    assert set(tools) == packages


def test_names_are_unique_and_the_control_plane_is_among_them() -> None:
    names = [program.name for program in programs.PROGRAMS]
    assert len(set(names)) == len(names)
    assert set(programs.CONTROL_PLANE) < set(names)


def test_staging_modules_have_the_version_that_belongs_to_kubernetes() -> None:
    text = (programs.KUBERNETES_HOME / "go.mod").read_text()
    replaced = re.findall(r"^\tk8s\.io/\S+ => k8s\.io/\S+ (v\S+)$", text, re.MULTILINE)
    assert set(replaced) == {programs.kubernetes_version().replace("v1.", "v0.", 1)}


def test_kubernetes_binaries_carry_their_version() -> None:
    flags = " ".join(recipes.build_flags(programs.program("kube-apiserver")))
    version = programs.kubernetes_version()
    assert f"-X k8s.io/component-base/version.gitVersion={version}" in flags
    assert f"-X k8s.io/client-go/pkg/version.gitVersion={version}" in flags
    assert "-X k8s.io/component-base/version.gitMajor=1 " in flags


def test_the_cache_folder_can_be_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    etcd = programs.program("etcd")
    path = str(programs.binary("etcd"))
    assert path == f"/elsewhere/moltghost/toolchain/etcd-{recipes.key(etcd)}/etcd"
