"""`moltghost policy` as it is used in CI and by people."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from sarif_kit.validate import validation_errors

from moltghost.cli import main as entry
from tests.policies.declare import EXAMPLES, PRODUCTION_AGENT, PROJECT, write_production_agent

PLUGIN, EXPORTER = (
    f"DaemonSet moltghost-system/{name}" for name in ("nvidia-device-plugin", "dcgm-exporter")
)
# What docs/policies/README.md says is exempt, and nothing else.
EXEMPTED = {
    ("pod-restricted", PLUGIN),
    ("pod-restricted", EXPORTER),
    ("pod-no-privileged-host", PLUGIN),
    ("pod-no-privileged-host", EXPORTER),
    ("pod-readonly-rootfs", EXPORTER),
}


def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[int, str]:
    monkeypatch.setattr(sys, "argv", ["moltghost", *arguments])
    with pytest.raises(SystemExit) as ended:
        entry.main()
    return int(ended.value.code or 0), capsys.readouterr().out


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the project with one agent whose image is no longer pinned."""
    for name in ("policies", "moltghost"):
        shutil.copytree(PROJECT / name, tmp_path / name)
    for file in [*EXAMPLES.glob("Pulumi*.yaml"), EXAMPLES / "__main__.py"]:
        shutil.copy(file, tmp_path)
    return tmp_path


def break_runtime(checkout: Path) -> None:
    file = checkout / "moltghost" / "components" / "runtime.py"
    text = file.read_text()
    assert 'type="ClusterIP"' in text
    file.write_text(text.replace('type="ClusterIP"', 'type="NodePort"'))


@pytest.mark.usefixtures("while_exemptions_hold")
def test_every_stack_of_the_repository_passes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out = run(monkeypatch, capsys, "-C", str(EXAMPLES), "policy", "check", "--json")
    report = json.loads(out)
    assert [each for each in report["violations"] if each["enforcement"] == "mandatory"] == []
    assert code == 0
    stacks = {"local", "platform.local", "dev", "platform.dev", "prod", "platform.prod"}
    assert stacks | {"my-agent.local"} <= set(report["stacks"])
    assert report["resources"] > 300
    assert {(each["policy"], each["resource"]) for each in report["exempted"]} == EXEMPTED
    documented = (PROJECT / "docs" / "policies" / "README.md").read_text()
    keys = {*report, *(key for each in report["exempted"] for key in each)}
    assert {key for key in keys if f"`{key}" not in documented} == set()


def test_an_agent_in_production_passes_with_the_fixture_of_digests(checkout: Path) -> None:
    """Its images are the environment's own, by the digests that Pulumi.prod.yaml makes up."""
    write_production_agent(checkout)
    code, out = run_in(checkout, "policy", "check", PRODUCTION_AGENT, "--json")
    report = json.loads(out)
    assert (report["violations"], report["exempted"], report["undecided"]) == ([], [], [])
    assert report["resources"] > 20
    assert code == 0


def test_an_agent_in_production_without_digests_is_refused(checkout: Path) -> None:
    write_production_agent(checkout)
    cloud = checkout / "Pulumi.prod.yaml"
    document = yaml.safe_load(cloud.read_text())
    digests = document["config"]["moltghost:spec"].pop("image_digests")
    assert all(re.fullmatch(r"sha256:0{63}\d", each) for each in digests.values())
    cloud.write_text(yaml.safe_dump(document))
    code, out = run_in(checkout, "policy", "check", PRODUCTION_AGENT, "--json")
    assert code == 2
    assert {each["policy"] for each in json.loads(out)["violations"]} == {"image-digest"}


def run_in(checkout: Path, *arguments: str) -> tuple[int, str]:
    """In a process of its own: the checkout's `moltghost`, not the one that tests have loaded."""
    done = subprocess.run(
        [Path(sys.executable).with_name("moltghost"), "-C", checkout, *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(checkout), str(PROJECT)))},
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.returncode, done.stdout


def test_a_mandatory_violation_ends_with_2_and_names_rule_resource_and_fix(checkout: Path) -> None:
    break_runtime(checkout)
    file = checkout / "found.sarif"
    arguments = ("policy", "check", "my-agent.local")
    code, out = run_in(checkout, *arguments, "--json", "--sarif", str(file))
    assert code == 2
    [violation] = [
        each for each in json.loads(out)["violations"] if each["enforcement"] == "mandatory"
    ]
    assert violation["policy"] == "service-not-exposed"
    assert violation["resource"] == "Service agent-my-agent/runtime"
    assert "NodePort" in violation["message"]
    assert "ClusterIP" in violation["remediation"]
    _check_sarif(json.loads(file.read_text()), violation)
    code, out = run_in(checkout, *arguments)
    assert code == 2
    assert "mandatory  Service agent-my-agent/runtime: it is of type NodePort" in out
    assert "1 mandatory and" in out


def _check_sarif(sarif: dict[str, Any], violation: dict[str, str]) -> None:
    assert validation_errors(sarif) == []
    [run_] = sarif["runs"]
    rules = run_["tool"]["driver"]["rules"]
    [result] = [each for each in run_["results"] if each["level"] == "error"]
    assert sarif["version"] == "2.1.0"
    assert rules[result["ruleIndex"]]["id"] == result["ruleId"] == "service-not-exposed"
    assert violation["message"] in result["message"]["text"]
    place = result["locations"][0]
    assert place["physicalLocation"]["artifactLocation"]["uri"] == "Pulumi.my-agent.local.yaml"
    assert place["logicalLocations"][0]["fullyQualifiedName"] == violation["urn"]


def test_list_shows_every_rule_and_explain_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out = run(monkeypatch, capsys, "-C", str(EXAMPLES), "policy", "list", "--json")
    rules = json.loads(out)
    assert len(rules) == 71
    for rule in rules[:: len(rules) // 5]:
        code, out = run(monkeypatch, capsys, "-C", str(EXAMPLES), "policy", "explain", rule["id"])
        assert code == 0
        assert rule["why"] in out
        assert rule["fix"] in out


def test_an_unknown_rule_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _ = run(monkeypatch, capsys, "-C", str(EXAMPLES), "policy", "explain", "nothing")
    assert code == 2


def test_the_pack_alone_runs_in_another_project_under_another_name(tmp_path: Path) -> None:
    shutil.copytree(PROJECT / "policies", tmp_path / "our-rules")
    command = [
        sys.executable,
        "-u",
        "-m",
        "pulumi.policy",
        "127.0.0.1:1",
        str(tmp_path / "our-rules"),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd="/") as process:
        assert process.stdout
        assert int(process.stdout.readline()) > 0
        process.kill()
