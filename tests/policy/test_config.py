"""The pack's config: what it may say, and what exemptions do."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from moltghost.engines.interface import AnalyzedResource
from moltghost.errors import Refused
from moltghost.policy.config import PackConfig, config_file, read_config
from moltghost.policy.pack import Pack
from tests.policies.declare import PROJECT
from tests.policy.resources import config_map, resource

LEAK = "data.a holds what looks like a credential"
TODAY = datetime.now(UTC).date()


def exemption(**over: str) -> dict[str, str]:
    return {
        "kind": "ConfigMap",
        "namespace": "agent-x",
        "name": "settings",
        "problem": LEAK,
        "reason": "a test key, revoked",
        "expires": (TODAY + timedelta(days=1)).isoformat(),
        **over,
    }


def config(*exemptions: dict[str, str]) -> PackConfig:
    return PackConfig({"secrets-not-literal": {"exemptions": list(exemptions)}})


def leaking() -> AnalyzedResource:
    return config_map({"a": "AKIAABCDEFGHIJKLMNOP"})


def test_an_exempt_problem_breaks_no_rule_and_is_still_listed(pack: Pack) -> None:
    findings = pack.check("test", [leaking()], config(exemption()))
    assert findings.violations == ()
    assert [each.policy for each in findings.exempted] == ["secrets-not-literal"]


@pytest.mark.parametrize(
    "other",
    [
        {"name": "others"},
        {"namespace": "agent-y"},
        {"namespace": ""},
        {"kind": "Deployment"},
        {"problem": "data.b holds what looks like a credential"},
    ],
    ids=str,
)
def test_an_exemption_is_of_one_problem_of_one_object(pack: Pack, other: dict[str, str]) -> None:
    findings = pack.check("test", [leaking()], config(exemption(**other)))
    assert [each.policy for each in findings.violations] == ["secrets-not-literal"]


def test_an_exemption_is_from_one_rule(pack: Pack) -> None:
    other = PackConfig({"ns-no-default": {"exemptions": [exemption()]}})
    assert pack.check("test", [leaking()], other).mandatory


def test_what_becomes_wrong_later_is_not_covered(pack: Pack) -> None:
    worse = config_map({"a": "AKIAABCDEFGHIJKLMNOP", "b": "AKIAABCDEFGHIJKLMNOP"})
    [found] = pack.check("test", [worse], config(exemption())).violations
    assert found.message == "data.b holds what looks like a credential"


def test_a_logical_name_exempts_no_object_of_another_name(pack: Pack) -> None:
    """A Deployment that is only declared under the name of the device plugin."""
    pod = {"hostPID": True, "containers": [{"name": "x", "image": "x"}]}
    inputs = {
        "metadata": {"name": "mine", "namespace": "kube-system"},
        "spec": {"template": {"spec": pod}},
    }
    found = resource("kubernetes:apps/v1:DaemonSet", inputs, "plugin")
    problem = "it shares the node's PID: hostPID is true"
    entry = exemption(kind="DaemonSet", namespace="kube-system", name="plugin", problem=problem)
    rules = PackConfig({"pod-no-privileged-host": {"exemptions": [entry]}})
    assert problem in {each.message for each in pack.check("test", [found], rules).violations}


def test_a_resource_of_aws_is_exempt_by_its_type(pack: Pack) -> None:
    group = resource("aws:cloudwatch/logGroup:LogGroup", {"tags": {}}, "logs")

    def found(kind: str) -> set[str]:
        entry = exemption(kind=kind, name="logs", problem="it keeps its logs for ever")
        del entry["namespace"]
        rules = PackConfig({"log-retention": {"exemptions": [entry]}})
        return {each.policy for each in pack.check("test", [group], rules).violations}

    assert "log-retention" in found("LogGroup")
    assert "log-retention" not in found("aws:cloudwatch/logGroup:LogGroup")


def test_the_last_day_of_an_exemption_still_counts(pack: Pack) -> None:
    held = config(exemption(expires=TODAY.isoformat()))
    assert pack.check("test", [leaking()], held).violations == ()


def test_an_expired_exemption_is_a_violation_also_where_the_rule_is_kept(pack: Pack) -> None:
    expired = config(exemption(expires=(TODAY - timedelta(days=1)).isoformat()))
    [kept] = pack.check("test", [config_map({"a": "b"})], expired).mandatory
    assert kept.message.startswith(f"its exemption from secrets-not-literal ({LEAK}) expired on")
    assert "a test key, revoked" in kept.message
    assert "renew it" in kept.remediation
    assert len(pack.check("test", [leaking()], expired).mandatory) == 2


def test_an_exemption_without_a_reason_or_a_date_doesnt_count(pack: Pack) -> None:
    for fault in (exemption(reason=" "), exemption(expires="next week")):
        found = pack.check("test", [leaking()], config(fault)).mandatory
        assert len(found) == 2


def test_a_stack_rule_takes_exemptions_too(pack: Pack) -> None:
    space = resource("kubernetes:core/v1:Namespace", {"metadata": {"name": "agent-x"}})
    problem = "no NetworkPolicy denies egress by default"
    entry = exemption(kind="Namespace", namespace="", name="agent-x", problem=problem)
    findings = pack.check("test", [space], PackConfig({"ns-default-deny": {"exemptions": [entry]}}))
    left = [each.message for each in findings.violations if each.policy == "ns-default-deny"]
    assert left == ["no NetworkPolicy denies ingress by default"]
    assert problem in {each.message for each in findings.exempted}


def test_a_machine_of_ones_own_costs_nothing_where_the_config_says_so(pack: Pack) -> None:
    node = {"nodeSelector": {"node.kubernetes.io/instance-type": "machine"}, "containers": []}
    pod = resource(
        "kubernetes:core/v1:Pod", {"metadata": {"name": "p", "namespace": "x"}, "spec": node}
    )

    def found(rules: dict[str, Any]) -> list[str]:
        violations = pack.check("test", [pod], PackConfig(rules)).violations
        return [each.message for each in violations if each.policy == "node-price-ceiling"]

    assert found({}) == ["the price of machine is not known, so it may be above the ceiling"]
    assert found({"node-price-ceiling": {"free": ["machine"]}}) == []


def test_levels_come_from_the_config_and_settings_alone_leave_them(pack: Pack) -> None:
    service = resource(
        "kubernetes:core/v1:Service",
        {"metadata": {"name": "s", "namespace": "x"}, "spec": {"type": "NodePort"}},
    )

    def level(rules: dict[str, Any]) -> list[str]:
        found = pack.check("test", [service], PackConfig(rules)).violations
        return [each.enforcement for each in found if each.policy == "service-not-exposed"]

    assert level({}) == ["mandatory"]
    assert level({"service-not-exposed": {"exemptions": []}}) == ["mandatory"]
    assert level({"service-not-exposed": {"enforcementLevel": "advisory"}}) == ["advisory"]
    assert level({"service-not-exposed": {"enforcementLevel": "disabled"}}) == []
    assert level({"all": {"enforcementLevel": "advisory"}}) == ["advisory"]


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ("{", "isn't JSON"),
        ("[]", "doesn't contain an object of rules"),
        ('{"no-such-rule": "advisory"}', "names the rule no-such-rule"),
        ('{"kms-rotation": 1}', "neither a level nor settings"),
        ('{"kms-rotation": "always"}', "a level that isn't one of advisory, mandatory, disabled"),
        ('{"kms-rotation": {"days": 1}}', "sets days of the rule kms-rotation"),
        ('{"gpu-scale-bounds": {"maxNodes": "8"}}', "sets maxNodes .* to no number"),
        (
            '{"kms-rotation": {"exemptions": [{"kind": "*", "name": "x", "problem": "x", '
            '"reason": "x", "expires": "2027-01-01"}]}}',
            "of more than one object",
        ),
        (
            '{"kms-rotation": {"exemptions": [{"kind": "x"}]}}',
            "that doesn't have kind, name, problem",
        ),
    ],
)
def test_a_config_that_says_what_the_pack_doesnt_have_is_refused(
    tmp_path: Path, pack: Pack, document: str, says: str
) -> None:
    file = tmp_path / "x.json"
    file.write_text(document)
    with pytest.raises(Refused, match=says):
        read_config(file, pack.policies)


@pytest.mark.parametrize("environment", ["local", "dev", "prod"])
def test_the_configs_of_our_environments_are_valid(pack: Pack, environment: str) -> None:
    file = config_file(PROJECT / "policies", environment)
    read = read_config(file, pack.policies)
    assert set(read.rules) == set(json.loads(file.read_text()))


def test_images_by_digest_stop_an_up_in_production_only(pack: Pack) -> None:
    levels = {
        name: read_config(config_file(PROJECT / "policies", name), pack.policies).rules[
            "image-digest"
        ]["enforcementLevel"]
        for name in ("local", "dev", "prod")
    }
    assert levels == {"local": "advisory", "dev": "advisory", "prod": "mandatory"}
