"""Stores that are there: who uses them, whether they are good, and what may go."""

from __future__ import annotations

from pathlib import Path

import pytest

from moltghost.environments.environment import Environment
from moltghost.errors import Failed, Refused
from moltghost.kube.pod_diagnosis import LiveObject
from moltghost.lifecycle.weights import job as running
from moltghost.lifecycle.weights.maintenance import (
    list_sources,
    list_weights,
    removable,
    removable_sources,
    remove_sources,
    remove_weights,
    verify_weights,
)
from moltghost.progress import silent
from moltghost.weights_store.bucket import Bucket
from moltghost.weights_store.store import StoreState
from tests.examples import HELLO, agent_spec
from tests.kube.clusters import client, deployment
from tests.lifecycle.projects import environment
from tests.lifecycle.weights.jobs import SHA256, JobCluster, plan
from tests.lifecycle.weights.jobs import client as jobs_client
from tests.weights_store.stores import WEIGHTS, blob, publish, put

PREFIX = "stores/ollama-0.17.4/gemma3-270m/Q4_K_M/"
LLAMA = "stores/ollama-0.17.4/llama3.1-8b/Q4_K_M/"


def cluster(monkeypatch: pytest.MonkeyPatch, *items: LiveObject) -> None:
    monkeypatch.setattr(Environment, "client", client(*items))


def hello(**changes: object) -> LiveObject:
    return deployment("hello", spec=agent_spec(**{**HELLO, **changes}))


def test_the_list_says_who_uses_what(
    here: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(bucket, prefix=PREFIX)
    put(bucket, "blobs/sha256-0", b"half", prefix=LLAMA)
    cluster(monkeypatch, hello())
    found = {each.store.prefix: each for each in list_weights(environment(here))}
    assert found[PREFIX].used_by == ("hello",)
    assert found[PREFIX].store.state is StoreState.COMPLETE
    assert found[LLAMA].used_by == ()
    assert found[LLAMA].store.state is StoreState.PARTIAL


def test_agents_on_simulated_nodes_use_no_store(
    here: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(bucket, prefix=LLAMA)
    cluster(monkeypatch, deployment(spec=agent_spec(model="llama3.1-8b-q4")))
    [found] = list_weights(environment(here))
    assert found.used_by == ()
    removable(environment(here), "llama3.1-8b-q4")


def test_the_list_does_without_a_cluster_and_says_so(
    here: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(bucket, prefix=PREFIX)

    def absent(*_: object) -> None:
        raise Refused("no cluster")

    monkeypatch.setattr(Environment, "client", property(absent))
    [found] = list_weights(environment(here))
    assert found.used_by is None
    with pytest.raises(Refused, match="no cluster"):
        removable(environment(here), "gemma3-270m-q4")


def test_a_store_that_an_agent_runs_stays(
    here: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(bucket, prefix=PREFIX)
    cluster(monkeypatch, hello())
    with pytest.raises(Refused, match="is used by hello") as refused:
        removable(environment(here), "gemma3-270m-q4")
    assert "moltghost agent destroy" in refused.value.hint


def test_a_store_that_an_agent_would_go_back_to_stays(
    here: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(bucket, prefix=PREFIX)
    before = agent_spec(**HELLO).model_part
    cluster(monkeypatch, hello(model="gemma3-270m-q8", previous=before.model_dump()))
    with pytest.raises(Refused, match="is used by hello"):
        removable(environment(here), "gemma3-270m-q4")


def test_a_store_that_nobody_uses_goes_whole(
    here: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(bucket, prefix=PREFIX)
    cluster(monkeypatch)
    store = removable(environment(here), "gemma3-270m-q4")
    assert remove_weights(environment(here), store) == 4
    assert bucket.sizes("") == {}
    with pytest.raises(Refused, match="has no store of gemma3-270m Q4_K_M") as refused:
        removable(environment(here), "gemma3-270m-q4")
    assert "moltghost weights add gemma3-270m-q4_K_M --env local" in refused.value.hint


def test_a_source_that_a_job_builds_from_stays(
    here: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    for sha256 in (SHA256, "cd" * 32):
        put(bucket, f"sources/{sha256}.gguf", b"GGUF", prefix="")
    jobs = JobCluster(ending="")
    running.begin(jobs_client(jobs), plan(), None)
    monkeypatch.setattr(Environment, "client", jobs)
    assert removable_sources(environment(here)) == {f"sources/{'cd' * 32}.gguf": 4}
    jobs.jobs[plan().name]["status"]["conditions"] = [{"type": "Complete", "status": "True"}]
    sources = removable_sources(environment(here))
    assert len(sources) == 2
    assert remove_sources(environment(here), sources) == 2
    assert list_sources(environment(here)) == {}


def test_an_agent_whose_config_can_not_be_read_still_keeps_its_store(
    here: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(bucket, prefix=PREFIX)
    broken = deployment("hello", model="gemma3-270m", quantization="Q4_K_M", spec=None)
    broken["metadata"]["annotations"]["moltghost.dev/spec"] = "{"
    cluster(monkeypatch, broken)
    with pytest.raises((Refused, Failed), match="used by hello"):
        removable(environment(here), "gemma3-270m-q4")


def test_verify_finds_the_damaged_one_among_all(here: Path, bucket: Bucket) -> None:
    publish(bucket, prefix=PREFIX)
    publish(bucket, prefix=LLAMA)
    rotten = bytes([WEIGHTS[0] ^ 1]) + WEIGHTS[1:]
    put(bucket, blob(WEIGHTS), rotten, prefix=LLAMA)
    found = {
        each.store.prefix: each.findings for each in verify_weights(environment(here), "", silent)
    }
    assert found[PREFIX] == ()
    assert [finding.key for finding in found[LLAMA]] == [LLAMA + blob(WEIGHTS)]


def test_verify_of_one_model_reads_no_other(here: Path, bucket: Bucket) -> None:
    publish(bucket, prefix=PREFIX)
    publish(bucket, prefix=LLAMA)
    [found] = verify_weights(environment(here), "gemma3-270m-q4", silent)
    assert found.store.prefix == PREFIX
    with pytest.raises(Refused, match="no store of gemma3-270m Q8_0"):
        verify_weights(environment(here), "gemma3-270m-q8", silent)


def test_what_was_never_finished_is_not_verified_unless_it_is_asked_for(
    here: Path, bucket: Bucket
) -> None:
    put(bucket, blob(WEIGHTS), WEIGHTS, prefix=PREFIX)
    assert verify_weights(environment(here), "", silent) == []
