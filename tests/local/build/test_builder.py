"""The builder with a compiler of ours: what is kept, what is built again, what is said."""

from __future__ import annotations

import shutil
import time
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import pytest

from moltghost.errors import Failed, Refused
from moltghost.local.build import builder, go, programs, recipes
from moltghost.local.build.programs import CONTROL_PLANE
from moltghost.progress import Event, Report

# Answers `go list` and "compiles" a program into a file with its package's name.
COMPILER = """#!/bin/sh
case "$1 $2" in
"list -deps") echo "$3"; echo shared ;;
"list -m") shift 4; for module; do echo "$module $MODULES/$module"; done ;;
build*)
    for last; do :; done
    echo "$last" >&2
    case "$last" in *$HANGING) exec sleep 600 ;; esac
    case "$last" in *$FAILING) echo "cannot find -lsomething" >&2; exit 1 ;; esac
    while [ "$1" != -o ]; do shift; done
    echo "$last" > "$2" ;;
esac
"""


@pytest.fixture
def build_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("MODULES", str(tmp_path / "modules"))
    monkeypatch.setenv("FAILING", "nothing")
    monkeypatch.setenv("HANGING", "nothing")
    for program in programs.PROGRAMS:
        for change in program.changes:
            source = tmp_path / "modules" / change.module / change.file
            source.parent.mkdir(parents=True)
            source.write_text(f"package x // {change.old}")
        for copied in program.manifests:
            manifest = tmp_path / "modules" / copied.module / copied.file
            manifest.parent.mkdir(parents=True, exist_ok=True)
            manifest.write_text(f"name: {copied.file}")
    monkeypatch.setattr(go, "install", install)
    return recipes.toolchain_home() / "build"


def install(build_home: Path, _report: Report) -> go.Go:
    compiler = build_home / "go" / "bin" / "go"
    compiler.parent.mkdir(parents=True, exist_ok=True)
    compiler.write_text(COMPILER)
    compiler.chmod(0o755)
    return go.Go(root=build_home / "go", build_home=build_home)


def built() -> list[str]:
    return sorted(path.name for path in recipes.toolchain_home().glob("*/*") if path.is_file())


def test_everything_is_built_once_and_the_caches_are_removed(build_home: Path) -> None:
    builder.ensure_built()
    assert built() == sorted(CONTROL_PLANE)
    assert [path.name for path in programs.custom_resources()] == [
        "autoscaling.x-k8s.io_capacitybuffers.yaml",
        "karpenter.kwok.sh_kwoknodeclasses.yaml",
        "karpenter.sh_nodeclaims.yaml",
        "karpenter.sh_nodeoverlays.yaml",
        "karpenter.sh_nodepools.yaml",
        "kwok.x-k8s.io_stages.yaml",
    ]
    assert not build_home.exists()
    events: list[Event] = []
    builder.ensure_built(events.append)
    assert [(event.task, event.state) for event in events] == [("build toolchain", "cached")]


def test_progress_names_each_program_and_its_place(build_home: Path) -> None:
    events: list[Event] = []
    builder.ensure_built(events.append)
    started = [(e.task, e.detail) for e in events if e.state == "started" and e.detail]
    assert started == [
        (f"build {name}", f"{index} of 8") for index, name in enumerate(CONTROL_PLANE, start=1)
    ]
    assert all(event.fraction is None or 0 <= event.fraction <= 1 for event in events)
    assert events[-1].task == "build toolchain"
    assert events[-1].state == "done"


def test_a_failed_build_shows_its_last_lines_and_keeps_what_is_finished(
    build_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAILING", "kubectl")
    with pytest.raises(Failed, match=r"(?s)building kubectl failed:.*cannot find -lsomething"):
        builder.ensure_built()
    assert built() == ["etcd", "kube-apiserver"]
    assert build_home.exists()
    monkeypatch.setenv("FAILING", "nothing")
    events: list[Event] = []
    builder.ensure_built(events.append)
    assert not any(event.task == "build etcd" for event in events)
    assert ("build kubectl", "3 of 8") in [(event.task, event.detail) for event in events]


@pytest.mark.usefixtures("build_home")
@pytest.mark.parametrize(
    ("failing", "hanging"), [("kubelet", "kube-proxy"), ("kube-proxy", "kubelet")]
)
def test_programs_in_c_are_built_beside_the_others_and_one_that_fails_ends_all(
    monkeypatch: pytest.MonkeyPatch, failing: str, hanging: str
) -> None:
    in_c = replace(programs.program("kubelet"), cgo=True)
    monkeypatch.setattr(programs, "PROGRAMS", (programs.program("kube-proxy"), in_c))
    monkeypatch.setattr(shutil, "which", lambda name: name)
    monkeypatch.setenv("FAILING", failing)
    monkeypatch.setenv("HANGING", hanging)
    begin = time.monotonic()
    with pytest.raises(Failed, match=rf"building {failing} failed"):
        builder.ensure_built(names=["kube-proxy", "kubelet"])
    assert time.monotonic() - begin < 60  # the other one hangs for ten minutes
    assert built() == []
    monkeypatch.setenv("FAILING", "nothing")
    monkeypatch.setenv("HANGING", "nothing")
    builder.ensure_built(names=["kube-proxy", "kubelet"])
    assert built() == ["kube-proxy", "kubelet"]


def test_what_an_interrupted_build_left_half_written_is_removed(build_home: Path) -> None:
    partial = recipes.toolchain_home() / ".etcd.4711.partial"
    partial.mkdir(parents=True)
    (partial / "etcd").write_text("half")
    builder.ensure_built()
    assert not partial.exists()


def test_a_change_to_a_source_is_built_from_a_copy(build_home: Path, tmp_path: Path) -> None:
    karpenter = programs.program("karpenter")
    (change,) = karpenter.changes
    directory = tmp_path / "modules" / change.module
    module_file = builder._changed_module_file(build_home, karpenter, {change.module: directory})
    changed = build_home / "changed" / "karpenter" / change.module
    assert change.new in (changed / change.file).read_text()
    assert change.new not in (directory / change.file).read_text()
    assert f"replace {change.module} => {changed}" in module_file.read_text()


def test_a_change_that_no_longer_applies_stops_the_build(build_home: Path, tmp_path: Path) -> None:
    (change,) = programs.program("karpenter").changes
    (tmp_path / "modules" / change.module / change.file).write_text("package other")
    with pytest.raises(Failed, match=r"is no longer in sigs\.k8s\.io/karpenter/pkg/operator"):
        builder.ensure_built()


@pytest.mark.usefixtures("build_home")
def test_a_program_is_built_when_it_is_asked_for_and_nothing_else() -> None:
    builder.ensure_built(names=["kubelet"])
    assert built() == ["kubelet"]
    assert builder.is_built(["kubelet"])
    assert not builder.is_built(["kubelet", "etcd"])


@pytest.mark.usefixtures("build_home")
def test_a_program_in_c_is_refused_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    in_c = replace(programs.program("kubelet"), cgo=True)
    monkeypatch.setattr(programs, "PROGRAMS", (in_c,))
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "cc" else name)
    with pytest.raises(Refused, match=r"building kubelet needs .* lacks: the compiler cc\n"):
        builder.ensure_built(names=["kubelet"])
    assert built() == []


