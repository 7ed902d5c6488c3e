"""`weights add` from the request to a complete store, with a job that does what a build does."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from moltghost.errors import Failed, Refused
from moltghost.lifecycle.weights import build as adding
from moltghost.lifecycle.weights.build import Added, add
from moltghost.lifecycle.weights.source import Request
from moltghost.locks import held
from moltghost.progress import Event, silent
from moltghost.weights_store.bucket import Bucket
from moltghost.weights_store.store import StoreState, read_store
from tests.lifecycle.projects import environment
from tests.lifecycle.weights.jobs import JobCluster, write_gguf
from tests.weights_store.stores import WEIGHTS, blob, publish, put

PREFIX = "stores/ollama-0.17.4/gemma3-270m/Q4_K_M/"

Adding = Callable[..., Added]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A GGUF of the right kind, so small that it can be sent around."""
    return write_gguf(tmp_path / "model.gguf", hidden=4, rows=262_144, layers=18)


@pytest.fixture
def adds(here: Path, bucket: Bucket, file: Path) -> Callable[..., Added]:
    """Runs `add` against a cluster of jobs."""

    def run(cluster: JobCluster | None = None, report: Any = silent, **request: Any) -> Added:
        found = cluster or JobCluster(on_run=lambda: publish(bucket, prefix=PREFIX))
        asked = {"model": "gemma3-270m-q4", "from_": str(file), "unchecked": True, **request}
        return add(environment(here, found), Request(**asked), report)

    return run


def test_a_model_is_fetched_uploaded_built_and_looked_at_again(
    adds: Adding, bucket: Bucket, file: Path
) -> None:
    events: list[Event] = []
    added = adds(report=events.append)
    assert (added.built, added.joined) == (True, False)
    assert added.store.state is StoreState.COMPLETE
    source = f"sources/{hashlib.sha256(file.read_bytes()).hexdigest()}.gguf"
    assert b"".join(bucket.chunks(source)) == file.read_bytes()
    assert [event.task for event in events if event.state == "done"] == [
        "hash model.gguf",
        "upload model.gguf",
        "select",
        "download",
        "quantize",
        "publish",
    ]


def test_a_good_store_is_reported_and_nothing_is_done(adds: Adding, bucket: Bucket) -> None:
    publish(bucket, prefix=PREFIX)
    cluster = JobCluster()
    assert adds(cluster).built is False
    assert cluster.created == 0


def test_replace_builds_a_good_store_anew(adds: Adding, bucket: Bucket) -> None:
    publish(bucket, prefix=PREFIX)
    states: list[StoreState] = []

    def build() -> None:
        states.append(read_store(bucket, PREFIX).state)
        publish(bucket, prefix=PREFIX)

    assert adds(JobCluster(on_run=build), replace=True).built
    assert states == [StoreState.ABSENT]


@pytest.mark.parametrize("trouble", ["no namespace", "another source"])
def test_replace_removes_nothing_before_the_job_can_start(
    adds: Adding, bucket: Bucket, tmp_path: Path, trouble: str
) -> None:
    cluster = JobCluster(namespace=trouble != "no namespace", ending="")
    if trouble == "another source":
        other = write_gguf(tmp_path / "other.gguf", hidden=1, rows=262_143, layers=18)
        cluster.follow_log = interrupted  # type: ignore[method-assign,assignment]
        with pytest.raises(KeyboardInterrupt):
            adds(cluster, from_=str(other))
    publish(bucket, prefix=PREFIX)
    with pytest.raises(Refused):
        adds(cluster, replace=True)
    assert read_store(bucket, PREFIX).state is StoreState.COMPLETE


def interrupted(*_: str) -> Any:
    raise KeyboardInterrupt


def test_replace_that_was_interrupted_joins_its_job_and_leaves_it_what_it_uploaded(
    adds: Adding, bucket: Bucket
) -> None:
    publish(bucket, prefix=PREFIX)
    cluster = JobCluster(on_run=lambda: put(bucket, blob(WEIGHTS), WEIGHTS, prefix=PREFIX))
    read = cluster.follow_log
    cluster.follow_log = interrupted  # type: ignore[method-assign,assignment]
    with pytest.raises(KeyboardInterrupt):
        adds(cluster, replace=True)

    def publishing(*arguments: str) -> Any:
        assert bucket.size(PREFIX + blob(WEIGHTS)) == len(WEIGHTS)
        publish(bucket, prefix=PREFIX)
        return read(*arguments)

    cluster.follow_log = publishing  # type: ignore[method-assign]
    assert adds(cluster, replace=True).joined
    assert cluster.created == 1


