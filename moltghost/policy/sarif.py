"""Findings as SARIF 2.1.0, which code hosts and editors show at the lines of a change."""

from __future__ import annotations

from typing import Any

from moltghost.policy.config import PolicyInfo
from moltghost.policy.findings import Findings, Violation

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
# GitHub sorts alerts by the score "security-severity": from 9 critical, from 7 high, from 4 medium.
_SCORES = {"critical": "9.5", "high": "8.0", "medium": "5.0", "low": "2.0"}
_RULES_LEVELS = {"mandatory": "error", "advisory": "warning"}


def to_sarif(
    findings: Findings, policies: dict[str, PolicyInfo], *, version: str
) -> dict[str, Any]:
    """One run with every policy as a rule and every violation as a result.

    Resources have no lines; a result points at the config file of its stack.
    """
    order = {name: index for index, name in enumerate(policies)}
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "moltghost policy",
                        "version": version,
                        "rules": [_rule(each) for each in policies.values()],
                    }
                },
                "results": [
                    *(_result(each, order) for each in findings.violations),
                    *(_result(each, order, exempt=True) for each in findings.exempted),
                ],
            }
        ],
    }


def _rule(policy: PolicyInfo) -> dict[str, Any]:
    return {
        "id": policy.name,
        "shortDescription": {"text": policy.description},
        "defaultConfiguration": {"level": _RULES_LEVELS.get(policy.level, "note")},
        "properties": {"security-severity": _SCORES.get(policy.severity, "0.0")},
    }


def _result(violation: Violation, order: dict[str, int], *, exempt: bool = False) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": violation.policy,
        "ruleIndex": order[violation.policy],
        "level": _RULES_LEVELS[violation.enforcement],
        "message": {
            "text": f"{violation.resource}: {violation.message}. Fix: {violation.remediation}"
        },
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": f"Pulumi.{violation.stack}.yaml"},
                    "region": {"startLine": 1},
                },
                "logicalLocations": [{"fullyQualifiedName": violation.urn, "kind": "resource"}],
            }
        ],
        "partialFingerprints": {"resource/v1": f"{violation.policy}/{violation.urn}"},
    }
    if exempt:
        result["suppressions"] = [{"kind": "external"}]
    return result
