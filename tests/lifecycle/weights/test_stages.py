from __future__ import annotations

from moltghost.lifecycle.weights.stages import Stages
from moltghost.progress import Event
from tests.lifecycle.weights.jobs import LINES


def told(*lines: str) -> list[Event]:
    events: list[Event] = []
    stages = Stages(events.append)
    for line in lines:
        stages.line(line)
    stages.end("done")
    return events


def test_each_stage_is_started_and_done_in_order() -> None:
    events = told(*LINES)
    ends = [event.task for event in events if event.state == "done"]
    assert ends == ["select", "download", "quantize", "publish"]


def test_bytes_have_a_rate_an_eta_and_a_fraction() -> None:
    [event] = [e for e in told(*LINES) if e.task == "download" and e.state == "running"]
    assert event.detail == "50 B of 100 B, 25 B/s, 2 s left"
    assert event.fraction == 0.5


def test_a_log_that_is_read_again_repeats_no_stage() -> None:
    once = [e.task for e in told(*LINES) if e.state == "started"]
    twice = [e.task for e in told(*LINES, *LINES) if e.state == "started"]
    assert twice == once


def test_lines_that_are_no_progress_change_nothing() -> None:
    assert told("", "panic: oh", "[1]", '{"stage": "unheard of"}', '{"stage": 3}', "null") == []


def test_what_is_waited_for_is_told_until_the_first_stage_begins() -> None:
    events: list[Event] = []
    stages = Stages(events.append)
    stages.waiting("no node yet")
    stages.line(LINES[0])
    assert [(e.task, e.state, e.detail) for e in events[:3]] == [
        ("node", "started", ""),
        ("node", "running", "no node yet"),
        ("node", "done", ""),
    ]
