"""What general scanners have against our objects is accepted with a reason, or isn't there."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.rendering import render
from tests.scan.scanners import Finding, by_checkov, by_kube_score
from tests.wire import whole

pytestmark = pytest.mark.scan

STACKS = ["platform.local", "my-agent.local", "platform.dev", "platform.prod"]
ACCEPTED: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "accepted.json").read_text(encoding="utf-8")
)["accepted"]


def objects() -> list[dict[str, Any]]:
    """Everything that these stacks declare for a cluster, releases of charts apart."""
    found = [
        whole(each.inputs)
        for stack in STACKS
        for each in render(stack)
        if each.type.startswith("kubernetes:") and "apiVersion" in each.inputs
    ]
    plain = [each for each in found if "chart" not in each]
    assert len(plain) > 100
    return plain


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> list[Finding]:
    file = tmp_path_factory.mktemp("objects") / "objects.yaml"
    file.write_text(yaml.safe_dump_all(objects()), encoding="utf-8")
    found = sorted({*by_kube_score(file), *by_checkov(file)})
    assert {each.tool for each in found} == {"kube-score", "checkov"}
    return found


def accepts(entry: dict[str, Any], finding: Finding) -> bool:
    return (
        entry["tool"] == finding.tool
        and fnmatchcase(finding.check, entry["check"])
        and any(fnmatchcase(finding.target, pattern) for pattern in entry["targets"])
    )


def test_nothing_is_found_but_what_is_accepted(findings: list[Finding]) -> None:
    assert [f for f in findings if not any(accepts(entry, f) for entry in ACCEPTED)] == []


def test_everything_that_is_accepted_is_found(findings: list[Finding]) -> None:
    stale = [e for e in ACCEPTED if not any(accepts(e, finding) for finding in findings)]
    assert stale == []


def test_every_acceptance_has_a_reason() -> None:
    assert len(ACCEPTED) > 5
    assert [e for e in ACCEPTED if len(e["reason"]) < 30] == []


def test_a_broken_object_is_found(tmp_path: Path) -> None:
    (daemon,) = (
        each
        for each in objects()
        if each["metadata"]["name"] == "nvidia-device-plugin"
        and each["kind"] == "DaemonSet"
        and each["metadata"]["labels"]["moltghost.dev/environment"] == "prod"
    )
    container = daemon["spec"]["template"]["spec"]["containers"][0]
    container["securityContext"]["privileged"] = True
    container["securityContext"]["readOnlyRootFilesystem"] = False
    file = tmp_path / "broken.yaml"
    file.write_text(yaml.safe_dump(daemon), encoding="utf-8")
    found = {each.check.partition(":")[0] for each in (*by_kube_score(file), *by_checkov(file))}
    assert "container-security-context-privileged" in found
    assert "CKV_K8S_16" in found
