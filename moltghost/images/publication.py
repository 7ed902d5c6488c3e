"""Publishing: an environment's registry gets its images, upstream's by digest, ours from archives.

All questions come before the first copy, so that a refusal leaves the registry as it was. What is
there already isn't copied again, so an interrupted run is continued by the next one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from moltghost.errors import Refused
from moltghost.images.archive import Archive
from moltghost.images.crane import Crane, RegistryError
from moltghost.progress import Event, Report, silent

_TASK = "ask the registries"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """An image that a registry is to have.

    Args:
        name: of its repository, without what all of an environment's have in common.
        target: reference with a tag.
        source: upstream's reference with a tag, which it is copied from.
        archive: ours, which is pushed instead of copying.
        pinned: digest that the environment's config has for it; "" if none.
    """

    name: str
    target: str
    source: str
    archive: Archive | None = None
    pinned: str = ""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What becomes of a wanted image: its digest, and how it gets there.

    Args:
        wanted: the image.
        digest: of its manifest or index.
        action: ``none`` if the registry has it already.
    """

    wanted: Wanted
    digest: str
    action: Literal["copy", "push", "none"]

    @property
    def source(self) -> str:
        """Upstream's image, by its digest."""
        return f"{self.wanted.source.rpartition(':')[0]}@{self.digest}"


def decide(crane: Crane, wanted: Sequence[Wanted], report: Report = silent) -> list[Decision]:
    """Ask the registries what has to be done; change nothing.

    Raises:
        Refused: a registry doesn't answer or says no, upstream has no such image, or the registry
            has another image under a tag.
    """
    report(Event(task=_TASK, state="started"))
    decisions = []
    try:
        for position, each in enumerate(wanted):
            share = position / len(wanted)
            report(Event(task=_TASK, state="running", detail=each.name, fraction=share))
            decisions.append(_decide(crane, each))
    except RegistryError as error:
        report(Event(task=_TASK, state="failed"))
        raise Refused(error.message, error.hint) from error
    report(Event(task=_TASK, state="done"))
    return decisions


def _decide(crane: Crane, wanted: Wanted) -> Decision:
    found = crane.digest(wanted.target)
    if wanted.archive:
        digest = wanted.archive.digest
    elif found and found == wanted.pinned:
        digest = found  # upstream may have moved its tag since; what is pinned is what counts
    else:
        digest = _upstream_digest(crane, wanted)
    if found and found != digest:
        raise Refused(
            f"{wanted.target} is {found} in the registry, but {digest} "
            f"{'as it is built here' if wanted.archive else f'is what {wanted.source} is now'}; "
            "a tag there can't be changed",
            "give the image another version in moltghost/planning/images.json"
            if wanted.archive
            else "find out which of the two is meant; `moltghost images pin` takes the registry's",
        )
    action: Literal["copy", "push"] = "push" if wanted.archive else "copy"
    return Decision(wanted=wanted, digest=digest, action="none" if found else action)


def _upstream_digest(crane: Crane, wanted: Wanted) -> str:
    if digest := crane.digest(wanted.source):
        return digest
    raise Refused(
        f"there is no image {wanted.source}",
        "check its version in moltghost/planning/images.json or moltghost/planning/aws/facts.json",
    )


def carry_out(crane: Crane, decisions: Sequence[Decision], report: Report = silent) -> None:
    """Copy and push what isn't there yet; each is read back.

    Raises:
        RegistryError: a registry doesn't answer, refuses, or has something else than it should;
            what is there already stays.
    """
    for each in decisions:
        if each.action == "copy":
            crane.copy(each.source, each.wanted.target, report)
        elif each.wanted.archive and each.action == "push":
            crane.push(each.wanted.archive, each.wanted.target, report)
