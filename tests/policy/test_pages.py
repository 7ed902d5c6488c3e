"""The generated pages are those of the rules as they are now."""

from __future__ import annotations

from pathlib import Path

from moltghost.policy.pack import Pack
from moltghost.policy.pages import area_pages
from tests.policies.declare import PROJECT

DOCS = PROJECT / "docs" / "policies"


def test_the_pages_are_up_to_date(pack: Pack) -> None:
    pages = area_pages(pack.rules, pack.areas)
    assert len(pages) == 14
    for area, text in pages.items():
        file = DOCS / f"{area}.md"
        assert file.read_text() == text, f"run make docs: {file.name} is old"


def test_every_rule_has_its_section(pack: Pack) -> None:
    text = "\n".join(file.read_text() for file in Path(DOCS).glob("*.md"))
    for rule in pack.rules:
        assert f"## {rule.id}\n" in text
        assert rule.fix in text