def test_replace_waits_for_a_job_that_has_just_published(adds: Adding, bucket: Bucket) -> None:
    cluster = JobCluster(on_run=lambda: publish(bucket, prefix=PREFIX))
    cluster.follow_log = interrupted  # type: ignore[method-assign,assignment]
    with pytest.raises(KeyboardInterrupt):
        adds(cluster)
    with pytest.raises(Refused, match="a job that was begun before still runs"):
        adds(cluster, replace=True)
    assert read_store(bucket, PREFIX).state is StoreState.COMPLETE


def test_a_damaged_store_is_refused_until_it_is_replaced(adds: Adding, bucket: Bucket) -> None:
    publish(bucket, prefix=PREFIX)
    put(bucket, blob(WEIGHTS), b"cut", prefix=PREFIX)
    with pytest.raises(Refused, match=r"is damaged:\n  blobs/sha256-.* has 3 bytes") as refused:
        adds()
    assert "--replace --env local" in refused.value.hint
    assert adds(replace=True).store.state is StoreState.COMPLETE


def test_a_half_done_store_is_built_to_its_end(adds: Adding, bucket: Bucket) -> None:
    put(bucket, blob(WEIGHTS), WEIGHTS, prefix=PREFIX)
    assert adds().built


def test_a_job_that_says_complete_without_a_store_is_not_believed(adds: Adding) -> None:
    with pytest.raises(Failed, match="the store of gemma3-270m Q4_K_M is absent"):
        adds(JobCluster())


def test_a_build_that_fails_leaves_no_store_and_the_upload_for_next_time(
    adds: Adding, bucket: Bucket
) -> None:
    with pytest.raises(Failed, match="the disk is full"):
        adds(JobCluster(ending="Failed", message="the disk is full"))
    assert read_store(bucket, PREFIX).state is StoreState.ABSENT
    events: list[Event] = []
    assert adds(report=events.append).built
    assert "cached" in [event.state for event in events if event.task == "upload model.gguf"]


def test_two_at_a_time_on_one_machine_the_second_is_told_who_is_at_it(
    adds: Adding, tmp_path: Path
) -> None:
    lock = tmp_path / "MOLTGHOST_STATE/locks/weights-local-gemma3-270m-q4_K_M.lock"
    with (
        held(lock, "the store", "weights add"),
        pytest.raises(Refused, match=r"Q4_K_M in local is being changed .* weights add with pid"),
    ):
        adds()


def test_of_two_machines_the_second_follows_the_firsts_job(adds: Adding, bucket: Bucket) -> None:
    cluster = JobCluster(ending="")
    log = cluster.follow_log

    def published(*arguments: str) -> Any:
        publish(bucket, prefix=PREFIX)
        cluster._ending = "Complete"
        return log(*arguments)

    cluster.follow_log = published  # type: ignore[method-assign]
    cluster._on_run = lambda: None
    first = adds(cluster)
    assert first.joined is False
    from moltghost.weights_store.store import remove_store

    remove_store(bucket, PREFIX)
    for job in cluster.jobs.values():
        job["status"] = {}
    events: list[Event] = []
    second = adds(cluster, report=events.append)
    assert second.joined is True
    assert cluster.created == 1
    assert any(event.task == "job" and "joined" in event.detail for event in events)


def test_a_store_that_another_machine_published_meanwhile_is_taken(
    adds: Adding, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = adding.upload_source

    def slow(*arguments: Any, **options: Any) -> str:
        publish(bucket, prefix=PREFIX)
        return upload(*arguments, **options)

    monkeypatch.setattr(adding, "upload_source", slow)
    cluster = JobCluster()
    assert adds(cluster).built is False
    assert cluster.created == 0


def test_without_a_node_nothing_is_uploaded(adds: Adding, bucket: Bucket) -> None:
    with pytest.raises(Refused, match="environment local has no node machine"):
        adds(JobCluster(machine=False))
    assert bucket.sizes("") == {}


def test_a_file_of_another_model_is_refused_before_it_is_uploaded(
    adds: Adding, bucket: Bucket
) -> None:
    with pytest.raises(Refused, match=r"isn't gemma3-270m Q4_K_M:\n  \d+ parameters"):
        adds(unchecked=False)
    assert bucket.sizes("") == {}


def test_a_file_whose_sha256_is_not_the_given_one_is_refused(adds: Adding) -> None:
    with pytest.raises(Refused, match=r"the sha256 of .* is .*, not ab"):
        adds(sha256="ab" * 32)
