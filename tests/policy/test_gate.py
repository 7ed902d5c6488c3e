"""Before a change: mandatory violations stop it, the rest is said, nothing passes in silence."""

from __future__ import annotations

import json
import shutil
import textwrap
from datetime import UTC, datetime
from pathlib import Path

import pytest

from moltghost.engines.embedded.engine import EmbeddedEngine
from moltghost.engines.pulumi.values import UNKNOWN
from moltghost.errors import ExitCode, Refused
from moltghost.policy.config import PackConfig
from moltghost.policy.gate import require_compliance
from moltghost.policy.pack import Pack
from moltghost.progress import silent
from tests.policies.declare import PROJECT
from tests.policy.resources import config_map, resource

OPEN_GROUP = """
    import pulumi_aws as aws
    aws.ec2.SecurityGroup(
        "open",
        ingress=[{{"protocol": "-1", "from_port": 0, "to_port": 0, "cidr_blocks": ["{cidr}"]}}],
        tags={{"moltghost.dev/environment": "local"}},
    )
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    shutil.copytree(PROJECT / "policies", tmp_path / "policies")
    (tmp_path / "Pulumi.yaml").write_text("name: moltghost\nruntime: python\n")
    (tmp_path / "Pulumi.a.local.yaml").write_text("config: {}\n")
    return tmp_path


def engine(project: Path, program: str) -> EmbeddedEngine:
    (project / "__main__.py").write_text(textwrap.dedent(program))
    return EmbeddedEngine(
        project, state=project / "stacks", key=project / "key", analyze=require_compliance
    )


def test_a_mandatory_violation_refuses_an_up_before_anything_is_recorded(project: Path) -> None:
    refusing = engine(project, OPEN_GROUP.format(cidr="0.0.0.0/0"))
    with pytest.raises(Refused, match=r"SecurityGroup open: it lets 0\.0\.0\.0/0 in") as refusal:
        refusing.up("a.local", report=silent)
    assert refusal.value.exit_code == ExitCode.REFUSED
    assert "name the networks" in refusal.value.hint
    assert refusing.stacks() == []


def test_a_preview_that_breaks_no_mandatory_rule_goes_through(project: Path) -> None:
    preview = engine(project, OPEN_GROUP.format(cidr="10.0.0.0/8")).preview(
        "a.local", report=silent
    )
    assert len(preview.steps) == 1
    assert preview.warnings == ()


def test_advisory_violations_are_counted_in_one_line(project: Path) -> None:
    program = """
        import pulumi_aws as aws
        aws.cloudwatch.LogGroup("logs", tags={"moltghost.dev/environment": "local"})
    """
    preview = engine(project, program).preview("a.local", report=silent)
    assert preview.warnings == (
        "policy: 1 advisory finding; moltghost policy check a.local lists them",
    )


def test_an_exemption_that_ends_soon_is_a_warning(project: Path) -> None:
    entry = {
        "kind": "aws:ec2/securityGroup:SecurityGroup",
        "name": "open",
        "problem": "it lets 0.0.0.0/0 in",
        "reason": "closed with the next release",
        "expires": datetime.now(UTC).date().isoformat(),
    }
    file = project / "policies" / "config" / "local.json"
    file.write_text(json.dumps({"sg-no-open-ingress": {"exemptions": [entry]}}))
    preview = engine(project, OPEN_GROUP.format(cidr="0.0.0.0/0")).preview("a.local", report=silent)
    [warning] = preview.warnings
    assert "from sg-no-open-ingress ends after" in warning
    assert "SecurityGroup open (it lets 0.0.0.0/0 in)" in warning


def test_a_value_that_a_preview_doesnt_know_leaves_a_rule_undecided(project: Path) -> None:
    program = """
        import pulumi, pulumi_aws as aws, pulumi_random as random
        suffix = random.RandomId("suffix", byte_length=4).hex
        aws.iam.Policy(
            "agent",
            policy=suffix.apply(lambda text: text),
            tags={"moltghost.dev/environment": "local"},
        )
    """
    [warning] = engine(project, program).preview("a.local", report=silent).warnings
    assert warning == "policy: 2 undecided rules; moltghost policy check a.local lists them"


def test_an_unknown_inside_a_document_leaves_the_rule_undecided_not_passed(pack: Pack) -> None:
    findings = pack.check("test", [config_map({"a": UNKNOWN})], PackConfig())
    undecided = {each.policy: each for each in findings.undecided}
    assert set(undecided) == {"secrets-not-literal", "secret-not-elsewhere"}
    assert undecided["secrets-not-literal"].resource == "ConfigMap agent-x/settings"
    assert str(undecided["secrets-not-literal"]).startswith(
        "ConfigMap agent-x/settings: secrets-not-literal is undecided: "
    )


def test_an_unknown_beside_a_violation_hides_it_not(pack: Pack) -> None:
    known = resource(
        "kubernetes:core/v1:ConfigMap",
        {"metadata": {"name": "b", "namespace": "agent-x"}, "data": {"x": "a-known-secret-value"}},
        "b",
    )
    secret = resource(
        "kubernetes:core/v1:Secret",
        {
            "metadata": {"name": "s", "namespace": "agent-x"},
            "stringData": {"t": "a-known-secret-value"},
        },
        "s",
    )
    findings = pack.check("test", [config_map({"a": UNKNOWN}), secret, known], PackConfig())
    assert [each.resource for each in findings.mandatory] == ["ConfigMap agent-x/b"]
    assert "secret-not-elsewhere" in {each.policy for each in findings.undecided}
    assert "a-known-secret-value" not in repr(findings)


def test_a_project_without_a_pack_has_no_rules(tmp_path: Path) -> None:
    assert require_compliance(tmp_path, "a.local", [config_map({"a": "AKIA" + "A" * 16})]) == []


def test_a_folder_that_lost_its_pack_is_refused(project: Path) -> None:
    (project / "policies" / "pack.py").unlink()
    with pytest.raises(Refused, match="holds no policy pack"):
        require_compliance(project, "a.local", [])


def test_a_config_that_is_wrong_is_refused_before_anything_is_checked(project: Path) -> None:
    file = project / "policies" / "config" / "local.json"
    file.write_text(json.dumps({"no-such-rule": "advisory"}))
    with pytest.raises(Refused, match="no-such-rule"):
        require_compliance(project, "a.local", [])
