"""Decisions have one form, one index, and are named by numbers that exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.examples import PROJECT
from tests.pages import DECISIONS, DOCS, PAGES, name

ROOMS = ("moltghost", "components", "infra", "policies")
INDEX = DOCS / "decisions" / "README.md"

_TITLE = re.compile(r"^# (?P<number>\d+)\. (?P<title>.+)\n")
_STATUS = re.compile(
    r"^- Status: (?P<status>accepted|superseded by \d+)(?: \(.+\))?$", re.MULTILINE
)
_DATE = re.compile(r"^- Date: \d{4}-\d\d-\d\d(?:,? .+)?$", re.MULTILINE)


def merged_numbers() -> list[int]:
    """Numbers whose records became part of another one, by the end of the index."""
    text = INDEX.read_text(encoding="utf-8").partition("## Merged records")[2]
    lines = (line for line in text.splitlines() if line.startswith("- "))
    return [int(each) for line in lines for each in re.findall(r"\d+", line.partition(":")[0])]


def test_every_number_is_a_decision_or_is_named_as_merged() -> None:
    numbers = [int(file.name.partition("-")[0]) for file in DECISIONS]
    assert len(numbers) >= 45
    assert sorted(numbers + merged_numbers()) == list(range(1, max(numbers) + 1))


@pytest.mark.parametrize("file", DECISIONS, ids=name)
def test_a_decision_has_its_number_status_date_and_parts_in_order(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.startswith(f"# {int(file.name.partition('-')[0])}. ")
    assert _STATUS.search(text)
    assert _DATE.search(text)
    parts = re.findall(r"^\*\*(\w+)\.\*\*", text, re.MULTILINE)
    assert [part for part in parts if part != "Rejected"] == ["Context", "Decision", "Consequence"]
    assert parts[2:-1] in ([], ["Rejected"])


@pytest.mark.parametrize("file", DECISIONS, ids=name)
def test_the_index_has_a_decisions_title_and_status(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    title, status = _TITLE.match(text), _STATUS.search(text)
    assert title is not None
    assert status is not None
    row = f"| {title['number']} | [{title['title']}]({file.name}) | {status['status']} | "
    assert row in INDEX.read_text(encoding="utf-8")


def named_decisions() -> Iterator[tuple[str, int]]:
    """Where a decision is named outside its own folder, and the number there."""
    code = (file for room in ROOMS for file in (PROJECT / room).rglob("*.py"))
    for file in code:
        for number in re.findall(r"docs/decisions/(\d{4})", file.read_text(encoding="utf-8")):
            yield name(file), int(number)
    for page in PAGES:
        for number in re.findall(r"\[decision (\d+)\]", page.read_text(encoding="utf-8")):
            yield name(page), int(number)


def test_a_decision_that_code_or_a_page_names_is_one() -> None:
    numbers = {int(file.name.partition("-")[0]) for file in DECISIONS}
    named = list(named_decisions())
    assert len({place for place, _ in named if place.endswith(".py")}) > 10
    assert [(place, number) for place, number in named if number not in numbers] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_link_to_a_decision_leads_to_its_number(page: Path) -> None:
    links = re.findall(
        r"\[decision (\d+)\]\([^)]*?(\d{4})-[^)]*\)", page.read_text(encoding="utf-8")
    )
    assert [link for link in links if int(link[0]) != int(link[1])] == []
