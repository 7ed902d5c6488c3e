"""A patch says of each field that it is set, has its default again, or stays as it is."""

from __future__ import annotations

from dataclasses import fields

import pytest

from moltghost.config import ModelSpec
from moltghost.config_fleet import AGENT_FIELDS
from moltghost.errors import Refused
from moltghost.lifecycle.agents.patch import RESET, AgentPatch
from tests.examples import STACK, agent_spec


def test_a_patch_has_each_field_that_a_person_may_change() -> None:
    assert {field.name for field in fields(AgentPatch)} == set(AGENT_FIELDS)


def test_a_field_is_set_reset_or_left() -> None:
    before = agent_spec(gpu="h100", memory="160gb", parallel=2)
    after = AgentPatch(gpu=RESET, context="64k").over(before, STACK)
    assert (after.gpu, after.context) == (None, 65536)
    assert (after.memory, after.parallel, after.model) == (160, 2, "llama3.1-70b-q4")


def test_an_empty_patch_changes_nothing_and_any_other_ends_the_strategy_of_the_last() -> None:
    before = agent_spec(strategy="in-place")
    assert AgentPatch().over(before, STACK) == before
    assert AgentPatch(parallel=2).over(before, STACK).strategy == "surge"


def test_auto_is_the_word_for_a_reset() -> None:
    words = {"gpu": "auto", "memory": "160gb", "model": None}
    assert AgentPatch.of_words(words) == AgentPatch(gpu=RESET, memory="160gb")
    assert AgentPatch.of_words({"model": None}).empty


def test_zero_is_a_value_like_any_other() -> None:
    with pytest.raises(Refused, match="parallel: Input should be greater than or equal to 1"):
        AgentPatch.of_words({"parallel": 0}).over(agent_spec(), STACK)


def test_what_another_config_left_at_its_default_is_set_back_as_well() -> None:
    earlier = agent_spec(model="llama3.1-8b-q4").model_part
    patch = AgentPatch.to(earlier, ModelSpec.model_fields)
    after = patch.over(agent_spec(gpu="h100", parallel=2, owner="team-b"), STACK)
    assert after.model_part == earlier
    assert after.owner == "team-b"


def test_a_new_agent_without_a_model_is_refused_with_what_is_missing() -> None:
    with pytest.raises(Refused, match="in the command's options is invalid:\\n  model"):
        AgentPatch(context="32k", owner="me").over(None, STACK)
