from __future__ import annotations

import pytest

from moltghost.local.build.cpu import level

# /proc/cpuinfo of a Zen 4 core, and of a Core i7 of 2008, shortened.
ZEN_4 = "flags\t\t: fpu sse4_2 abm avx f16c fma movbe bmi1 avx2 bmi2 avx512f\n"
NEHALEM = "flags\t\t: fpu sse4_1 sse4_2 popcnt\n"


@pytest.mark.parametrize(
    ("cpu_info", "expected"),
    [
        (f"processor\t: 0\n{ZEN_4}processor\t: 1\n{ZEN_4}", "x86-64-v3"),
        (NEHALEM, "x86-64-v2"),
        (ZEN_4 + NEHALEM, "x86-64-v2"),  # every processor must have it
        (ZEN_4.replace(" fma", ""), "x86-64-v2"),
        (ZEN_4.replace(" avx2", ""), "x86-64-v2"),  # avx512f is no avx2
        ("", "x86-64-v2"),
    ],
)
def test_code_is_for_what_every_processor_of_the_machine_has(cpu_info: str, expected: str) -> None:
    assert level(cpu_info) == expected
