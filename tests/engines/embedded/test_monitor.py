from __future__ import annotations

import pytest

from moltghost.engines.embedded.monitor import go_duration_seconds
from moltghost.errors import Refused


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("10m", 600), ("1h30m", 5400), ("1.5s", 1.5), ("500ms", 0.5)]
)
def test_timeouts_are_go_durations(text: str, seconds: float) -> None:
    assert go_duration_seconds(text) == seconds


@pytest.mark.parametrize("text", ["10", "ten minutes", "1d", "-5s"])
def test_a_timeout_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="is not a duration"):
        go_duration_seconds(text)
