"""What a model server's pod says of its work."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from moltghost.kube.agents import list_agents
from moltghost.kube.client import Client
from moltghost.kube.container_progress import last_words, parse
from moltghost.kube.errors import ApiError
from moltghost.units import GIB, MIB
from tests.kube.clusters import (
    DONE,
    INITIALIZING,
    STARTED_NOT_PROVEN,
    FakeCluster,
    deployment,
    node,
    pod,
    ready_pod,
)

COPY = json.dumps({"stage": "copy", "done": GIB, "total": 4 * GIB, "rate": 512 * MIB, "eta": 6})


class Logging(FakeCluster):
    """A cluster whose containers have logs."""

    def __init__(self, *items: Any, lines: list[str] | None = None) -> None:
        super().__init__(*items)
        self.lines = lines

    def log_tail(self, _pod: str, _namespace: str, container: str) -> list[str]:
        self.calls.append(f"log of {container}")
        if self.lines is None:
            raise ApiError(500, "InternalError", "dial tcp 10.0.0.1:10247: connection refused")
        return self.lines


def words(lines: list[str] | None, containers: dict[str, Any]) -> tuple[str, list[str]]:
    cluster = Logging(lines=lines)
    return last_words(cast("Client", cluster), pod(containers=containers)), cluster.calls


COPYING = {"weights": STARTED_NOT_PROVEN, "ollama": INITIALIZING}
LOADING = {"weights": DONE, "loader": STARTED_NOT_PROVEN}


def test_a_copy_says_bytes_rate_and_time_left() -> None:
    said, calls = words(["not ours", COPY], COPYING)
    assert said == "copy: 1.0 GiB of 4.0 GiB, 512.0 MiB/s, 6 s left"
    assert calls == ["log of weights"]
    assert parse(COPY).fraction == 0.25  # type: ignore[union-attr]


def test_the_loader_says_what_it_does() -> None:
    line = json.dumps({"stage": "load", "message": "loading moltghost/agent:current"})
    assert words([line], LOADING)[0] == "load: loading moltghost/agent:current"


@pytest.mark.parametrize("lines", [None, [], ["panic: x"], ['{"level": "info"}', "[1]"]])
def test_silence_errors_and_other_lines_are_no_words(lines: list[str] | None) -> None:
    assert words(lines, COPYING)[0] == ""


def test_a_pod_that_is_ready_is_not_asked() -> None:
    cluster = Logging(lines=[COPY])
    assert last_words(cast("Client", cluster), ready_pod()) == ""
    assert cluster.calls == []


def test_the_status_of_one_agent_has_its_progress_and_a_list_asks_for_none() -> None:
    items = (deployment(), pod(containers=COPYING), node())
    cluster = Logging(*items, lines=[COPY])
    [one] = list_agents(cast("Client", cluster), "my-agent")
    assert (one.stage, one.detail) == (
        "download",
        "copy: 1.0 GiB of 4.0 GiB, 512.0 MiB/s, 6 s left",
    )
    asked = Logging(*items, lines=[COPY])
    [listed] = list_agents(cast("Client", asked))
    assert listed.detail == ""
    assert not any(call.startswith("log") for call in asked.calls)
