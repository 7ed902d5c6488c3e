"""Quantities as users type them and as people read them. Bytes are ``int`` everywhere else."""

from __future__ import annotations

import re

from moltghost.errors import Refused

KIB, MIB, GIB, TIB = 1024, 1024**2, 1024**3, 1024**4
GB = 10**9

_CONTEXT = re.compile(r"(?P<number>\d{1,12})(?P<suffix>[km]?)", re.IGNORECASE)
_GPU_MEMORY = re.compile(r"(?P<number>\d{1,12})\s*(?:gb|g|gib)?", re.IGNORECASE)


def parse_context(text: str) -> int:
    """Tokens of ``32k`` (32768), ``1m`` (1048576) or ``32768``.

    Raises:
        Refused: the text is no token count.
    """
    match = _CONTEXT.fullmatch(text.strip())
    if not match or int(match["number"]) == 0:
        raise Refused(
            f"context {text!r} is not a number of tokens",
            "write it like 32k (32768 tokens) or 32768",
        )
    return int(match["number"]) * {"": 1, "k": 1024, "m": 1024**2}[match["suffix"].lower()]


def parse_gpu_memory_gb(text: str) -> int:
    """Nominal GPU memory in total, in marketing GB, of ``160gb`` or ``160``.

    Cards are sold by nominal gigabytes (an H100 is "80 GB"), so this is compared with the
    cards' nominal size and never with bytes.

    Raises:
        Refused: the text is no amount of memory.
    """
    match = _GPU_MEMORY.fullmatch(text.strip())
    if not match or int(match["number"]) == 0:
        raise Refused(
            f"memory {text!r} is not an amount of GPU memory",
            "write the total over all GPUs like 80gb or 160gb",
        )
    return int(match["number"])


def format_bytes(count: int) -> str:
    """Binary units with one decimal: ``39.6 GiB``."""
    for unit, size in (("TiB", TIB), ("GiB", GIB), ("MiB", MIB), ("KiB", KIB)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} B"


def format_context(tokens: int) -> str:
    """``32k`` where the count is a multiple of 1024, else the plain number."""
    return f"{tokens // 1024}k" if tokens % 1024 == 0 else str(tokens)


def format_duration(seconds: float) -> str:
    """``8 s``, ``2 min 05 s``, ``1 h 03 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
