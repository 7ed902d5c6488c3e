"""The corpus of changed resources: each is caught by the rule that should, or has a reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest

from moltghost.engines.interface import AnalyzedResource
from moltghost.policy.config import PackConfig, config_file, read_config
from moltghost.policy.findings import Findings
from moltghost.policy.pack import Pack
from tests.policies.corpus import Entry, entries
from tests.policies.declare import PROJECT, declared

ENTRIES = entries()
ROWS = {
    *("pods-by-another-name", "doors-by-another-name", "our-own-walls", "networks", "secrets"),
    *("rbac-and-iam", "images", "pods", "cost", "the-gate"),
}
TRIED = [each for each in ENTRIES if each.verdict != "out of scope"]


def asked(pack: Pack, entry: Entry, resources: Sequence[AnalyzedResource]) -> Findings:
    """What the rules of an entry say, with the config of its environment; the others are off."""
    file = config_file(PROJECT / "policies", entry.stack.rpartition(".")[2])
    config = read_config(file, pack.policies) if entry.stack else PackConfig()
    off = {"enforcementLevel": "disabled"}
    rules = {
        name: config.rules.get(name, {}) if name in entry.rules else off for name in pack.policies
    }
    return pack.check(entry.stack or "test", resources, PackConfig(rules))


@pytest.mark.parametrize("entry", TRIED, ids=str)
def test_a_case_of_the_corpus_has_its_verdict(
    pack: Pack, before: dict[tuple[str, ...], Findings], entry: Entry
) -> None:
    start = declared(entry.stack) if entry.stack else ()
    key = (entry.stack, *entry.rules)
    if key not in before:
        before[key] = asked(pack, entry, start)
    found, old = asked(pack, entry, entry.applied(start)), before[key]
    new = [each for each in found.violations if each not in old.violations]
    open_ = [each for each in found.undecided if each not in old.undecided]
    if entry.verdict == "fine":
        assert [str(each) for each in (*new, *open_)] == []
        return
    seen = open_ if entry.verdict == "undecided" else new
    assert {each.policy for each in seen} == set(entry.rules), [str(each) for each in seen]


@pytest.fixture(scope="session")
def before() -> dict[tuple[str, ...], Findings]:
    """What the stacks say unchanged, by stack and rules; filled as it is asked for."""
    return {}


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
    assert names == ROWS
    for row in names:
        assert rows[row, "review"] >= 1, row
        assert rows[row, "neighbour"] >= 3, row


def test_no_case_is_written_twice() -> None:
    assert [name for name, count in Counter(map(str, ENTRIES)).items() if count > 1] == []
