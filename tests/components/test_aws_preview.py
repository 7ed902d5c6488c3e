"""An AWS environment in the embedded engine: previewed whole, and left to the Pulumi CLI."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest

from moltghost.engines.embedded.engine import EmbeddedEngine
from moltghost.engines.interface import UNKNOWN_TEXT, Op
from moltghost.engines.pulumi.values import UNKNOWN
from moltghost.errors import Refused
from tests.aws.projects import project
from tests.components.aws_stacks import AGENT
from tests.examples import EXAMPLES

# What the issue allows for both layers; each takes about a second once the SDK is loaded. Counted
# is what this process computes: a preview waits for nobody, and a test can't know what else runs.
_SECONDS = 10


@pytest.fixture
def engine(tmp_path: Path) -> EmbeddedEngine:
    return EmbeddedEngine(EXAMPLES, state=tmp_path / "stacks", key=tmp_path / "key")


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_the_cloud_layer_is_previewed_and_needs_the_cli(engine: EmbeddedEngine, stack: str) -> None:
    preview = engine.preview(stack, report=lambda event: None)
    assert set(preview.counts()) == {Op.CREATE}
    assert {"aws:eks/cluster:Cluster", "aws:eks/nodeGroup:NodeGroup"} <= set(preview.needs_stock)
    assert all(each.startswith("aws:") for each in preview.needs_stock)
    protected = {step.type for step in preview.steps if step.protect}
    assert {"aws:eks/cluster:Cluster", "aws:kms/key:Key", "aws:s3/bucket:Bucket"} <= protected
    assert preview.outputs["registry"].endswith(f"/moltghost-{stack}")


@pytest.mark.parametrize(("environment", "pools"), [("dev", 3), ("prod", 6)])
def test_the_platform_is_previewed_before_its_cluster_exists(
    engine: EmbeddedEngine, environment: str, pools: int
) -> None:
    preview = engine.preview(f"platform.{environment}", report=lambda event: None)
    assert preview.needs_stacks == (environment,)
    assert preview.outputs["kubeconfig"] == UNKNOWN_TEXT
    assert set(preview.counts()) == {Op.CREATE, Op.READ}
    kinds = [step.type.rpartition(":")[2] for step in preview.steps if step.custom]
    assert kinds.count("NodePool") == kinds.count("EC2NodeClass") == pools
    assert kinds.count("Release") == 2


def test_an_agent_is_previewed_before_its_environment_exists(
    engine: EmbeddedEngine, tmp_path: Path
) -> None:
    config = tmp_path / "agent.yaml"
    config.write_text(json.dumps({"config": {"moltghost:spec": AGENT}}))
    preview = engine.preview("my-agent.prod", config=config, report=lambda event: None)
    assert preview.needs_stacks == ("platform.prod",)
    assert "aws:eks/podIdentityAssociation:PodIdentityAssociation" in preview.needs_stock
    assert preview.outputs["instance_type"] == "p5.4xlarge"


def test_what_lets_a_network_of_yours_in_is_of_a_group_that_eks_makes_later(
    tmp_path: Path,
) -> None:
    folder = project(tmp_path, "    endpoint: { private_cidrs: [10.9.0.0/16] }\n")
    shutil.copy(EXAMPLES / "__main__.py", folder)
    engine = EmbeddedEngine(folder, state=tmp_path / "stacks", key=tmp_path / "key")
    preview = engine.preview("prod", report=lambda event: None)
    (rule,) = (each for each in preview.resources if each.name == "api-from-0")
    assert rule.inputs["cidrIpv4"] == "10.9.0.0/16"
    assert rule.inputs["securityGroupId"] is UNKNOWN


def test_the_whole_of_prod_is_previewed_within_ten_seconds(engine: EmbeddedEngine) -> None:
    began = time.process_time()
    for stack in ("prod", "platform.prod"):
        engine.preview(stack, report=lambda event: None)
    assert time.process_time() - began < _SECONDS


@pytest.mark.parametrize(
    ("stack", "message"),
    [
        ("dev", "resources that the embedded engine can't make"),
        ("platform.dev", "stack dev doesn't exist yet"),
    ],
)
def test_an_up_is_refused_before_anything_changes(
    engine: EmbeddedEngine, stack: str, message: str
) -> None:
    with pytest.raises(Refused, match=message) as caught:
        engine.up(stack, report=lambda event: None)
    assert " up" in caught.value.hint
    assert engine.stacks() == []
