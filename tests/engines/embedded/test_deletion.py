"""What is deleted before what."""

from __future__ import annotations

import threading
from typing import Any

from moltghost.engines.embedded.deletion import delete_all, dependents
from moltghost.engines.pulumi.state import ResourceState
from moltghost.errors import Failed


def state(name: str, *needs: str, **fields: Any) -> ResourceState:
    return ResourceState(urn=name, type="t", custom=True, dependencies=list(needs), **fields)


def test_everything_is_deleted_after_what_needs_it() -> None:
    resources = [state("a"), state("b", "a"), state("c", "a", "b"), state("d")]
    order: list[str] = []

    failed = delete_all(resources, lambda item: order.append(item.urn), threading.Event())

    assert failed == []
    assert [urn for urn in order if urn != "d"] == ["c", "b", "a"]
    assert sorted(order) == ["a", "b", "c", "d"]


def test_what_something_left_behind_needs_is_left_too() -> None:
    def delete(item: ResourceState) -> None:
        if item.urn == "b":
            raise Failed("no")

    deleted = delete_all([state("a"), state("b", "a")], delete, threading.Event())

    assert [(left.resource.urn, left.error.message) for left in deleted] == [("b", "no")]


def test_an_object_goes_before_the_namespace_that_it_names_as_text() -> None:
    home = ResourceState(
        urn="n", type="kubernetes:core/v1:Namespace", custom=True, id="home", provider="p"
    )
    inside = state("inside", id="home/x", provider="p")
    elsewhere = state("elsewhere", id="home/x", provider="q")

    assert dependents([home, inside, elsewhere]) == {0: {1}, 1: set(), 2: set()}
