"""Against folders that look like a machine's hierarchies."""

from __future__ import annotations

from pathlib import Path

import pytest

from moltghost.errors import Failed
from moltghost.local.node import cgroups


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two hierarchies of cgroup v1, a link to one of them, and cgroup v2 beside them."""
    for name in ("cpuset", "memory"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "tasks").touch()
    (tmp_path / "cpuset" / "cpuset.cpus").write_text("0-1\n")
    (tmp_path / "cpuset" / "cpuset.mems").write_text("0\n")
    (tmp_path / "cpuset,other").symlink_to("cpuset")
    (tmp_path / "unified").mkdir()
    monkeypatch.setattr(cgroups, "_ROOT", tmp_path)
    return tmp_path


def test_it_is_made_in_every_hierarchy_of_version_1(root: Path) -> None:
    cgroups.make("moltghost-1")
    assert sorted(root.glob("*/moltghost-1")) == [
        root / "cpuset" / "moltghost-1",
        root / "cpuset,other" / "moltghost-1",
        root / "memory" / "moltghost-1",
    ]


def test_an_empty_set_of_cpus_becomes_its_parents(root: Path) -> None:
    folder = root / "cpuset" / "moltghost-1"
    folder.mkdir()
    for name in ("cpuset.cpus", "cpuset.mems"):
        (folder / name).write_text("\n")
    cgroups.make("moltghost-1")
    assert (folder / "cpuset.cpus").read_text() == "0-1\n"
    assert (folder / "cpuset.mems").read_text() == "0\n"


def test_it_is_made_once_in_version_2(root: Path) -> None:
    (root / "cgroup.controllers").write_text("cpu memory\n")
    cgroups.make("moltghost-1")
    assert (root / "moltghost-1").is_dir()
    assert not (root / "memory" / "moltghost-1").exists()


def test_it_is_removed_with_those_below_it_and_nothing_else(root: Path) -> None:
    (root / "memory" / "moltghost-1" / "kubepods" / "pod1").mkdir(parents=True)
    (root / "unified" / "moltghost-1" / "kubepods").mkdir(parents=True)
    (root / "memory" / "moltghost-2").mkdir()
    cgroups.remove("moltghost-1")
    cgroups.remove("moltghost-1")
    assert list(root.glob("*/moltghost-*")) == [root / "memory" / "moltghost-2"]


def test_one_that_stays_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # What a process keeps in the kernel, a file keeps here.
    (root / "memory" / "moltghost-1").mkdir()
    (root / "memory" / "moltghost-1" / "tasks").touch()
    monkeypatch.setattr(cgroups, "_EMPTY_SECONDS", 0.1)
    with pytest.raises(Failed, match=r"the cgroup .*/memory/moltghost-1 can't be removed"):
        cgroups.remove("moltghost-1")
