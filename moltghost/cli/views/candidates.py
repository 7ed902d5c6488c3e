"""What a sizing weighed beside its choice, as people read it: one line for what is alike."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

import click

from moltghost.sizing import Candidate, Sizing

_NARROW = 80


def bold(text: str) -> str:
    """For headings and for the answer itself."""
    return click.style(text, bold=True)


def dim(text: str) -> str:
    """For what explains."""
    return click.style(text, fg="bright_black")


# Verdicts of which only the GPU kinds are told, and how.
_TOLD_BRIEFLY = {"no pool": "No pool", "other GPU asked for": "Not asked for"}


def candidate_lines(sizing: Sizing, width: int) -> Iterator[str]:
    """The runners-up, what was rejected and why, and what wasn't looked at."""
    others = [c for c in sizing.candidates if c.reason != "chosen"]
    weighed = [c for c in others if c.verdict not in _TOLD_BRIEFLY]
    weighed.sort(key=lambda c: (not c.fits, _paid(c, sizing) or 0, c.instance_type))
    yield bold("What else was weighed")
    if weighed:
        yield from _rows(weighed, sizing, width)
    for verdict, words in _TOLD_BRIEFLY.items():
        yield from _brief(words, [c for c in others if c.verdict == verdict], width)


@dataclass(frozen=True, slots=True)
class _Group:
    """Candidates that differ by their node's size alone."""

    candidates: tuple[Candidate, ...]

    @property
    def first(self) -> Candidate:
        return self.candidates[0]

    @property
    def name(self) -> str:
        family, _, _ = self.first.instance_type.partition(".")
        count = len(self.candidates)
        return self.first.instance_type if count == 1 else f"{family}, {count} sizes"


def _groups(candidates: Sequence[Candidate]) -> list[_Group]:
    """What was rejected for the same reason becomes one row; runners-up stay apart."""
    rows: dict[object, list[Candidate]] = {}
    for candidate in candidates:
        family, _, _ = candidate.instance_type.partition(".")
        same = (family, candidate.gpu_count, candidate.verdict, candidate.reason)
        rows.setdefault(candidate.instance_type if candidate.fits else same, []).append(candidate)
    return [_Group(tuple(row)) for row in rows.values()]


def _rows(candidates: Sequence[Candidate], sizing: Sizing, width: int) -> Iterator[str]:
    groups = _groups(candidates)
    cells = [(group.name, _gpus(group.first), _price(group, sizing)) for group in groups]
    names, gpus, prices = (max(map(len, column), default=0) for column in zip(*cells, strict=True))
    for group, (name, gpu, price) in zip(groups, cells, strict=True):
        head = f"  {name:<{names}}  {gpu:<{gpus}}  {price:>{prices}}"
        reason = group.first.reason
        if width < _NARROW and len(head) + 2 + len(reason) > width:
            yield head
            yield from map(dim, _reason_lines(reason, width, indent=4))
            continue
        lines = _reason_lines(reason, width - len(head) - 2, indent=0)
        for number, line in enumerate(lines):
            start = head if number == 0 else " " * len(head)
            yield start + "  " + dim(line)


def _reason_lines(reason: str, width: int, *, indent: int) -> list[str]:
    space = " " * indent
    return textwrap.wrap(reason, width, initial_indent=space, subsequent_indent=space)


def _gpus(candidate: Candidate) -> str:
    return f"{candidate.gpu_count} x {candidate.gpu}"


def _paid(candidate: Candidate, sizing: Sizing) -> Decimal | None:
    dedicated = sizing.placement.dedicated
    return candidate.node_usd_per_hour if dedicated else candidate.usd_per_hour


def _price(group: _Group, sizing: Sizing) -> str:
    price = _paid(group.first, sizing)
    if price is None:
        return ""
    return f"{'from ' if len(group.candidates) > 1 else ''}${price:.2f}/h"


def _brief(words: str, candidates: Sequence[Candidate], width: int) -> Iterator[str]:
    """Families of instance types with their GPU kind, in one sentence."""
    if not candidates:
        return
    families: dict[str, None] = {}
    for candidate in candidates:
        families[f"{candidate.instance_type.partition('.')[0]} ({candidate.gpu})"] = None
    yield from textwrap.wrap(
        f"{words}: {', '.join(families)}.", width, initial_indent="  ", subsequent_indent="  "
    )