def test_a_header_that_a_module_lacks_is_added_to_a_copy(build_home: Path, tmp_path: Path) -> None:
    ollama = programs.program("ollama")
    (added,) = ollama.added
    homes = {name: tmp_path / "modules" / name for name in (added.module, added.source_module)}
    for home in homes.values():
        home.mkdir(parents=True)
    (homes[added.source_module] / added.source_file).write_text("miniaudio")
    module_file = builder._changed_module_file(build_home, ollama, homes)
    changed = build_home / "changed" / "ollama" / "github.com/ollama/ollama"
    header = changed / "llama/llama.cpp/vendor/miniaudio/miniaudio.h"
    assert header.read_text() == "miniaudio"
    assert f"replace github.com/ollama/ollama => {changed}\n" in module_file.read_text()
    assert "malgo =>" not in module_file.read_text()
    assert list(homes[added.module].iterdir()) == []


@pytest.mark.usefixtures("build_home")
def test_headers_that_the_machine_lacks_are_named_with_their_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: name)
    monkeypatch.setattr(builder, "_HEADERS", tmp_path)
    with pytest.raises(Refused, match=r"lacks: nlohmann/json\.hpp, stb/stb_image\.h\n") as no:
        builder.ensure_built(names=["ollama"])
    assert no.value.hint.startswith("apt-get install nlohmann-json3-dev libstb-dev (as root)")
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "c++" else name)
    with pytest.raises(Refused, match=r"lacks: the compiler c\+\+, nlohmann/json") as no:
        builder.ensure_built(names=["ollama"])
    assert no.value.hint.startswith("apt-get install g++ nlohmann-json3-dev libstb-dev (as root)")
    assert built() == []


def test_c_is_compiled_with_the_programs_flags_and_names_no_folder_of_this_machine(
    tmp_path: Path,
) -> None:
    environment = go.Go(root=tmp_path, build_home=tmp_path).environment(cgo=True, c_flags=["-O3"])
    assert environment["CGO_CFLAGS"] == f"-O3 -ffile-prefix-map={tmp_path}=/build"
    assert environment["CGO_CXXFLAGS"] == environment["CGO_CFLAGS"]
    assert "-extldflags=-static" in recipes.build_flags(programs.program("ollama"))[-1]
    assert "-extldflags" not in recipes.build_flags(programs.program("caddy"))[-1]


@pytest.mark.usefixtures("build_home")
def test_a_full_disk_is_refused_before_anything_is_downloaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage(10**12, 10**12, 10**9))
    with pytest.raises(Refused, match=r"needs 7\.0 GiB in .*, 953\.7 MiB are free") as refusal:
        builder.ensure_built()
    assert "XDG_CACHE_HOME" in refusal.value.hint
    assert not (recipes.toolchain_home() / "build").exists()


def test_the_callers_own_go_settings_do_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"GOOS": "plan9", "GOFLAGS": "-race", "CGO_ENABLED": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("GOPROXY", "https://proxy.example")
    environment = go.Go(root=tmp_path, build_home=tmp_path).environment()
    assert "GOOS" not in environment
    assert "-race" not in environment["GOFLAGS"]
    assert environment["CGO_ENABLED"] == "0"
    assert go.Go(root=tmp_path, build_home=tmp_path).environment(cgo=True)["CGO_ENABLED"] == "1"
    assert environment["GOTOOLCHAIN"] == "local"
    assert environment["GOPROXY"] == "https://proxy.example"  # where modules come from is theirs
