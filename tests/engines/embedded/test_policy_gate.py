"""Policies in an update: judged again where the preview didn't know, and only there."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

import pytest

from moltghost.engines.embedded.engine import EmbeddedEngine
from moltghost.engines.interface import AnalyzedResource
from moltghost.errors import Failed, Refused
from moltghost.progress import silent

# `second` depends on a value that only the update knows.
CHAIN = """
    import pulumi, pulumi_random as random
    first = random.RandomId("first", byte_length=4)
    second = random.RandomString("second", length=8, keepers={"of": first.hex})
    random.RandomString("third", length=8, keepers={"of": second.result})
    random.RandomString("plain", length=8)
"""


class Rules:
    """Policies that note what they are asked, and refuse what they are told to."""

    def __init__(self, *refused: str, of_stack: str = "") -> None:
        self.refused = refused
        self.of_stack = of_stack
        self.asked: list[tuple[list[str], bool]] = []

    def __call__(
        self,
        project: Path,
        stack: str,
        resources: Sequence[AnalyzedResource],
        *,
        alone: bool = False,
    ) -> list[str]:
        assert (project / "Pulumi.yaml").is_file()
        assert stack == "a.local"
        self.asked.append((sorted(each.name for each in resources), alone))
        known = [each for each in resources if self._is_known(each)]
        for each in known:
            if each.name in self.refused:
                raise Refused(f"{each.name} breaks a rule", "mend it")
        if self.of_stack and not alone and len(known) == len(resources):
            raise Refused(self.of_stack, "mend it")
        return [f"{each.name} is undecided" for each in resources if each not in known]

    @staticmethod
    def _is_known(resource: AnalyzedResource) -> bool:
        return all(isinstance(v, str) for v in resource.inputs.get("keepers", {}).values())


def engine(folder: Path, rules: Rules, program: str = CHAIN) -> EmbeddedEngine:
    (folder / "Pulumi.yaml").write_text("name: moltghost\nruntime: python\n")
    (folder / "Pulumi.a.local.yaml").write_text("config: {}\n")
    (folder / "__main__.py").write_text(textwrap.dedent(program))
    return EmbeddedEngine(folder, state=folder / "stacks", key=folder / "key", analyze=rules)


def test_what_the_preview_did_not_know_is_judged_before_it_is_made(tmp_path: Path) -> None:
    rules = Rules("second")
    refusing = engine(tmp_path, rules)
    assert refusing.preview("a.local", report=silent).warnings == (
        "second is undecided",
        "third is undecided",
    )
    with pytest.raises(Failed, match="second breaks a rule"):
        refusing.up("a.local", report=silent)
    state = (tmp_path / "stacks" / "a.local.json").read_text()
    assert "::first" in state
    assert "::plain" in state
    assert "::second" not in state
    assert "::third" not in state  # it needs what wasn't made


def test_only_what_differs_from_the_preview_is_judged_again(tmp_path: Path) -> None:
    rules = Rules()
    result = engine(tmp_path, rules).up("a.local", report=silent)
    everything = ["first", "plain", "second", "third"]
    assert rules.asked == [
        (everything, False),
        (["second"], True),
        (["third"], True),
        (everything, False),
    ]
    assert result.warnings == ()  # what was undecided has been decided


def test_what_the_preview_knew_is_not_judged_twice(tmp_path: Path) -> None:
    rules = Rules()
    judged = engine(tmp_path, rules)
    judged.up("a.local", report=silent)
    rules.asked.clear()
    judged.up("a.local", report=silent)
    assert rules.asked == [(["first", "plain", "second", "third"], False)]


def test_a_rule_about_the_whole_stack_is_held_against_what_was_made(tmp_path: Path) -> None:
    with pytest.raises(Failed, match=r"together they break a rule\nIt was applied"):
        engine(tmp_path, Rules(of_stack="together they break a rule")).up("a.local", report=silent)
    assert "::third" in (tmp_path / "stacks" / "a.local.json").read_text()
