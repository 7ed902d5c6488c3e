"""A job is begun once, joined by whoever comes second, and its end is told with its reason."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from moltghost.errors import Failed, Refused
from moltghost.lifecycle.weights import job as running
from moltghost.lifecycle.weights.job import begin, follow
from moltghost.progress import Event, silent
from moltghost.weights_store.bucket import Key
from tests.lifecycle.weights.jobs import JobCluster, client, plan

KEY = Key("access", "secret")


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "_POLL_SECONDS", 0.0)


def test_the_job_starts_only_when_its_key_is_there_and_the_key_goes_with_it() -> None:
    cluster, order = JobCluster(), []
    apply, patch = cluster.apply, cluster.patch
    cluster.apply = lambda *a, **k: (order.append("key"), apply(*a, **k))[1]  # type: ignore[method-assign]
    cluster.patch = lambda *a, **k: (order.append("start"), patch(*a, **k))[1]  # type: ignore[method-assign]
    assert begin(client(cluster), plan(), KEY) is False
    assert order == ["key", "start"]
    secret = cluster.secrets[plan().name]
    assert secret["metadata"]["ownerReferences"][0]["uid"] == "uid-1"
    assert secret["stringData"] == {
        "AWS_ACCESS_KEY_ID": "access",
        "AWS_SECRET_ACCESS_KEY": "secret",
    }
    assert cluster.jobs[plan().name]["spec"]["suspend"] is False


def test_without_a_key_there_is_no_secret_and_the_pod_asks_for_none() -> None:
    cluster = JobCluster()
    begin(client(cluster), plan(), None)
    assert cluster.secrets == {}
    pod = cluster.jobs[plan().name]["spec"]["template"]["spec"]
    assert "envFrom" not in pod["containers"][0]


def test_who_comes_second_joins_and_starts_nothing() -> None:
    cluster = JobCluster()
    begin(client(cluster), plan(), KEY)
    assert begin(client(cluster), plan(), KEY) is True
    assert cluster.created == 1


def test_of_two_at_the_same_moment_the_api_server_lets_one_create() -> None:
    cluster = JobCluster()
    get, looks = cluster.get, 0

    def blind(*arguments: str) -> object:
        nonlocal looks
        looks += 1
        return None if looks == 1 else get(*arguments)

    begin(client(cluster), plan(), KEY)
    cluster.get = blind  # type: ignore[method-assign,assignment]
    assert begin(client(cluster), plan(), KEY) is True
    assert cluster.created == 1


def test_a_job_that_was_made_and_never_started_is_started_by_the_next() -> None:
    cluster = JobCluster()
    begin(client(cluster), plan(), KEY)
    cluster.jobs[plan().name]["spec"]["suspend"] = True
    cluster.secrets.clear()
    assert begin(client(cluster), plan(), KEY) is True
    assert plan().name in cluster.secrets
    assert cluster.jobs[plan().name]["spec"]["suspend"] is False


def test_a_job_that_builds_the_store_from_something_else_is_not_joined() -> None:
    cluster = JobCluster()
    begin(client(cluster), plan("cd" * 32), KEY)
    with pytest.raises(Refused, match=f"is being built from {'cd' * 32}") as refused:
        begin(client(cluster), plan(), KEY)
    assert "kubectl delete job" in refused.value.hint


def test_an_ended_job_makes_room_for_a_new_one() -> None:
    cluster = JobCluster(ending="Failed")
    begin(client(cluster), plan(), KEY)
    with pytest.raises(Failed, match="building gemma3-270m"):
        follow(client(cluster), plan(), silent)
    assert begin(client(cluster), plan(), KEY) is False
    assert cluster.jobs[plan().name]["metadata"]["uid"] == "uid-2"


def test_a_cluster_without_the_namespace_says_what_makes_it() -> None:
    with pytest.raises(Refused, match="no namespace moltghost-weights") as refused:
        begin(client(JobCluster(namespace=False)), plan(), KEY)
    assert refused.value.hint == "moltghost up platform.local makes it"


def test_the_stages_of_the_log_are_told_until_the_job_completes() -> None:
    cluster, events = JobCluster(), list[Event]()
    begin(client(cluster), plan(), KEY)
    follow(client(cluster), plan(), events.append)
    assert [event.task for event in events if event.state == "done"] == [
        "select",
        "download",
        "quantize",
        "publish",
    ]


def test_a_pod_that_went_with_its_node_is_followed_by_the_next_from_its_first_stage() -> None:
    cluster, events = JobCluster(ending=""), list[Event]()
    log = cluster.follow_log

    def interrupted(*arguments: str) -> Iterator[str]:
        yield from log(*arguments)
        if cluster.pod_uid == "second":
            cluster._ending = "Complete"
            list(log(*arguments))
        cluster.pod_uid = "second"

    cluster.follow_log = interrupted  # type: ignore[method-assign]
    begin(client(cluster), plan(), KEY)
    follow(client(cluster), plan(), events.append)
    told = [(event.task, event.state) for event in events if event.state in ("done", "failed")]
    stages = ["select", "download", "quantize"]
    once = [(stage, "done") for stage in stages]
    assert told == [*once, ("publish", "failed"), *once, ("publish", "done")]


def test_a_failed_build_says_its_reason_and_its_next_step() -> None:
    cluster = JobCluster(ending="Failed", message="the source is broken\ngive another one")
    begin(client(cluster), plan(), KEY)
    with pytest.raises(Failed, match="Q4_K_M failed: the source is broken") as failed:
        follow(client(cluster), plan(), silent)
    assert failed.value.hint == "give another one"


def test_a_build_that_left_no_message_fails_with_the_jobs_own_reason() -> None:
    cluster = JobCluster(ending="Failed")
    begin(client(cluster), plan(), KEY)
    with pytest.raises(Failed, match="failed: BackoffLimitExceeded"):
        follow(client(cluster), plan(), silent)


def test_an_image_that_can_not_be_pulled_ends_it_with_the_clusters_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(running, "_STUCK_SECONDS", 0.0)
    trouble = {"reason": "ImagePullBackOff", "message": "no such image"}
    cluster = JobCluster(waiting=[trouble] * 10)
    begin(client(cluster), plan(), KEY)
    with pytest.raises(Failed, match="can't start: container build waits: ImagePullBackOff"):
        follow(client(cluster), plan(), silent)
    assert cluster.jobs == {}, "or the next add would join it"


def test_a_trouble_that_passes_is_told_and_waited_out() -> None:
    cluster = JobCluster(waiting=[{"reason": "ErrImagePull", "message": "try again"}] * 3)
    events: list[Event] = []
    begin(client(cluster), plan(), KEY)
    follow(client(cluster), plan(), events.append)
    assert any("ErrImagePull: try again" in event.detail for event in events)
    assert events[-1].state == "done"


def test_a_job_that_somebody_removes_is_a_failure() -> None:
    with pytest.raises(Failed, match="was removed while it ran"):
        follow(client(JobCluster()), plan(), silent)


def test_room_is_made_when_the_job_is_sure_to_start_and_before_it_does() -> None:
    cluster, made = JobCluster(), list[bool]()

    def make_room(joined: bool) -> None:
        assert cluster.jobs[plan().name]["spec"]["suspend"] is True
        made.append(joined)

    begin(client(cluster), plan(), KEY, make_room)
    assert made == [False]
    assert cluster.jobs[plan().name]["spec"]["suspend"] is False


def test_no_room_is_made_for_a_job_that_can_not_be() -> None:
    def make_room(_joined: bool) -> None:
        raise AssertionError

    with pytest.raises(Refused, match="no namespace"):
        begin(client(JobCluster(namespace=False)), plan(), KEY, make_room)
    cluster = JobCluster()
    begin(client(cluster), plan("cd" * 32), KEY)
    with pytest.raises(Refused, match="is being built from"):
        begin(client(cluster), plan(), KEY, make_room)


def test_a_job_that_never_started_is_made_anew_where_room_is_made() -> None:
    cluster, made = JobCluster(), list[bool]()
    begin(client(cluster), plan("cd" * 32), KEY)
    cluster.jobs[plan().name]["spec"]["suspend"] = True
    assert begin(client(cluster), plan(), KEY, made.append) is False
    assert (made, cluster.created) == ([False], 2)


def test_only_the_job_that_it_made_room_for_is_started() -> None:
    cluster = JobCluster()

    def replaced(_joined: bool) -> None:
        cluster.jobs[plan().name]["metadata"]["uid"] = "another's"

    with pytest.raises(Failed, match="another command removed the job"):
        begin(client(cluster), plan(), KEY, replaced)
    assert cluster.jobs[plan().name]["spec"]["suspend"] is True
