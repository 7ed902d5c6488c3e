"""For which processors C code is compiled here.

The levels are those of the x86-64 psABI; at level 3 (AVX2, FMA: Haswell, Zen and later) a model
computes several times faster than at level 2. Code for level 3 is built where this machine has
it, so what is built on one machine runs on every other of its level.
"""

from __future__ import annotations

import platform
from functools import cache
from pathlib import Path

# x86-64 psABI, table 3.1 "Micro-architecture levels", in the names that Linux gives them
# (`abm` is LZCNT).
_LEVEL_3 = frozenset({"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe"})
_CPU_INFO = Path("/proc/cpuinfo")


@cache
def compiler_flags() -> tuple[str, ...]:
    """Flags of the C compiler; none where the machine isn't an x86-64."""
    if platform.machine() != "x86_64":
        return ()
    return (f"-march={level(_CPU_INFO.read_text() if _CPU_INFO.exists() else '')}",)


def level(cpu_info: str) -> str:
    """The level of the processors that ``/proc/cpuinfo`` describes, in the compiler's words."""
    processors = [
        set(line.partition(":")[2].split())
        for line in cpu_info.splitlines()
        if line.startswith("flags")
    ]
    if processors and all(flags >= _LEVEL_3 for flags in processors):
        return "x86-64-v3"
    return "x86-64-v2"
