"""Property values between the program, the state and the API server.

A value is JSON (``None``, ``bool``, ``int``, ``float``, ``str``, lists, string-keyed dicts) in
which ``Secret(value)`` marks what may not be shown and ``UNKNOWN`` what is not known yet.
Signatures are those of Pulumi's ``sdk/go/common/resource/properties.go``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf import struct_pb2

from moltghost.engines.interface import SECRET_TEXT, UNKNOWN_TEXT
from moltghost.errors import Refused

SIGNATURE_KEY = "4dabf18193072939515e22adb298388d"
SECRET_SIGNATURE = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105  Pulumi's marker, public
UNKNOWN_WIRE = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"

Path = tuple[str | int, ...]


class Unknown:
    """The type of ``UNKNOWN``: a value that exists only after the change is made."""

    def __repr__(self) -> str:
        return UNKNOWN_TEXT


UNKNOWN: Final = Unknown()


@dataclass(frozen=True)
class Secret:
    """A value that may not be shown, nor be stored in plain text."""

    value: Any

    def __repr__(self) -> str:
        return SECRET_TEXT


def decode(struct: struct_pb2.Struct) -> dict[str, Any]:
    """The properties of an RPC message."""
    return {key: _decode(value) for key, value in struct.fields.items()}


def _decode(value: struct_pb2.Value) -> Any:
    match value.WhichOneof("kind"):
        case "string_value":
            text = value.string_value
            return UNKNOWN if text == UNKNOWN_WIRE else text
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() else number
        case "bool_value":
            return value.bool_value
        case "struct_value":
            return _decode_struct(value.struct_value)
        case "list_value":
            return [_decode(item) for item in value.list_value.values]
        case _:
            return None


def _decode_struct(struct: struct_pb2.Struct) -> Any:
    if SIGNATURE_KEY not in struct.fields:
        return decode(struct)
    signature = struct.fields[SIGNATURE_KEY].string_value
    if signature != SECRET_SIGNATURE:
        raise Refused(
            "a property holds an asset, an archive or a reference to a resource, "
            "which the embedded engine doesn't carry",
            "use plain values, or run this stack with the Pulumi CLI: pulumi up",
        )
    inner = _decode(struct.fields["value"])
    return inner if isinstance(inner, Secret) else Secret(inner)


def encode(properties: Mapping[str, Any]) -> struct_pb2.Struct:
    """Properties as an RPC message."""
    struct = struct_pb2.Struct()
    for key, value in properties.items():
        _encode(value, struct.fields[key])
    return struct


def _encode(value: Any, target: struct_pb2.Value) -> None:
    if value is None:
        target.null_value = struct_pb2.NULL_VALUE
    elif isinstance(value, bool):
        target.bool_value = value
    elif isinstance(value, (int, float)):
        target.number_value = value
    elif isinstance(value, str):
        target.string_value = value
    elif isinstance(value, Secret):
        target.struct_value.fields[SIGNATURE_KEY].string_value = SECRET_SIGNATURE
        _encode(value.value, target.struct_value.fields["value"])
    elif value is UNKNOWN:
        target.string_value = UNKNOWN_WIRE
    elif isinstance(value, Mapping):
        target.struct_value.SetInParent()
        for key, item in value.items():
            _encode(item, target.struct_value.fields[key])
    else:
        target.list_value.SetInParent()
        for item in value:
            _encode(item, target.list_value.values.add())


def _mapped(value: Any, secret: Callable[[Any], Any], unknown: Any) -> Any:
    if isinstance(value, Secret):
        return secret(value.value)
    if value is UNKNOWN:
        return unknown
    if isinstance(value, Mapping):
        return {key: _mapped(item, secret, unknown) for key, item in value.items()}
    if isinstance(value, list):
        return [_mapped(item, secret, unknown) for item in value]
    return value


def plain(value: Any) -> Any:
    """The value with secrets in plain text. Unknowns stay."""
    return _mapped(value, plain, UNKNOWN)


def masked(value: Any) -> Any:
    """The value as it may be shown: ``[secret]`` and ``[unknown]``."""
    return _mapped(value, lambda _inner: SECRET_TEXT, UNKNOWN_TEXT)


def walk(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """All leaves with their paths; looks through secrets. Empty containers are leaves."""
    if isinstance(value, Secret):
        yield from walk(value.value, path)
    elif isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from walk(item, (*path, key))
    elif isinstance(value, list) and value:
        for index, item in enumerate(value):
            yield from walk(item, (*path, index))
    else:
        yield path, value


def unknown_paths(value: Any) -> list[Path]:
    """Where the value is not known yet."""
    return [path for path, leaf in walk(value) if leaf is UNKNOWN]


def has_secret(value: Any) -> bool:
    """Whether any part is secret."""
    if isinstance(value, Secret):
        return True
    if isinstance(value, Mapping):
        return any(has_secret(item) for item in value.values())
    return isinstance(value, list) and any(has_secret(item) for item in value)


def secret_texts(value: Any) -> set[str]:
    """The strings inside secrets, for ``redact``."""
    if isinstance(value, Secret):
        return {leaf for _path, leaf in walk(value) if isinstance(leaf, str)}
    if isinstance(value, Mapping):
        return set().union(*(secret_texts(item) for item in value.values()))
    if isinstance(value, list):
        return set().union(*(secret_texts(item) for item in value))
    return set()


_SHORTEST_REDACTED = 4  # a shorter "secret" would blank out ordinary words


def redact(text: str, secrets: set[str]) -> str:
    """The text without the secrets: an API server's message may quote what it was sent."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST_REDACTED:
            text = text.replace(secret, SECRET_TEXT)
    return text


def format_path(path: Path) -> str:
    """``spec.containers[0].image``; keys with dots or slashes in brackets and quotes."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif "." in part or "/" in part:
            text += f"[{json.dumps(part)}]"
        else:
            text += f".{part}" if text else part
    return text


def pruned(value: Any) -> Any:
    """The value without nulls in dicts: absent and null mean the same to the API server."""
    if isinstance(value, Secret):
        return Secret(pruned(value.value))
    if isinstance(value, Mapping):
        return {key: pruned(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [pruned(item) for item in value]
    return value


def to_state(value: Any, encrypt: Callable[[str], str]) -> Any:
    """The value as a checkpoint holds it: each secret as ciphertext of its JSON."""

    def sealed(inner: Any) -> dict[str, str]:
        text = json.dumps(plain(inner), separators=(",", ":"), sort_keys=True)
        return {SIGNATURE_KEY: SECRET_SIGNATURE, "ciphertext": encrypt(text)}

    return _mapped(value, sealed, UNKNOWN_WIRE)


def from_state(value: Any, decrypt: Callable[[str], str]) -> Any:
    """The inverse of ``to_state``."""
    if isinstance(value, dict):
        if value.get(SIGNATURE_KEY) == SECRET_SIGNATURE:
            return Secret(json.loads(decrypt(value["ciphertext"])))
        return {key: from_state(item, decrypt) for key, item in value.items()}
    if isinstance(value, list):
        return [from_state(item, decrypt) for item in value]
    return UNKNOWN if value == UNKNOWN_WIRE else value
