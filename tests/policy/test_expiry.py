"""An exemption that ends soon is said before it turns into a violation."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from moltghost.policy.config import PackConfig
from moltghost.policy.expiry import expiring
from moltghost.policy.findings import Violation
from moltghost.policy.pack import Pack
from tests.policy.resources import config_map

EXEMPTION = {
    "kind": "ConfigMap",
    "namespace": "agent-x",
    "name": "settings",
    "problem": "data.a holds what looks like a credential",
    "reason": "a test key, revoked",
    "expires": "2027-06-30",
}
CONFIG = PackConfig({"secrets-not-literal": {"exemptions": [EXEMPTION]}})
COVERED = Violation(
    policy="secrets-not-literal",
    enforcement="mandatory",
    severity="high",
    stack="a.local",
    resource="ConfigMap agent-x/settings",
    urn="urn:pulumi:a::moltghost::kubernetes:core/v1:ConfigMap::settings",
    message="data.a holds what looks like a credential",
    remediation="take it out",
)


@pytest.mark.parametrize(
    ("on", "days"),
    [
        (date(2027, 5, 18), None),
        (date(2027, 5, 19), 42),
        (date(2027, 6, 29), 1),
        (date(2027, 6, 30), 0),
        (date(2027, 7, 1), None),  # then it is a violation
    ],
)
def test_an_exemption_is_named_in_its_last_six_weeks(on: date, days: int | None) -> None:
    assert [each.days for each in expiring(CONFIG, [COVERED, COVERED], on)] == (
        [] if days is None else [days]
    )


def test_what_it_says_names_rule_resource_day_and_what_to_do() -> None:
    [found] = expiring(CONFIG, [COVERED], date(2027, 6, 20))
    assert str(found) == (
        "the exemption of ConfigMap agent-x/settings (data.a holds what looks like a credential) "
        "from secrets-not-literal ends after 2027-06-30, 10 days from now; then it is a "
        "violation: do without it, or renew it"
    )


def test_an_exemption_that_covers_nothing_is_not_named() -> None:
    assert expiring(CONFIG, [], date(2027, 6, 20)) == ()
    other = PackConfig({"secrets-not-literal": {"exemptions": [{**EXEMPTION, "name": "x"}]}})
    assert expiring(other, [COVERED], date(2027, 6, 20)) == ()


def test_a_check_says_it(pack: Pack) -> None:
    soon = (datetime.now(UTC).date() + timedelta(days=7)).isoformat()
    config = PackConfig({"secrets-not-literal": {"exemptions": [{**EXEMPTION, "expires": soon}]}})
    findings = pack.check("a.local", [config_map({"a": "AKIA" + "A" * 16})], config)
    assert findings.mandatory == ()
    assert [each.policy for each in findings.expiring] == ["secrets-not-literal"]
    assert findings.to_json()["expiring"][0]["expires"] == soon
