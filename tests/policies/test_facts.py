"""The pack's own facts agree with the catalogue and with the SDK."""

from __future__ import annotations

import json
import re
import tomllib
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from moltghost.models import instance_types
from moltghost.policies.credentials import DETECTOR
from moltghost.policies.instances import has_gpu
from moltghost.policies.instances import instance_types as known_types
from moltghost.policies.pack import RULES
from moltghost.policies.rule import Rule
from tests.policies.declare import PROJECT
from tests.policies.public_manifests import VERDICTS


def test_instance_types_are_those_of_the_catalogue() -> None:
    ours = {each.type: (each.gpus, each.nvme, each.usd_per_hour) for each in known_types().values()}
    theirs = {
        each.type: (each.gpu_count, bool(each.nvme_gb), each.usd_per_hour)
        for each in instance_types().values()
    }
    assert ours == theirs
    assert all(has_gpu(each.type) == bool(each.gpus) for each in known_types().values())


def test_taggable_types_are_those_of_the_sdk() -> None:
    spec = find_spec("pulumi_aws")
    assert spec and spec.origin
    found = set()
    for file in Path(spec.origin).parent.rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        if "def tags_all" in text and (
            token := re.search(r'@pulumi.type_token\("(aws:[^"]+)"', text)
        ):
            found.add(token[1])
    facts = json.loads((PROJECT / "policies" / "facts" / "taggable.json").read_text())
    assert set(facts["types"]) == found


def test_the_detector_of_credentials_is_the_one_that_is_named_and_pinned() -> None:
    name, wanted = DETECTOR.split()
    assert version(name) == wanted
    pinned = {*(PROJECT / "policies" / "requirements.txt").read_text().splitlines()}
    assert f"{name}=={wanted}" in pinned
    assert f"pulumi-policy=={version('pulumi-policy')}" in pinned
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    lines = {each for each in pinned if not each.startswith("#")}
    assert lines <= set(project["dependencies"])


def test_the_verdicts_on_public_manifests_are_of_named_commits_and_rules() -> None:
    """`python -m tests.policies.public_manifests` compares them, where the repositories are."""
    verdicts = json.loads(VERDICTS.read_text())
    rules = {rule.id for rule in RULES}
    assert len(verdicts) >= 7
    for repository, said in verdicts.items():
        assert re.fullmatch(r"[0-9a-f]{40}", said["commit"]), repository
        assert {*said["found"], *said["undecided"]} <= rules, repository
        assert said["objects"] > 0, repository


def test_a_rule_says_everything_that_its_page_needs() -> None:
    for rule in RULES:
        assert isinstance(rule, Rule)
        assert rule.says.endswith(".")
        assert rule.why.endswith(".")
        assert not rule.fix.endswith(".")
        assert rule.types
        assert (rule.check is None) != (rule.stack_check is None)
        for name, setting in rule.schema.items():
            assert {"type", "default", "description"} <= set(setting), (rule.id, name)
