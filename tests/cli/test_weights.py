"""`moltghost weights`, and `deploy` of an agent whose store isn't there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from moto import mock_aws

from moltghost.environments.embedded import EmbeddedEnvironment
from moltghost.environments.environment import Environment
from moltghost.lifecycle.weights.build import Added
from moltghost.lifecycle.weights.source import Request
from moltghost.weights_store.bucket import Bucket, BucketLocation
from moltghost.weights_store.store import read_store
from tests.cli.command import Command
from tests.kube.clusters import FakeCluster, node
from tests.lifecycle.projects import FakeEngine
from tests.weights_store.stores import WEIGHTS, blob, publish, put

PREFIX = "stores/ollama-0.17.4/gemma3-270m/Q4_K_M/"
HELLO = ("deploy", "hello", "--model", "gemma3-270m-q4", "--context", "32k", "--gpu", "none")


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch, cluster: FakeCluster) -> Iterator[Bucket]:
    place = BucketLocation(bucket="moltghost-weights-local")
    monkeypatch.setattr(EmbeddedEnvironment, "_location", lambda _environment: place)
    cluster.items.append(
        node("machine", "machine", simulated=False, allocatable={"cpu": "8", "memory": "24Gi"})
    )
    monkeypatch.delenv("AWS_ENDPOINT_URL")  # moto answers at AWS's own addresses only
    with mock_aws():
        found = Bucket(place)
        found.client.create_bucket(Bucket=found.name)
        yield found


@pytest.fixture
def added(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> list[Request]:
    """What `add` was asked for; it publishes."""
    requests: list[Request] = []

    def add(environment: Environment, request: Request, _report: object) -> Added:
        assert environment.name == "local"
        requests.append(request)
        publish(bucket, prefix=PREFIX)
        return Added(store=read_store(bucket, PREFIX), built=True)

    monkeypatch.setattr("moltghost.cli.commands.weights.add_store", add)
    monkeypatch.setattr("moltghost.lifecycle.weights.build.add", add)
    return requests


def test_add_says_what_is_in_the_store_then(moltghost: Command, added: list[Request]) -> None:
    ran = moltghost("weights", "add", "gemma3-270m", "--quantize", "q4_K_M", "--from", "x.gguf")
    assert ran.code == 0
    assert added == [Request(model="gemma3-270m", from_="x.gguf", quantize="q4_K_M")]
    assert ran.out.startswith(
        "gemma3-270m Q4_K_M is in the weights store of local: Ollama 0.17.4, "
    )
    data = moltghost("weights", "add", "gemma3-270m-q4", "--json").data
    assert (data["state"], data["built"], data["problems"]) == ("complete", True, [])
    assert data["digest"].startswith("sha256:")


def test_the_list_shows_state_and_users(moltghost: Command, bucket: Bucket) -> None:
    assert "no model store in local; moltghost weights add" in moltghost("weights", "list").out
    publish(bucket, prefix=PREFIX)
    put(bucket, "blobs/sha256-1", b"x", prefix="stores/ollama-0.17.4/llama3.1-8b/Q8_0/")
    ran = moltghost("weights", "list")
    [_, _, first, second] = ran.out.splitlines()
    assert first.split()[:3] == ["gemma3-270m", "Q4_K_M", "0.17.4"]
    assert first.split()[-2:] == ["complete", "-"]
    assert second.split()[-2:] == ["partial", "-"]
    data = moltghost("weights", "list", "--json").data
    assert [(each["model"], each["state"], each["used_by"]) for each in data["stores"]] == [
        ("gemma3-270m", "complete", []),
        ("llama3.1-8b", "partial", []),
    ]


def test_verify_ends_with_1_and_names_the_corrupt_object(
    moltghost: Command, bucket: Bucket
) -> None:
    publish(bucket, prefix=PREFIX)
    ran = moltghost("weights", "verify")
    assert (ran.code, ran.out) == (0, "gemma3-270m Q4_K_M: good, 3 objects, 11.1 KiB\n")
    put(bucket, blob(WEIGHTS), bytes(len(WEIGHTS)), prefix=PREFIX)
    ran = moltghost("weights", "verify", "gemma3-270m-q4")
    assert ran.code == 1
    assert f"{PREFIX}{blob(WEIGHTS)}: its sha256 is" in ran.out
    assert "moltghost weights add gemma3-270m-Q4_K_M --replace --env local" in ran.out
    ran = moltghost("weights", "verify", "--json")
    assert ran.code == 1
    assert ran.data[0]["findings"][0]["object"] == PREFIX + blob(WEIGHTS)


def test_remove_asks_and_then_the_store_is_gone(moltghost: Command, bucket: Bucket) -> None:
    publish(bucket, prefix=PREFIX)
    ran = moltghost("weights", "remove", "gemma3-270m-q4")
    assert ran.code == 2
    assert "can't ask for confirmation" in ran.err
    ran = moltghost("weights", "remove", "gemma3-270m-q4", "--yes")
    assert ran.code == 0
    assert "is removed from local: 4 objects" in ran.out
    assert bucket.sizes("") == {}


def test_sources_are_listed_and_go_when_they_are_asked_to(
    moltghost: Command, bucket: Bucket
) -> None:
    publish(bucket, prefix=PREFIX)
    put(bucket, "sources/abc.gguf", bytes(2048), prefix="")
    line = (
        "sources of stores: 1, 2.0 KiB; "
        "moltghost weights remove --sources --env local removes what no job needs"
    )
    assert moltghost("weights", "list").out.splitlines()[-1] == line
    source = {"object": "sources/abc.gguf", "size_bytes": 2048}
    assert moltghost("weights", "list", "--json").data["sources"] == [source]
    assert line in moltghost("weights", "remove", "gemma3-270m-q4", "--yes").out
    assert moltghost("weights", "remove", "--sources").code == 2
    ran = moltghost("weights", "remove", "--sources", "--yes")
    assert ran.out == "1 sources are removed from local: 2.0 KiB\n"
    assert bucket.sizes("") == {}
    assert moltghost("weights", "remove", "--sources", "--json").data["removed_objects"] == 0


def test_remove_takes_a_model_or_sources(moltghost: Command) -> None:
    for arguments in ([], ["gemma3-270m-q4", "--sources"]):
        ran = moltghost("weights", "remove", *arguments)
        assert ran.code == 2
        assert "name a MODEL, or give --sources" in ran.err


def test_deploy_on_the_machines_own_node_refuses_without_the_store(
    moltghost: Command, engine: FakeEngine, bucket: Bucket
) -> None:
    ran = moltghost(*HELLO)
    assert ran.code == 2
    assert "the weights store of local doesn't have gemma3-270m Q4_K_M" in ran.err
    assert "moltghost weights add gemma3-270m-q4_K_M --env local" in ran.err
    assert engine.ups == []


def test_with_yes_deploy_builds_the_store_first(
    moltghost: Command, engine: FakeEngine, added: list[Request]
) -> None:
    seen: list[Any] = []
    engine.on_up = lambda _number: seen.append(len(added))
    moltghost(*HELLO, "--yes")
    assert added == [Request(model="gemma3-270m-q4_K_M")]
    assert seen == [1], "the store is there before anything of the agent is"


def test_agents_on_simulated_nodes_ask_no_store(
    moltghost: Command, engine: FakeEngine, deployed: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(_environment: object) -> None:
        raise AssertionError("the store was asked")

    monkeypatch.setattr(EmbeddedEnvironment, "_location", asked)
    ran = moltghost("agent", "update", "my-agent", "--model", "qwen2.5-72b-q4", "--yes")
    assert ran.code == 0
    assert len(engine.ups) == 1
