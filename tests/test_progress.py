from __future__ import annotations

import pytest

from moltghost import progress
from moltghost.progress import Event, Meter, transfer_detail

GIB = 1024**3


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((GIB, 4 * GIB, GIB / 10, 30.4), "1.0 GiB of 4.0 GiB, 102.4 MiB/s, 30 s left"),
        ((GIB, 0, 0.0, None), "1.0 GiB"),
        ((GIB, GIB, GIB, 0.0), "1.0 GiB of 1.0 GiB, 1.0 GiB/s"),
        ((0, GIB, 0.0, None), "0 B of 1.0 GiB"),
    ],
)
def test_a_transfer_says_what_is_known_of_it(
    arguments: tuple[int, int, float, float | None], text: str
) -> None:
    assert transfer_detail(*arguments) == text


def test_a_meter_counts_what_was_kept_as_done_but_not_as_speed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    events: list[Event] = []
    meter = Meter(events.append, "copy", 1000, kept=500)
    now = 110.0
    meter.add(100)
    meter.add(50)  # in the same moment: not told again
    assert [event.detail for event in events] == [
        "500 B of 1000 B",
        "600 B of 1000 B, 10 B/s, 40 s left",
    ]
    assert events[-1].fraction == 0.6
    meter.end()
    assert events[-1].state == "done"


def test_bytes_that_were_for_nothing_are_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[Event] = []
    meter = Meter(events.append, "copy", 1000)
    meter.add(400)
    meter.add(-400)
    meter.end("failed")
    assert events[-1].detail.startswith("0 B of 1000 B")
    assert events[-1].state == "failed"
