"""The comparison with other checkers is about the mutants that there are now."""

from __future__ import annotations

from tests.policies.coverage import PAGE, counted


def test_the_page_has_a_row_for_each_rule_with_all_of_its_mutants() -> None:
    rows = [line.strip("| ").split(" | ") for line in PAGE.read_text().splitlines()]
    found = {row[0]: row[1] for row in rows if len(row) == 4}
    wanted = {rule: str(len(mutants)) for rule, mutants in counted().items()}
    assert len(wanted) >= 30
    assert {rule: found.get(rule) for rule in wanted} == wanted
