"""Where things live: the same place whatever folder a program runs in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from moltghost import paths
from moltghost.errors import Refused


@pytest.mark.parametrize(
    ("variable", "asked"),
    [
        ("MOLTGHOST_STATE", paths.state_home),
        ("XDG_STATE_HOME", paths.state_home),
        ("XDG_CACHE_HOME", paths.cache_home),
    ],
)
def test_a_relative_folder_is_refused(
    variable: str, asked: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MOLTGHOST_STATE", raising=False)
    monkeypatch.setenv(variable, "state")
    with pytest.raises(Refused, match=f"{variable} is 'state', a relative path"):
        asked()


def test_the_state_is_where_the_variables_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.delenv("MOLTGHOST_STATE", raising=False)
    assert paths.state_home() == tmp_path / "moltghost"
    monkeypatch.setenv("MOLTGHOST_STATE", str(tmp_path / "mine"))
    assert paths.state_home() == tmp_path / "mine"
