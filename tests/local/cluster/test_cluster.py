"""What needs no running cluster; the rest is in tests/e2e/test_cluster.py."""

from __future__ import annotations

import shutil
from collections import namedtuple
from collections.abc import Sequence
from pathlib import Path

import pytest

from moltghost.errors import Refused
from moltghost.local.build import builder, programs
from moltghost.local.cluster import startup
from moltghost.local.cluster.cluster import EmbeddedCluster
from moltghost.local.cluster.health import HealthCheck
from moltghost.local.cluster.layout import Layout
from moltghost.local.cluster.ports import PORTS
from moltghost.local.cluster.processes import ProcessTable
from moltghost.progress import Report, silent


@pytest.fixture
def no_build(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails the test if it comes as far as building the toolchain."""

    def build(_report: Report, _names: Sequence[str]) -> None:
        raise AssertionError("the toolchain is built")

    monkeypatch.setattr(builder, "ensure_built", build)


def test_the_status_of_a_cluster_that_never_was_says_so_and_makes_nothing(tmp_path: Path) -> None:
    home = tmp_path / "cluster"
    status = EmbeddedCluster(home).status()
    assert not status.running
    assert (status.server, status.cluster_uid) == ("", "")
    assert [process.name for process in status.processes] == list(PORTS)
    assert {(p.pid, p.alive, p.healthy) for p in status.processes} == {(0, False, False)}
    assert not home.exists()


def test_the_status_of_a_cluster_of_broken_files_does_not_raise(tmp_path: Path) -> None:
    for name in ("ports.json", "kubeconfig", "run/etcd.json", "credentials/tokens.csv"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("{ broken")
    assert not EmbeddedCluster(tmp_path).status().running


def test_down_without_a_cluster_removes_nothing(tmp_path: Path) -> None:
    assert EmbeddedCluster(tmp_path / "cluster").down() == []


@pytest.mark.usefixtures("no_build")
@pytest.mark.parametrize("action", ["up", "down"])
def test_a_folder_with_something_else_is_refused_and_kept(tmp_path: Path, action: str) -> None:
    precious = tmp_path / "thesis.tex"
    precious.write_text("precious")
    with pytest.raises(Refused, match="holds something else than an embedded cluster"):
        getattr(EmbeddedCluster(tmp_path), action)()
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.usefixtures("no_build")
def test_a_full_disk_is_refused_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage(10**12, 10**12, 10**6))
    with pytest.raises(Refused, match=r"needs 1\.0 GiB in .*, 976\.6 KiB are free"):
        EmbeddedCluster(tmp_path / "cluster").up()
    assert not (tmp_path / "cluster").exists()


@pytest.mark.usefixtures("no_build")
def test_an_unsupported_platform_is_refused_before_anything_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    with pytest.raises(Refused, match="needs Linux"):
        EmbeddedCluster(tmp_path / "cluster").up()
    assert not (tmp_path / "cluster").exists()


def test_the_default_home_follows_moltghost_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOLTGHOST_STATE", str(tmp_path))
    assert EmbeddedCluster().status().home == tmp_path / "cluster"


@pytest.mark.parametrize("authority", [None, Path("/nowhere/ca.crt")])
def test_a_health_check_of_nothing_fails_without_raising(authority: Path | None) -> None:
    assert not HealthCheck(port=1, path="/healthz", authority=authority).passes()


def test_versions_in_the_status_are_those_that_are_built(tmp_path: Path) -> None:
    status = EmbeddedCluster(tmp_path / "cluster").status()
    assert status.kubernetes_version == programs.kubernetes_version()
    assert {p.name: p.version for p in status.processes}["etcd"] == programs.program("etcd").version


def test_every_up_empties_big_logs_first_for_the_disk_may_be_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> bool:
        raise OSError(28, "No space left on device")

    log = ProcessTable(tmp_path).log("etcd")
    log.parent.mkdir()
    with log.open("wb") as file:
        file.truncate(21 * 1024**2)
    monkeypatch.setattr(startup, "ensure_certificates", full)
    with pytest.raises(OSError, match="No space"):
        startup.Startup(
            Layout(tmp_path), ProcessTable(tmp_path), silent, node_types=(), machine=None
        ).run()
    assert log.stat().st_size == 0
