"""What differs, and what of it is shown."""

from __future__ import annotations

from typing import Any

import pytest

from moltghost.engines.interface import Change
from moltghost.engines.pulumi.diff import diff, missing_or_different, same
from moltghost.engines.pulumi.values import UNKNOWN, Secret

CASES = [
    pytest.param({"a": 1}, {"a": 1}, [], id="equal"),
    pytest.param({"a": 1}, {"a": 2}, [Change("a", 1, 2)], id="changed"),
    pytest.param({}, {"a": {"b": 1}}, [Change("a", None, {"b": 1})], id="added"),
    pytest.param({"a": {"b": 1}}, {"a": {}}, [Change("a.b", 1, None)], id="removed"),
    pytest.param({"a": [1, 2]}, {"a": [1]}, [Change("a[1]", 2, None)], id="shorter list"),
    pytest.param(
        {"a": Secret("x")}, {"a": Secret("y")}, [Change("a", "[secret]", "[secret]")], id="secret"
    ),
    pytest.param(
        {"a": Secret({"b": 1, "c": 2})},
        {"a": Secret({"b": 1, "c": 3})},
        [Change("a.c", "[secret]", "[secret]")],
        id="inside a secret",
    ),
    pytest.param({"a": Secret("x")}, {"a": "x"}, [], id="only no longer secret"),
    pytest.param({"a": "x"}, {"a": UNKNOWN}, [Change("a", "x", "[unknown]")], id="unknown"),
    pytest.param({"a": {"b": 1}}, {"a": 5}, [Change("a", {"b": 1}, 5)], id="other type"),
]


@pytest.mark.parametrize(("before", "after", "changes"), CASES)
def test_differences_are_the_leaves_without_secrets(
    before: Any, after: Any, changes: list[Change]
) -> None:
    assert list(diff(before, after)) == changes
    assert same(before, after) is (not changes)


@pytest.mark.parametrize(
    ("wanted", "live", "paths"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, []),
        ({"a": {"b": 1}}, {"a": {"b": 2}}, ["a.b"]),
        ({"a": [{"n": 1}]}, {"a": [{"n": 1, "default": True}]}, []),
        ({"a": [1, 2]}, {"a": [1]}, ["a"]),
        ({"a": {}}, {}, []),
        ({"a": False}, {}, []),
        ({"a": "x"}, {}, ["a"]),
    ],
)
def test_only_what_the_program_says_counts_against_the_live_object(
    wanted: Any, live: Any, paths: list[str]
) -> None:
    assert [change.path for change in missing_or_different(wanted, live)] == paths
