from __future__ import annotations

import pytest

from moltghost.cli.views.progress import Progress
from moltghost.cli.views.tables import print_facts, print_table
from moltghost.progress import Event

LONG = "g6e.xlarge, g6e.2xlarge, g6e.4xlarge, g6e.8xlarge, g6e.12xlarge, g6e.16xlarge, g6e.24xlarge"


def test_a_table_off_a_terminal_fits_a_hundred_columns_without_trailing_blanks(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_table(("pool", "instance types", "most"), [("l40s", LONG, "8"), ("h100", "p5", "4")])
    print_facts([("types", LONG), ("pool", "l40s")])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 7
    assert max(len(line) for line in lines) <= 100
    assert [line for line in lines if line != line.rstrip()] == []
    assert LONG.split(", ")[-1] in "".join(lines)


def test_off_a_terminal_only_what_changes_has_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress() as progress:
        for event in (
            Event(task="Namespace agent-x", state="cached"),
            Event(task="job", state="cached", detail="weights/build runs already: joined"),
            Event(task="Deployment agent-x/model-server", state="started"),
            Event(task="Deployment agent-x/model-server", state="done"),
            Event(task="Service agent-x/runtime", state="failed", detail="no address"),
        ):
            progress.report(event)
    assert capsys.readouterr().err.splitlines() == [
        "  job: weights/build runs already: joined",
        "  Deployment agent-x/model-server: ok",
        "  Service agent-x/runtime: failed: no address",
    ]
