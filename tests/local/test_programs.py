from __future__ import annotations

import re
from dataclasses import replace

import pytest

from moltghost.errors import Refused
from moltghost.local import programs


def test_versions_have_one_home() -> None:
    versions = {program.name: program.version for program in programs.PROGRAMS}
    assert versions["kube-apiserver"] == versions["kubectl"] == programs.kubernetes_version()
    assert all(re.fullmatch(r"v\d+\.\d+\.\d+", version) for version in versions.values())
    assert re.fullmatch(r"\d+\.\d+\.\d+", programs.go_version())


def test_every_program_is_a_tool_of_the_module() -> None:
    text = (programs.SOURCES / "go.mod").read_text()
    tools = re.search(r"^tool \(\n(.*?)^\)", text, re.MULTILINE | re.DOTALL)
    assert tools
    assert set(tools[1].split()) == {program.package for program in programs.PROGRAMS}


def test_staging_modules_have_the_version_that_belongs_to_kubernetes() -> None:
    text = (programs.SOURCES / "go.mod").read_text()
    replaced = re.findall(r"^\tk8s\.io/\S+ => k8s\.io/\S+ (v\S+)$", text, re.MULTILINE)
    assert set(replaced) == {programs.kubernetes_version().replace("v1.", "v0.", 1)}


def test_kubernetes_binaries_carry_their_version() -> None:
    flags = programs.linker_flags(programs.program("kube-apiserver"))
    version = programs.kubernetes_version()
    assert f"-X k8s.io/component-base/version.gitVersion={version}" in flags
    assert f"-X k8s.io/client-go/pkg/version.gitVersion={version}" in flags
    assert "-X k8s.io/component-base/version.gitMajor=1 " in flags


def test_equal_sources_have_an_equal_hash_and_any_change_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = programs.toolchain_hash()
    assert programs.toolchain_hash() == before
    monkeypatch.setattr(programs, "SOURCE_CHANGES", ())
    without_changes = programs.toolchain_hash()
    first, *rest = programs.PROGRAMS
    changed = replace(first, version_variables=("main.version",))
    monkeypatch.setattr(programs, "PROGRAMS", (changed, *rest))
    assert len({before, without_changes, programs.toolchain_hash()}) == 3


@pytest.mark.parametrize(
    ("system", "machine"), [("darwin", "arm64"), ("linux", "riscv64"), ("win32", "x86_64")]
)
def test_another_platform_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, system: str, machine: str
) -> None:
    monkeypatch.setattr("sys.platform", system)
    monkeypatch.setattr("platform.machine", lambda: machine)
    with pytest.raises(Refused, match=f"needs Linux on x86_64 or aarch64; this is {system} on"):
        programs.go_architecture()


def test_the_cache_folder_can_be_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    path = programs.binary("etcd")
    assert str(path) == f"/elsewhere/moltghost/toolchain/{programs.toolchain_hash()}/bin/etcd"
