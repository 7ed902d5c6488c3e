"""The pages that a person reads, for the tests of them."""

from __future__ import annotations

from pathlib import Path

from tests.examples import PROJECT

DOCS = PROJECT / "docs"
PAGES = (
    *(PROJECT / f"{name}.md" for name in ("README", "CONTRIBUTING", "CHANGELOG", "SECURITY")),
    *sorted(DOCS.rglob("*.md")),
)
DECISIONS = sorted((DOCS / "decisions").glob("[0-9]*.md"))


def name(page: object) -> str:
    return str(page.relative_to(PROJECT)) if isinstance(page, Path) else str(page)
