"""What the release workflow asks the repository (.github/workflows/release.yml).

    python -m tools.release check v1.2.3     refuse a tag that the repository doesn't describe
    python -m tools.release notes v1.2.3     print the changelog's section
    python -m tools.release images FOLDER    build the images that are ours, and crane

``images`` leaves an OCI image layout for each image in the folder, crane beside them, and prints
one line of JSON that names them.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

from moltghost.errors import MoltghostError, Refused
from moltghost.images import store
from moltghost.images.crane import PROGRAM
from moltghost.local.build import builder, programs
from moltghost.planning.images import pinned_images
from moltghost.progress import Event

PROJECT = Path(__file__).parents[1]


def main(arguments: list[str]) -> None:
    """Run one of the three; exits with 2 at a refusal."""
    try:
        match arguments:
            case ["check", tag]:
                check(tag)
            case ["notes", tag]:
                _print(notes(tag))
            case ["images", folder]:
                _print(json.dumps(images(Path(folder))))
            case _:
                raise Refused("usage: release check TAG | notes TAG | images FOLDER")
    except MoltghostError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_code)


def check(tag: str, project: Path = PROJECT) -> None:
    """Hold a tag against the version and the changelog.

    Raises:
        Refused: they don't agree.
    """
    settings = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))
    version = settings["project"]["version"]
    if tag != f"v{version}":
        raise Refused(
            f"the tag is {tag}, the version in pyproject.toml is {version}",
            f"tag it v{version}, or change the version first",
        )
    notes(tag, project)


def notes(tag: str, project: Path = PROJECT) -> str:
    """The changelog's section of a version.

    Raises:
        Refused: there is none.
    """
    text = (project / "CHANGELOG.md").read_text(encoding="utf-8")
    version = re.escape(tag.removeprefix("v"))
    heading = rf"^## \[{version}\][^\n]*\n(.*?)(?=^## |\Z)"
    found = re.search(heading, text, re.MULTILINE | re.DOTALL)
    if not found or not found[1].strip():
        raise Refused(
            f"CHANGELOG.md has nothing about {tag}",
            f"give what is under [Unreleased] the heading [{tag.removeprefix('v')}] and its date",
        )
    return found[1].strip()


def images(folder: Path) -> list[Mapping[str, str]]:
    """Build the images that are ours; each is an OCI image layout in the folder.

    Returns:
        Of each image its ``name``, ``repository``, ``tag`` and ``digest``.
    """
    ours = [recipe.name for recipe in store.RECIPES if recipe.ours]
    builder.ensure_built(_report, [*store.needed_programs(ours), PROGRAM])
    built = []
    for each, archive in zip(ours, store.ensure_built(_report, ours), strict=True):
        repository, _, tag = getattr(pinned_images(), each).partition(":")
        name = repository.rpartition("/")[2]
        archive.unpack(folder / name)
        built.append({"name": name, "repository": repository, "tag": tag, "digest": archive.digest})
    shutil.copy(programs.binary(PROGRAM), folder / PROGRAM)
    return built


def _report(event: Event) -> None:
    if event.state in ("started", "done", "failed"):
        sys.stderr.write(f"{event.task}: {event.state}\n")


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
