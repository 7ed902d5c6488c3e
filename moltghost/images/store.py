"""The images of this machine: built once, kept as archives in the cache."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from moltghost import locks, paths
from moltghost.errors import Refused
from moltghost.images.archive import Archive
from moltghost.images.oci import write_archive
from moltghost.images.openclaw_image import OpenClawImage
from moltghost.images.recipe import Recipe
from moltghost.images.static import GateImage, OllamaImage, ToolsImage
from moltghost.local.build import builder, recipes
from moltghost.progress import Event, Report, silent
from moltghost.units import GIB, format_bytes

RECIPES: tuple[Recipe, ...] = (OllamaImage(), GateImage(), OpenClawImage(), ToolsImage())
NAMES = tuple(recipe.name for recipe in RECIPES)

# Measured: 2.1 GiB at the peak of OpenClaw's image (npm's cache 0.2, packages 0.65, Node.js 0.2,
# layers and archive 0.8); finished archives take 0.6.
NEEDED_BYTES = 3 * GIB


def recipe(name: str) -> Recipe:
    """The recipe of that name."""
    return next(each for each in RECIPES if each.name == name)


def images_home() -> Path:
    """The folder of all archives in the cache."""
    return paths.cache_home() / "images"


def archive(name: str) -> Archive:
    """The archive of an image; its file is there once it is built."""
    wanted = recipe(name)
    return Archive(images_home() / f"{name}-{wanted.key}.tar")


def is_built(names: Iterable[str] = NAMES) -> bool:
    """Whether nothing of these is left to build."""
    return not _missing(names)


def needed_programs(names: Iterable[str] = NAMES) -> list[str]:
    """Programs that are built for the images that are missing.

    Who builds other programs too names these with them: Go and its caches are set up only once.
    """
    return [program for each in _missing(names) for program in each.programs]


def ensure_built(report: Report = silent, names: Sequence[str] = NAMES) -> list[Archive]:
    """Build what is missing of these images; return at once when nothing is.

    Raises:
        Refused: unsupported platform, not enough disk space, no compiler or headers.
        Failed: a download or a build failed; what is finished is kept.
    """
    if is_built(names):
        report(Event(task="build images", state="cached"))
        return [archive(name) for name in names]
    home = images_home()

    def on_wait(holder: str) -> None:
        detail = f"waiting for process {holder}, which is building them"
        report(Event(task="build images", state="running", detail=detail))

    with locks.exclusive(home / "lock", on_wait=on_wait):
        _refuse_full_disk(home)
        if programs := needed_programs(names):
            builder.ensure_built(report, programs)
        _remove_leftovers(home)
        for each in _missing(names):
            _build(each, home, report)
    return [archive(name) for name in names]


def _build(wanted: Recipe, home: Path, report: Report) -> None:
    task = f"image {wanted.name}"
    report(Event(task=task, state="started", detail=wanted.reference))
    work = home / "build" / wanted.name
    work.mkdir(parents=True, exist_ok=True)
    layers = wanted.layers(work, report)
    report(Event(task=task, state="running", detail="writing the archive"))
    target = archive(wanted.name)
    architecture = recipes.go_architecture()
    write_archive(target.file, wanted.reference, layers, wanted.config(), architecture)
    shutil.rmtree(work)
    report(Event(task=task, state="done", detail=format_bytes(target.size_bytes)))


def _missing(names: Iterable[str]) -> list[Recipe]:
    return [recipe(name) for name in names if not archive(name).file.exists()]


def _remove_leftovers(home: Path) -> None:
    """What a killed build left half-written; what it downloaded stays."""
    for partial in home.glob(".*.layers"):
        shutil.rmtree(partial)


def _refuse_full_disk(home: Path) -> None:
    free = shutil.disk_usage(home).free
    if free < NEEDED_BYTES:
        raise Refused(
            f"building images needs {format_bytes(NEEDED_BYTES)} in {home}, "
            f"{format_bytes(free)} are free",
            "free some space, or set XDG_CACHE_HOME to a folder on a larger disk",
        )
