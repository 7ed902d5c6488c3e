"""Which engine is taken: the owner's, then the Pulumi CLI, then the embedded one."""

from __future__ import annotations

from pathlib import Path

import pytest

from moltghost import paths
from moltghost.engines import selection
from moltghost.engines.selection import Wanted, choose
from moltghost.errors import ExitCode, Refused
from moltghost.project import Project

OURS = Project(name="moltghost", environment_project="moltghost")


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOLTGHOST_STATE", str(tmp_path))


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has the Pulumi CLI."""
    monkeypatch.setattr(selection, "find_cli", lambda: Path("/usr/bin/pulumi"))


def embedded_has(*stacks: str) -> None:
    for stack in stacks:
        file = paths.stacks_home("moltghost") / f"{stack}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("{}")


def test_without_a_cli_it_is_the_embedded_engine() -> None:
    assert choose(OURS, "local", "auto") == "embedded"


@pytest.mark.usefixtures("cli")
def test_with_a_cli_it_is_the_stock_engine() -> None:
    assert choose(OURS, "local", "auto") == "stock"


@pytest.mark.usefixtures("cli")
@pytest.mark.parametrize("stack", ["local", "platform.local", "my-agent.local"])
def test_an_environment_stays_with_the_embedded_engine_that_has_a_stack_of_it(stack: str) -> None:
    embedded_has(stack)

    assert choose(OURS, "local", "auto") == "embedded"
    assert choose(OURS, "dev", "auto") == "stock"


@pytest.mark.parametrize("wanted", ["stock", "embedded"])
def test_what_was_asked_for_is_taken(wanted: Wanted) -> None:
    assert choose(OURS, "local", wanted) == wanted


@pytest.mark.usefixtures("cli")
def test_the_stock_engine_is_refused_for_stacks_of_the_embedded_one() -> None:
    embedded_has("my-agent.local")

    with pytest.raises(
        Refused, match=r"stack my-agent\.local belongs to the embedded engine"
    ) as refusal:
        choose(OURS, "local", "stock")

    assert refusal.value.exit_code is ExitCode.REFUSED
    assert "moltghost stack adopt local --engine stock" in refusal.value.hint
