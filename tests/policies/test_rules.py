"""Every rule on resources of the real SDK types: what passes, what doesn't, and what is said."""

from __future__ import annotations

import pytest

from moltghost.engines.interface import AnalyzedResource
from moltghost.policy.config import PackConfig
from moltghost.policy.findings import Findings
from moltghost.policy.pack import Pack
from tests.policies.cases import CASES, KEY_ID, TOKEN, UNDECIDED

Declared = dict[str, list[AnalyzedResource]]
BROKEN = [(rule, number) for rule, case in CASES.items() for number in range(len(case.broken))]


def check(pack: Pack, resources: list[AnalyzedResource]) -> Findings:
    assert resources, "a program that declares nothing proves nothing"
    return pack.check("test", resources, PackConfig())


def test_every_rule_has_a_passing_and_a_violating_example(pack: Pack) -> None:
    assert set(CASES) | UNDECIDED == set(pack.policies)
    assert all(case.broken for case in CASES.values())


@pytest.mark.parametrize("rule", CASES)
def test_the_good_example_of_a_rule_passes_it(
    pack: Pack, declared_cases: Declared, rule: str
) -> None:
    findings = check(pack, declared_cases[f"{rule} good"])
    assert [each for each in findings.violations if each.policy == rule] == []
    assert [each for each in findings.undecided if each.policy == rule] == []
    assert any(
        concerned.concerns(each.type)
        for concerned in pack.rules
        if concerned.id == rule
        for each in declared_cases[f"{rule} good"]
    ), "the rule doesn't look at any of them"


@pytest.mark.parametrize(("rule", "number"), BROKEN)
def test_a_violation_names_the_resource_and_the_fix(
    pack: Pack, declared_cases: Declared, rule: str, number: int
) -> None:
    broken = CASES[rule].broken[number]
    found = check(pack, declared_cases[f"{rule} {number}"]).violations
    own = [each for each in found if each.policy == rule]
    assert any(each.resource == broken.resource and broken.words in each.message for each in own), [
        str(each) for each in own
    ]
    fix = next(each.fix for each in pack.rules if each.id == rule)
    assert {each.remediation for each in own} == {fix}
    assert all(each.urn.endswith(each.urn.rpartition("::")[2]) and each.urn for each in own)


def test_no_message_holds_the_value_of_a_secret(pack: Pack, declared_cases: Declared) -> None:
    for resources in declared_cases.values():
        findings = check(pack, resources)
        text = repr(findings)
        assert KEY_ID not in text
        assert TOKEN not in text
        assert "hunter2" not in text
