"""Reads JSON that a registry sent, without believing it."""

from __future__ import annotations

import json
import re
from typing import Any

from moltghost.registries.errors import Unexpected

_SHA256 = re.compile(r"[0-9a-f]{64}")
_LARGEST_FILE_BYTES = 1 << 43  # 8 TiB; the largest models have a few


def parse_object(content: bytes, where: str) -> dict[str, Any]:
    """A JSON object.

    Raises:
        Unexpected: it is something else.
    """
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise malformed(where, "it isn't JSON") from error
    if not isinstance(found, dict):
        raise malformed(where, "it isn't a JSON object")
    return found


def malformed(where: str, why: str) -> Unexpected:
    """That an answer can't be used."""
    return Unexpected(
        f"{where} answers with something else than expected: {why}",
        "try again later; if a mirror is set, check its address",
    )


def sha256_of(value: object, where: str) -> str:
    """64 hexadecimal digits.

    Raises:
        Unexpected: it is something else.
    """
    if isinstance(value, str) and _SHA256.fullmatch(value):
        return value
    raise malformed(where, f"{str(value)[:80]!r} isn't a sha256")


def size_of(value: object, where: str) -> int:
    """The size of a file, in bytes.

    Raises:
        Unexpected: it is something else.
    """
    if type(value) is int and 0 < value <= _LARGEST_FILE_BYTES:
        return value
    raise malformed(where, f"{str(value)[:80]!r} isn't the size of a file")
