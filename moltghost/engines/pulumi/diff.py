"""Differences between two property values, shown without secrets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from moltghost.engines.interface import SECRET_TEXT, Change
from moltghost.engines.pulumi.values import Path, Secret, format_path, masked, plain

_ABSENT = object()


def diff(before: Any, after: Any) -> tuple[Change, ...]:
    """The differing leaves, in the order of ``after``; lists are compared by position."""
    return tuple(_changes((), before, after, secret=False))


def same(before: Any, after: Any) -> bool:
    """Whether both are equal, secrets compared by their plain text."""
    return bool(plain(before) == plain(after))


def missing_or_different(wanted: Any, live: Any) -> tuple[Change, ...]:
    """Where ``live`` doesn't have what ``wanted`` says; what only ``live`` has is no difference."""
    return tuple(_subset((), wanted, live, secret=False))


def _changes(path: Path, before: Any, after: Any, *, secret: bool) -> Iterator[Change]:
    secret = secret or isinstance(before, Secret) or isinstance(after, Secret)
    before, after = _opened(before), _opened(after)
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in [*after, *(key for key in before if key not in after)]:
            pair = before.get(key, _ABSENT), after.get(key, _ABSENT)
            yield from _changes((*path, key), *pair, secret=secret)
    elif isinstance(before, list) and isinstance(after, list):
        for index in range(max(len(before), len(after))):
            pair = _item(before, index), _item(after, index)
            yield from _changes((*path, index), *pair, secret=secret)
    elif plain(before) != plain(after):
        yield Change(format_path(path), _shown(before, secret), _shown(after, secret))


def _subset(path: Path, wanted: Any, live: Any, *, secret: bool) -> Iterator[Change]:
    secret = secret or isinstance(wanted, Secret)
    wanted = _opened(wanted)
    if isinstance(wanted, Mapping) and isinstance(live, Mapping):
        for key, item in wanted.items():
            yield from _subset((*path, key), item, live.get(key, _ABSENT), secret=secret)
    elif isinstance(wanted, list) and isinstance(live, list) and len(wanted) == len(live):
        for index, item in enumerate(wanted):
            yield from _subset((*path, index), item, live[index], secret=secret)
    elif plain(wanted) != live and not (live is _ABSENT and not plain(wanted)):
        yield Change(format_path(path), _shown(live, secret), _shown(wanted, secret))


def _opened(value: Any) -> Any:
    return _opened(value.value) if isinstance(value, Secret) else value


def _item(items: list[Any], index: int) -> Any:
    return items[index] if index < len(items) else _ABSENT


def _shown(value: Any, secret: bool) -> Any:
    if value is _ABSENT:
        return None
    return SECRET_TEXT if secret else masked(value)
