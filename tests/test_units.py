from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moltghost.errors import ExitCode, Refused
from moltghost.units import (
    GIB,
    format_bytes,
    format_context,
    format_duration,
    parse_context,
    parse_gpu_memory_gb,
)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("32k", 32768),
        ("32K", 32768),
        ("1m", 1048576),
        ("128k", 131072),
        ("32768", 32768),
        ("40000", 40000),
        (" 8k ", 8192),
    ],
)
def test_a_context_is_read_in_units_of_1024_tokens(text: str, tokens: int) -> None:
    assert parse_context(text) == tokens


@pytest.mark.parametrize("text", ["0", "0k", "", "k", "-1", "32kb", "3.5k", "many", "32 k"])
def test_what_is_no_number_of_tokens_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(Refused, match="is not a number of tokens") as refused:
        parse_context(text)
    assert refused.value.exit_code == ExitCode.REFUSED
    assert "32k (32768 tokens)" in refused.value.hint


@given(st.integers(min_value=1, max_value=10**8))
def test_a_context_that_was_written_is_read_back_as_it_was(tokens: int) -> None:
    assert parse_context(format_context(tokens)) == tokens


@pytest.mark.parametrize(
    ("text", "gigabytes"), [("160gb", 160), ("160GB", 160), ("80", 80), ("80 gb", 80), ("24g", 24)]
)
def test_gpu_memory_is_read_as_the_nominal_size_of_cards(text: str, gigabytes: int) -> None:
    assert parse_gpu_memory_gb(text) == gigabytes


@pytest.mark.parametrize("text", ["0", "0gb", "", "gb", "-80gb", "1.5gb", "80mb", "lots"])
def test_what_is_no_gpu_memory_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(Refused, match="is not an amount of GPU memory") as refused:
        parse_gpu_memory_gb(text)
    assert "160gb" in refused.value.hint


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (42520412561, "39.6 GiB"), (GIB, "1.0 GiB")],
)
def test_bytes_are_shown_in_binary_units(count: int, text: str) -> None:
    assert format_bytes(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59, "59 s"), (60, "1 min 00 s"), (125, "2 min 05 s"), (3780, "1 h 03 min")],
)
def test_durations_are_shown_in_the_largest_units_that_matter(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text
