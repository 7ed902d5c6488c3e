from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from moltghost.planning.update import plan_update
from tests.examples import agent_plan, update_plan

SCALED = {"gpu": "h100", "memory": "160gb"}
RUNTIME_RESTARTS = "the runtime restarts"
RUNTIME_STAYS = "the runtime keeps running"
NO_GAP = "a new model server is started, loaded and proven before the old one drains: no gap"

# What changes, whether the model server is replaced for it, whether the runtime is. The runtime
# knows the model by an alias: only the context, tools, answer length and token concern it.
CHANGES: list[tuple[dict[str, Any], bool, bool]] = [
    ({"model": "qwen2.5-72b-q4"}, True, False),
    ({"model": "llama3.1-70b-q5_K_M"}, True, False),
    ({"kv_cache": "q8_0"}, True, False),
    ({"parallel": 2}, True, False),
    (SCALED, True, False),
    ({"sharing": "owner"}, True, False),
    ({"context": "64k"}, True, True),
    ({"context": "16000"}, True, True),
    ({"model": "phi3-medium-q8"}, True, True),
    ({"token_rotation": 2}, True, True),
    ({"strategy": "in-place"}, False, False),
    ({"previous": {"model": "llama3.1-8b-q4", "context": "32k"}}, False, False),
]


def test_a_first_deploy_creates_and_restarts_nothing() -> None:
    update = plan_update(None, agent_plan())
    assert (update.action, update.restarts, update.surge) == ("create", (), None)


def test_the_same_config_is_no_change() -> None:
    update = update_plan({}, {})
    assert (update.action, update.changes, update.restarts) == ("none", (), ())
    assert (update.surge, update.gap_seconds) == (None, 0)


@pytest.mark.parametrize(("changes", "server", "runtime"), CHANGES)
def test_the_plan_says_beforehand_what_restarts(
    changes: dict[str, Any], server: bool, runtime: bool
) -> None:
    update = update_plan({}, changes)
    told = " | ".join(update.restarts)
    assert update.action == "update"
    assert ("model server" in told) == server
    assert (RUNTIME_RESTARTS in told) == runtime
    assert (RUNTIME_STAYS in told) == (server and not runtime)


def test_another_owner_restarts_both_pods_because_the_label_is_on_them() -> None:
    update = update_plan({}, {"owner": "team-b"})
    assert update.changes == ("owner: team-a -> team-b",)
    assert NO_GAP in update.restarts
    assert any(RUNTIME_RESTARTS in sentence for sentence in update.restarts)
    assert update.surge is not None


def test_an_update_says_what_changes_from_what_to_what() -> None:
    update = update_plan({}, {"model": "qwen2.5-7b-q4", "context": "16k", "parallel": 2})
    assert update.changes == (
        "model: llama3.1-70b Q4_K_M -> qwen2.5-7b Q4_K_S",
        "context: 32k -> 16k",
        "requests side by side: 1 -> 2",
        "GPUs: 1 x h100 -> 1 x l40s",
        "node: p5.4xlarge -> g6e.xlarge",
    )


@pytest.mark.parametrize(
    ("old", "new", "pool", "instance_type", "nodes", "price"),
    [
        ({}, {"model": "qwen2.5-72b-q4"}, "h100", "p5.4xlarge", 1, "6.88"),
        ({}, SCALED, "h100", "p5.48xlarge", 1, "55.04"),
        (SCALED, {}, "h100", "p5.4xlarge", 1, "6.88"),
        ({}, {"model": "llama3.1-8b-q4"}, "l40s", "g6e.xlarge", 1, "1.861"),
        # Two and two of eight GPUs: the new pod finds room beside the old one.
        (SCALED, {**SCALED, "model": "qwen2.5-72b-q4"}, "h100", "p5.48xlarge", 0, "0"),
        # Four and eight of eight: it doesn't.
        (
            {"gpu": "h100", "memory": "320gb"},
            {"gpu": "h100", "memory": "640gb"},
            "h100",
            "p5.48xlarge",
            1,
            "55.04",
        ),
    ],
)
def test_a_surge_says_which_node_it_needs_and_what_it_costs(
    old: dict[str, Any], new: dict[str, Any], pool: str, instance_type: str, nodes: int, price: str
) -> None:
    update = update_plan(old, new)
    assert update.surge is not None
    assert (update.surge.pool, update.surge.instance_type) == (pool, instance_type)
    assert (update.surge.nodes, update.surge.usd_per_hour) == (nodes, Decimal(price))
    assert update.gap_seconds == 0
    assert NO_GAP in update.restarts


def test_on_a_shared_node_a_surge_may_need_another_one() -> None:
    """Its free GPUs may be taken by the owner's other agents."""
    shared = {"model": "llama3.1-405b-q4", "sharing": "owner"}
    update = update_plan(shared, {**shared, "context": "40k"})
    assert update.surge is not None
    assert (update.surge.nodes, update.surge.usd_per_hour) == (1, Decimal("27.44705"))
    alone = {"model": "llama3.1-405b-q4"}
    apart = update_plan(alone, {**alone, "context": "40k"})
    assert apart.surge is not None
    assert apart.surge.nodes == 0


def test_sharing_a_node_is_a_change_that_is_told() -> None:
    update = update_plan({}, {"sharing": "owner", "gpu": "h100"})
    assert "sharing of nodes: dedicated -> owner" in update.changes


def test_in_place_predicts_its_gap_and_needs_no_surge() -> None:
    update = update_plan({}, {"model": "qwen2.5-72b-q4", "strategy": "in-place"})
    assert update.surge is None
    # 47 GB at 1 GB/s from the store and again to the GPU, hashed in between.
    assert 100 <= update.gap_seconds <= 600
    assert any("the model server stops first: no answers for about" in s for s in update.restarts)
    assert NO_GAP not in update.restarts


def test_in_place_on_another_node_type_waits_for_the_node_as_well() -> None:
    same = update_plan({}, {"kv_cache": "q8_0", "strategy": "in-place"})
    other = update_plan({}, {**SCALED, "strategy": "in-place"})
    assert other.gap_seconds >= same.gap_seconds + 120


def test_an_in_place_change_of_nothing_that_runs_has_no_gap() -> None:
    update = update_plan({}, {"strategy": "in-place"})
    assert (update.gap_seconds, update.restarts) == (0, ())


def test_a_rotated_token_surges_as_any_other_change_of_the_pod() -> None:
    update = update_plan({}, {"token_rotation": 2})
    assert update.changes == ("token rotation: 1 -> 2",)
    assert update.surge is not None
