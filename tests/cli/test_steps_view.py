"""What a preview says beside its steps: notes, what is unknown, and what it can't do."""

from __future__ import annotations

import pytest

from moltghost.cli.views.steps import preview_json, show_preview
from moltghost.engines.interface import Op, Preview, Step


def step(name: str, note: str = "") -> Step:
    return Step(urn=name, type="t", name=name, op=Op.CREATE, title=f"Thing {name}", note=note)


def test_a_note_on_many_lines_is_said_once_with_their_number(
    capsys: pytest.CaptureFixture[str],
) -> None:
    steps = [*(step(str(number), "needs the Pulumi CLI") for number in range(6)), step("a", "rare")]
    show_preview(Preview(stack="dev", steps=tuple(steps), outputs={}), diff=False)
    out = capsys.readouterr().out
    assert out.count("needs the Pulumi CLI") == 1
    assert "6 of these: needs the Pulumi CLI" in out
    assert "Thing a  (rare)" in out


def test_a_preview_says_what_it_could_not_know_and_cannot_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    preview = Preview(
        stack="platform.dev",
        steps=(step("a"),),
        outputs={},
        needs_stock=("aws:eks/addon:Addon", "aws:iam/role:Role", "kubernetes:helm.sh/v3:Release"),
        needs_stacks=("dev",),
    )
    show_preview(preview, diff=False)
    out = capsys.readouterr().out
    assert "stack dev doesn't exist yet: what this one reads of it is [unknown] until then" in out
    assert "needs the stock Pulumi CLI: 2 types of aws, 1 type of kubernetes" in out
    assert preview_json(preview)["needs_stacks"] == ["dev"]
