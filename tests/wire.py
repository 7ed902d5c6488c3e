"""Hold a resource's inputs, as they go over the wire, against the SDK's own types.

Mocks accept nonsense. The classes of arguments in Pulumi's SDKs carry the wire names and types of
every field; this walks them. `pulumi._types` is private: only this module knows it.
Plain strings with a closed set of values, and patterns, are not checked.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import types
import typing
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from enum import Enum
from functools import cache
from typing import Any

import pulumi
from pulumi import _types
from pulumi.runtime import rpc

_SIGNATURE, _SECRET = rpc._special_sig_key, rpc._special_secret_sig


def problems(token: str, inputs: Mapping[str, Any]) -> list[str]:
    """What is wrong with the inputs of a resource of that type, each with its path.

    Raises:
        LookupError: the SDK has no such type.
    """
    return list(_object_problems(_arguments(token), inputs, ""))


def is_secret(value: Any) -> bool:
    """Whether a value goes over the wire in the envelope of a secret."""
    return isinstance(value, Mapping) and value.get(_SIGNATURE) == _SECRET


def knows(token: str) -> bool:
    """Whether the SDK has the type; those of custom resources are unknown to it."""
    return token in _modules(token.partition(":")[0])


@cache
def _modules(package: str) -> dict[str, str]:
    """Type token -> ``module:class``, as the SDK registers them when it is imported."""
    module = importlib.import_module(f"pulumi_{package}")
    assert module.__file__
    found: dict[str, str] = {}
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.keyword) and node.arg == "resource_modules":
            assert isinstance(node.value, ast.Constant)
            for entry in json.loads(str(node.value.value)):
                for token, name in entry["classes"].items():
                    found[token] = f"{entry['fqn']}:{name}"
    return found


@cache
def _arguments(token: str) -> type:
    package = token.partition(":")[0]
    try:
        module, name = _modules(package)[token].split(":")
    except KeyError:
        raise LookupError(f"the SDK of {package} has no type {token}") from None
    loaded = importlib.import_module(module)
    found = getattr(loaded, f"{name}InitArgs", None) or getattr(loaded, f"{name}Args")
    assert isinstance(found, type)
    return found


@cache
def _fields(arguments: type) -> tuple[dict[str, Any], frozenset[str]]:
    """Wire names with their types, and which of them must be there."""
    names = _types.input_type_py_to_pulumi_names(arguments)
    parameters = inspect.signature(arguments).parameters.values()
    required = {names[p.name] for p in parameters if p.default is p.empty}
    return dict(_types.input_type_types(arguments)), frozenset(required)


def _object_problems(arguments: type, value: Mapping[str, Any], path: str) -> Iterator[str]:
    fields, required = _fields(arguments)
    for missing in sorted(required - value.keys()):
        yield f"{path}{missing}: is required"
    for name, item in value.items():
        if name not in fields:
            yield f"{path}{name}: no such field of {arguments.__name__}"
        elif item is not None:
            yield from _value_problems(fields[name], item, f"{path}{name}")


def _value_problems(kind: Any, value: Any, path: str) -> Iterator[str]:
    kind = _types.unwrap_type(kind)
    origin = typing.get_origin(kind)
    if is_secret(value):
        value = value["value"]
    if kind is Any or isinstance(kind, typing.TypeVar):
        return
    if origin in (typing.Union, types.UnionType):
        yield from _union_problems(kind, value, path)
    elif origin is typing.Literal:
        if value not in typing.get_args(kind):
            yield f"{path}: {value!r} is none of {typing.get_args(kind)}"
    elif isinstance(kind, type) and _types.is_input_type(kind):
        if isinstance(value, Mapping):
            yield from _object_problems(kind, value, f"{path}.")
        else:
            yield f"{path}: {value!r} is no object"
    elif _is_a(origin, Sequence):
        yield from _list_problems(typing.get_args(kind)[0], value, path)
    elif _is_a(origin, Mapping):
        yield from _map_problems(typing.get_args(kind)[1], value, path)
    elif not _is_plain(kind, value):
        yield f"{path}: {value!r} is no {getattr(kind, '__name__', kind)}"


def _is_a(origin: Any, base: type) -> bool:
    return isinstance(origin, type) and issubclass(origin, base)


def _union_problems(kind: Any, value: Any, path: str) -> Iterator[str]:
    plain = [each for each in typing.get_args(kind) if not _is_for_programs(each)]
    attempts = [list(_value_problems(each, value, path)) for each in plain]
    if all(attempts):
        yield from min(attempts, key=len)


def _is_for_programs(kind: Any) -> bool:
    """Members of an `Input` that never go over the wire."""
    return kind is type(None) or typing.get_origin(kind) in (Awaitable, pulumi.Output)


def _list_problems(item: Any, value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, list):
        yield f"{path}: {value!r} is no list"
        return
    for index, each in enumerate(value):
        yield from _value_problems(item, each, f"{path}[{index}]")


def _map_problems(item: Any, value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield f"{path}: {value!r} is no map"
        return
    for key, each in value.items():
        yield from _value_problems(item, each, f"{path}.{key}")


def _is_plain(kind: Any, value: Any) -> bool:
    if kind is bool or isinstance(value, bool):
        return kind is bool and isinstance(value, bool)
    if kind is int:
        # Every number is a double on the wire.
        return isinstance(value, int | float) and float(value).is_integer()
    if kind is float:
        return isinstance(value, int | float)
    if kind is str:
        return isinstance(value, str)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return value in {member.value for member in kind}
    raise NotImplementedError(f"the type {kind!r} of the SDK is new to this check")


def whole(value: Any) -> Any:
    """A value as a provider sends it: on Pulumi's wire numbers are floats and secrets wrapped."""
    if isinstance(value, dict):
        if is_secret(value):
            return whole(value["value"])
        return {key: whole(item) for key, item in value.items()}
    if isinstance(value, list):
        return [whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
