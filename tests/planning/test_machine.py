"""Agents on the machine's own node."""

from __future__ import annotations

import pytest

from moltghost.errors import Refused
from moltghost.planning.update import plan_update
from tests.examples import HELLO, NO_MACHINE, agent_plan


def test_model_server_and_runtime_are_both_on_the_machine_and_not_simulated() -> None:
    plan = agent_plan(**HELLO)
    assert (plan.model_server.pool, plan.runtime.pool) == ("machine", "machine")
    assert plan.model_server.scheduling.tolerations == plan.runtime.scheduling.tolerations
    assert [taint.value for taint in plan.runtime.scheduling.tolerations] == ["machine"]
    assert plan.on_machine
    assert not plan.simulated
    assert not any("simulated" in note for note in plan.notes)
    assert plan.isolation.pools == ("machine",)
    assert plan.isolation.quota["requests.nvidia.com/gpu"] == "0"


def test_it_asks_for_no_gpu_and_for_a_share_of_the_cpu_that_leaves_room_for_an_update() -> None:
    server = agent_plan(**HELLO).model_server
    assert server.extended_resources == {}
    assert all(share.cpu_millis > 0 for share in server.shares)
    runtime = agent_plan(**HELLO).runtime.share
    both = 2 * sum(share.cpu_millis for share in server.shares) + runtime.cpu_millis
    assert both <= 1500  # of the 2000 of the smallest machine


def test_agents_with_gpus_stay_on_simulated_nodes_beside_it() -> None:
    plan = agent_plan()
    assert (plan.model_server.pool, plan.runtime.pool) == ("h100", "cpu")
    assert plan.simulated
    assert not plan.on_machine


def test_the_surge_of_an_update_is_on_the_same_node() -> None:
    old, new = agent_plan(**HELLO), agent_plan(**HELLO, context="16k")
    update = plan_update(old, new)
    assert update.surge is not None
    assert (update.surge.nodes, update.added_nodes, update.gap_seconds) == (0, 0, 0)


def test_moving_from_a_gpu_to_the_cpu_is_said_in_words() -> None:
    update = plan_update(agent_plan(), agent_plan(**HELLO))
    assert "GPUs: 1 x h100 -> CPU" in update.changes
    assert "node: p5.4xlarge -> machine" in update.changes


def test_an_environment_without_such_a_node_refuses_a_model_without_a_gpu() -> None:
    with pytest.raises(Refused, match="no node for models without a GPU"):
        agent_plan(NO_MACHINE, **HELLO)
