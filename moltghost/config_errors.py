"""What pydantic finds wrong with config, in words for who wrote the file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any, get_args

from pydantic_core import ErrorDetails

from moltghost.config_aws import Spec

_MAPPING = "must be a mapping: one `name: value` per line"
_WORDS = {
    "missing": "is missing",
    "dict_type": _MAPPING,
    "model_type": _MAPPING,
    "model_attributes_type": _MAPPING,
    "string_type": "must be text; put it in quotes",
}


def in_words(problem: ErrorDetails, spec: type[Spec], path: Sequence[int | str]) -> str:
    """What is wrong at ``path``, which begins at ``spec``."""
    kind = problem["type"]
    if kind == "extra_forbidden":
        return unknown_field(str(path[-1]), tuple(_spec_at(spec, path[:-1]).model_fields))
    return _WORDS.get(kind) or problem["msg"].removeprefix("Value error, ")


def unknown_field(name: str, known: Sequence[str]) -> str:
    """What to say of a field that isn't one."""
    if near := get_close_matches(name, known, n=1):
        return f"there is no such field; did you mean {near[0]}?"
    return f"there is no such field; there are {', '.join(known)}"


def _spec_at(spec: type[Spec], path: Sequence[int | str]) -> type[Spec]:
    """The spec whose field a path leads to; keys of mappings and places in lists lead nowhere."""
    for part in path:
        if field := spec.model_fields.get(str(part)):
            spec = next(_specs(field.annotation), spec)
    return spec


def _specs(annotation: Any) -> Iterator[type[Spec]]:
    if isinstance(annotation, type) and issubclass(annotation, Spec):
        yield annotation
    for inner in get_args(annotation):
        yield from _specs(inner)
