"""Reading the properties of resources, which are the SDK's proxies: mappings, but no dicts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fnmatch import fnmatchcase
from typing import Any, Final

from pulumi_policy.proxy import UNKNOWN_OBJECT_VALUE, UnknownValueError


class Unknown:
    """The type of ``UNKNOWN``, a leaf that a preview doesn't know."""


UNKNOWN: Final = Unknown()

_MISSING: Final = object()


class Undecided(UnknownValueError):
    """A rule can't tell, and no value that becomes known later will change that."""

    def __init__(self, reason: str) -> None:
        super().__init__(UNKNOWN_OBJECT_VALUE, [])
        self.message = reason


def get(value: Any, path: str, default: Any = None) -> Any:
    """The value at a dotted path, or ``default`` where a part is absent.

    Raises:
        UnknownValueError: it, or what it is in, isn't known yet.
    """
    for part in path.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return default
        value = value[part]
    return default if value is None else value


def has(value: Any, path: str) -> bool:
    """Whether there is something at a dotted path, even if it isn't known what."""
    try:
        return get(value, path, _MISSING) is not _MISSING
    except UnknownValueError:
        return True


def items(value: Any, path: str) -> Sequence[Any]:
    """The list at a dotted path; empty where there is none."""
    found = get(value, path, ())
    return found if isinstance(found, Sequence) and not isinstance(found, str) else ()


def mapping(value: Any, path: str) -> Mapping[str, Any]:
    """The mapping at a dotted path; empty where there is none."""
    found = get(value, path, {})
    return found if isinstance(found, Mapping) else {}


def labels(props: Mapping[str, Any]) -> Mapping[str, Any]:
    """The labels of a Kubernetes object."""
    return mapping(props, "metadata.labels")


def is_true(value: Any) -> bool:
    """Launch templates write booleans as text."""
    return value is True or (isinstance(value, str) and value.lower() == "true")


def document(value: Any) -> Mapping[str, Any]:
    """A JSON document in a property, given as text or as values; empty if it is neither."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return {}
    return value if isinstance(value, Mapping) else {}


def as_list(value: Any) -> Sequence[Any]:
    """One or several values as a list, as IAM documents have them."""
    if value is None:
        return ()
    return value if isinstance(value, Sequence) and not isinstance(value, str) else (value,)


def accounts_of(provider: Any) -> Sequence[str]:
    """The accounts that an AWS provider is limited to; a provider has its lists as JSON text."""
    given = get(provider, "allowedAccountIds")
    return [str(each) for each in as_list(json.loads(given) if isinstance(given, str) else given)]


def matches(name: str, patterns: Sequence[str]) -> bool:
    """Whether a name fits one of the shell-style patterns."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


@dataclass(frozen=True)
class Leaf:
    """One value inside nested properties, ``UNKNOWN`` where it isn't known yet."""

    path: str
    value: Any
    error: UnknownValueError | None = None


def leaves(value: Any, path: str = "") -> Iterator[Leaf]:
    """All values inside nested properties, with their paths."""
    if isinstance(value, Mapping):
        keys: Sequence[Any] = list(value)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        keys = range(len(value))
    else:
        yield Leaf(path, value)
        return
    for key in keys:
        inner = f"{path}.{key}" if path else str(key)
        try:
            yield from leaves(value[key], inner)
        except UnknownValueError as error:
            yield Leaf(inner, UNKNOWN, error)


# Suffixes of quantities (Kubernetes API reference, "Quantity").
_SUFFIXES = {
    **{
        unit: Decimal(1024) ** power for power, unit in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi"), 1)
    },
    **{unit: Decimal(1000) ** power for power, unit in enumerate(("k", "M", "G", "T", "P"), 1)},
    "m": Decimal("0.001"),
}


def quantity(value: Any) -> Decimal | None:
    """A Kubernetes quantity as a number; None if it is none."""
    text = str(value)
    for suffix, factor in _SUFFIXES.items():
        if text.endswith(suffix):
            return _number(text.removesuffix(suffix), factor)
    return _number(text, Decimal(1))


def _number(text: str, factor: Decimal) -> Decimal | None:
    try:
        return Decimal(text) * factor
    except InvalidOperation:
        return None
