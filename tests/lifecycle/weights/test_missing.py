"""A change whose pods really run needs its model's store before anything changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from moltghost.errors import Failed, Refused
from moltghost.lifecycle.agents import prepare
from moltghost.lifecycle.weights.missing import Missing
from moltghost.weights_store.bucket import Bucket
from tests.examples import HELLO, STACK
from tests.lifecycle.projects import change_of, environment
from tests.weights_store.stores import WEIGHTS, blob, publish, put

PREFIX = "stores/ollama-0.17.4/gemma3-270m/Q4_K_M/"


def missing_of(project: Path, **values: Any) -> Missing | None:
    change = change_of(project, STACK, {"owner": "team-a", **values}, running=None)
    return prepare.missing_of(environment(project), change)


@pytest.mark.usefixtures("bucket")
def test_an_agent_on_simulated_nodes_needs_no_store(here: Path) -> None:
    assert missing_of(here) is None


def test_a_complete_store_is_all_that_is_needed(here: Path, bucket: Bucket) -> None:
    publish(bucket, prefix=PREFIX)
    assert missing_of(here, **HELLO) is None


def test_without_one_the_command_that_builds_it_is_said(here: Path, bucket: Bucket) -> None:
    missing = missing_of(here, **HELLO)
    assert missing is not None
    assert missing.can_be_built
    refusal = missing.refusal()
    assert refusal.message == "the weights store of local doesn't have gemma3-270m Q4_K_M"
    assert refusal.hint == "moltghost weights add gemma3-270m-q4_K_M --env local builds it"
    put(bucket, blob(WEIGHTS), WEIGHTS, prefix=PREFIX)
    again = missing_of(here, **HELLO)
    assert again is not None
    assert "isn't finished" in again.refusal().message


@pytest.mark.usefixtures("bucket")
def test_a_model_with_a_known_digest_is_built_without_a_file(here: Path) -> None:
    missing = missing_of(here, **{**HELLO, "model": "qwen2.5-0.5b-q4_K_M"})
    assert missing is not None
    assert missing.can_be_built
    assert "--from" not in missing.refusal().hint


@pytest.mark.usefixtures("bucket")
def test_a_model_without_a_source_asks_for_a_file(here: Path) -> None:
    missing = missing_of(here, **{**HELLO, "model": "gemma3-270m-q8"})
    assert missing is not None
    assert not missing.can_be_built
    assert "--from FILE.gguf" in missing.refusal().hint


def test_a_damaged_store_is_not_replaced_unasked(here: Path, bucket: Bucket) -> None:
    publish(bucket, prefix=PREFIX)
    put(bucket, blob(WEIGHTS), b"cut", prefix=PREFIX)
    missing = missing_of(here, **HELLO)
    assert missing is not None
    assert not missing.can_be_built
    assert "is damaged" in missing.refusal().message
    assert "--replace" in missing.refusal().hint


def test_a_store_that_does_not_answer_refuses_the_change(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise Failed("the weights store http://127.0.0.1:1 doesn't answer", "start it")

    monkeypatch.setattr(
        "moltghost.environments.embedded.EmbeddedEnvironment.bucket", lambda _: None
    )
    monkeypatch.setattr("moltghost.lifecycle.weights.missing.store_at", away)
    with pytest.raises(Refused, match="can't be asked: the weights store") as refused:
        missing_of(here, **HELLO)
    assert refused.value.hint == "start it"


def test_a_cluster_that_was_never_up_has_no_store_to_ask(here: Path) -> None:
    with pytest.raises(Refused, match="has no weights store: it has never been started"):
        environment(here).bucket()
