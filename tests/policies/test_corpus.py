"""The corpus of changed resources: each is caught by the rule that should, or has a reason."""

from __future__ import annotations

from collections import Counter

import pytest

from moltghost.policy.config import PackConfig, config_file, read_config
from moltghost.policy.findings import Findings
from moltghost.policy.pack import Pack
from tests.policies.corpus import Entry, entries
from tests.policies.declare import PROJECT, declared

ENTRIES = entries()
TRIED = [each for each in ENTRIES if each.verdict != "out of scope"]


@pytest.fixture(scope="session")
def before(pack: Pack) -> dict[str, Findings]:
    """What each stack breaks already."""
    return {
        stack: pack.check(stack, declared(stack), config_of(pack, stack))
        for stack in {each.stack for each in TRIED if each.stack}
    }


def config_of(pack: Pack, stack: str) -> PackConfig:
    if not stack:
        return PackConfig()
    file = config_file(PROJECT / "policies", stack.rpartition(".")[2])
    return read_config(file, pack.policies)


@pytest.mark.parametrize("entry", TRIED, ids=str)
def test_a_case_of_the_corpus_has_its_verdict(
    pack: Pack, before: dict[str, Findings], entry: Entry
) -> None:
    start = declared(entry.stack) if entry.stack else ()
    found = pack.check(entry.stack or "test", entry.applied(start), config_of(pack, entry.stack))
    old = before[entry.stack] if entry.stack else Findings()
    new = [each for each in found.violations if each not in old.violations]
    open_ = [each for each in found.undecided if each not in old.undecided]
    if entry.verdict == "fine":
        assert not {each.policy for each in new} & set(entry.rules), [str(each) for each in new]
        assert not {each.policy for each in open_} & set(entry.rules)
        return
    seen = open_ if entry.verdict == "undecided" else new
    assert set(entry.rules) <= {each.policy for each in seen}, [str(each) for each in seen]


def test_every_case_names_its_rules_or_a_reason(pack: Pack) -> None:
    for each in ENTRIES:
        assert each.origin in ("review", "neighbour"), str(each)
        if each.verdict == "out of scope":
            assert len(each.reason) > 40, str(each)
        else:
            assert each.verdict in ("caught", "undecided", "fine"), str(each)
            assert each.steps, str(each)
            assert each.rules, str(each)
            assert set(each.rules) <= set(pack.policies), str(each)


def test_every_row_has_the_review_s_cases_and_three_neighbours() -> None:
    rows = Counter((each.row, each.origin) for each in ENTRIES)
    names = {row for row, _ in rows}
    assert len(names) >= 1
    for row in names:
        assert rows[row, "review"] >= 1, row
        assert rows[row, "neighbour"] >= 3, row


def test_no_case_is_written_twice() -> None:
    assert [name for name, count in Counter(map(str, ENTRIES)).items() if count > 1] == []
