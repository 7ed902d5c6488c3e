"""The pages of the documentation that the rules themselves write, one for each area."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

_SHOWN_TYPES = 8
_NOTE = "<!-- Written by `make docs`; a test compares it with the rules. -->"


def area_pages(rules: Sequence[Any], introductions: Mapping[str, str]) -> dict[str, str]:
    """Markdown by area.

    Args:
        rules: the rules of a pack.
        introductions: the first sentence of each page, by area.
    """
    areas = dict.fromkeys(rule.area for rule in rules)
    return {
        area: _page(area, introductions.get(area, ""), [r for r in rules if r.area == area])
        for area in areas
    }


def _page(area: str, introduction: str, rules: Sequence[Any]) -> str:
    rows = "\n".join(
        f"| [`{rule.id}`](#{rule.id}) | {rule.level.value} | {rule.severity.value} | {rule.says} |"
        for rule in rules
    )
    sections = "\n".join(_section(rule) for rule in rules)
    return (
        f"{_NOTE}\n\n# Policies: {area}\n\n{introduction}\n\n"
        f"| rule | level | severity | what must hold |\n|---|---|---|---|\n{rows}\n\n{sections}"
    )


def _section(rule: Any) -> str:
    settings = "".join(
        f"- `{name}` ({item['type']}, default `{json.dumps(item['default'])}`): "
        f"{item['description']}\n"
        for name, item in rule.schema.items()
    )
    types = ", ".join(f"`{each}`" for each in rule.types[:_SHOWN_TYPES])
    more = len(rule.types) - _SHOWN_TYPES
    return (
        f"## {rule.id}\n\n{rule.says} {rule.why}\n\n"
        f"- Level: {rule.level.value}; severity: {rule.severity.value}\n"
        f"- Looks at: {types}{f' and {more} more types' if more > 0 else ''}"
        f"{' (together, over the whole stack)' if rule.stack_check else ''}\n"
        f"- Fix: {rule.fix}\n"
        f"- Sources: {', '.join(rule.sources) or 'our own'}\n{_settings(settings)}"
    )


def _settings(lines: str) -> str:
    return f"\nSettings:\n\n{lines}" if lines else ""
