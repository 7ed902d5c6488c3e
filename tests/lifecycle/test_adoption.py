"""An environment moves whole and in order. The engines' part is tests/e2e/test_conformance.py."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest

from moltghost.errors import Refused
from moltghost.lifecycle import adoption
from moltghost.lifecycle.adoption import adopt_environment, stacks_to_adopt
from moltghost.ownership import EngineName
from moltghost.progress import Report, silent


class FakeAdoption:
    """What each engine has, and what was moved; ``stuck`` can't be."""

    has: ClassVar[dict[str, list[str]]] = {}
    moved: ClassVar[list[tuple[str, str]]] = []
    stuck = ""
    error: ClassVar[BaseException] = Refused("the last change isn't complete")

    def __init__(self, _project: Path, _report: Report) -> None:
        pass

    def names(self, engine: EngineName) -> list[str]:
        return self.has.get(engine, [])

    def adopt(self, stack: str, engine: EngineName) -> int:
        if stack == self.stuck:
            raise self.error
        self.moved.append((stack, engine))
        return 3


@pytest.fixture(autouse=True)
def fake(monkeypatch: pytest.MonkeyPatch) -> type[FakeAdoption]:
    monkeypatch.setattr(FakeAdoption, "has", {})
    monkeypatch.setattr(FakeAdoption, "moved", [])
    monkeypatch.setattr(FakeAdoption, "stuck", "")
    monkeypatch.setattr(adoption, "Adoption", FakeAdoption)
    return FakeAdoption


def test_layers_come_before_agents_and_other_environments_stay(
    fake: type[FakeAdoption], tmp_path: Path
) -> None:
    fake.has["embedded"] = ["b.local", "dev", "platform.local", "a.local", "local"]

    found = stacks_to_adopt(tmp_path, "local", "stock")

    assert found == ["local", "platform.local", "a.local", "b.local"]


def test_what_the_engine_has_already_is_not_moved(fake: type[FakeAdoption], tmp_path: Path) -> None:
    fake.has = {"stock": ["local", "platform.local"], "embedded": ["a.local"]}

    assert stacks_to_adopt(tmp_path, "local", "stock") == ["a.local"]
    assert stacks_to_adopt(tmp_path, "local", "embedded") == ["local", "platform.local"]


def test_an_environment_without_stacks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"environment local has no stacks yet") as refusal:
        stacks_to_adopt(tmp_path, "local", "stock")

    assert refusal.value.hint == "moltghost up local --engine stock makes them"


def test_a_single_stack_is_refused_with_the_environments_name(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"my-agent\.local isn't an environment") as refusal:
        stacks_to_adopt(tmp_path, "my-agent.local", "embedded")

    assert refusal.value.hint == "moltghost stack adopt local --engine embedded"


@pytest.mark.parametrize(
    "error", [Refused("the last change isn't complete"), KeyboardInterrupt()], ids=repr
)
def test_one_that_cannot_be_moved_brings_the_others_back(
    error: BaseException, fake: type[FakeAdoption], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.stuck = "a.local"
    monkeypatch.setattr(fake, "error", error)

    with pytest.raises(type(error)):
        adopt_environment(tmp_path, ["local", "platform.local", "a.local"], "stock", silent)

    assert fake.moved == [
        ("local", "stock"),
        ("platform.local", "stock"),
        ("local", "embedded"),
        ("platform.local", "embedded"),
    ]
