"""The store of archives, with recipes of ours: built once, kept, and what is said meanwhile."""

from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from moltghost.errors import Failed, Refused
from moltghost.images import store, tree
from moltghost.images.oci import ImageConfig
from moltghost.images.recipe import Recipe
from moltghost.images.tree import Entry
from moltghost.local.build import builder
from moltghost.progress import Event, Report


class Hello(Recipe):
    name = "gate"
    title = "Hello"
    programs = ("caddy",)
    broken = False
    made = 0

    def config(self) -> ImageConfig:
        return ImageConfig(user="1000:1000", command=("hello",), labels=self.labels())

    def layers(self, work: Path, report: Report) -> list[list[Entry]]:
        type(self).made += 1
        (work / "downloaded").touch()
        if self.broken:
            raise Failed("the download failed", "again")
        return [tree.base("hello", "/home/hello")]


class Bye(Hello):
    name = "tools"
    title = "Bye"
    programs = ()


@pytest.fixture(autouse=True)
def asked_of_the_builder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    asked: list[list[str]] = []
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(store, "RECIPES", (Hello(), Bye()))
    monkeypatch.setattr(builder, "ensure_built", lambda _report, names: asked.append(names))
    monkeypatch.setattr(Hello, "made", 0)
    monkeypatch.setattr(Bye, "made", 0)
    return asked


NAMES = ("gate", "tools")


def test_images_are_built_once_from_programs_that_are_built_first(
    asked_of_the_builder: list[list[str]],
) -> None:
    events: list[Event] = []
    assert store.needed_programs(NAMES) == ["caddy"]
    built = store.ensure_built(events.append, NAMES)
    assert [image.reference for image in built] == [
        "moltghost.local/gate:2.11.9",
        "moltghost.local/agent-tools:0.1.0",
    ]
    assert asked_of_the_builder == [["caddy"]]
    assert [e.task for e in events if e.state == "done"] == ["image gate", "image tools"]
    assert store.ensure_built(events.append, NAMES) == built
    assert (Hello.made, Bye.made, asked_of_the_builder) == (1, 1, [["caddy"]])
    assert events[-1] == Event(task="build images", state="cached")
    assert store.needed_programs(NAMES) == []


def test_only_what_is_asked_for_is_built() -> None:
    store.ensure_built(names=["tools"])
    assert (Hello.made, Bye.made) == (0, 1)
    assert store.is_built(["tools"])
    assert not store.is_built(NAMES)


def test_a_failed_build_keeps_what_is_finished_and_what_was_downloaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Bye, "broken", True)
    with pytest.raises(Failed, match="the download failed"):
        store.ensure_built(names=NAMES)
    assert store.is_built(["gate"])
    assert (store.images_home() / "build" / "tools" / "downloaded").exists()
    monkeypatch.setattr(Bye, "broken", False)
    store.ensure_built(names=NAMES)
    assert (Hello.made, Bye.made) == (1, 2)
    assert not (store.images_home() / "build" / "tools").exists()


def test_what_a_killed_build_left_half_written_is_removed() -> None:
    half = store.images_home() / ".gate-0.tar.4711.layers"
    half.mkdir(parents=True)
    (half / "archive").write_text("half")
    store.ensure_built(names=["gate"])
    assert not half.exists()


def test_a_full_disk_is_refused_before_anything_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage(10**12, 10**12, 10**9))
    with pytest.raises(Refused, match=r"building images needs 3\.0 GiB in .*953\.7 MiB are free"):
        store.ensure_built(names=NAMES)
    assert Hello.made == 0


def test_a_change_of_a_recipe_is_another_archive(monkeypatch: pytest.MonkeyPatch) -> None:
    store.ensure_built(names=["tools"])
    monkeypatch.setattr(Bye, "title", "Good bye")
    monkeypatch.setattr(store, "RECIPES", (Hello(), Bye()))
    assert not store.is_built(["tools"])
