"""An AWS environment in the embedded engine: previewed whole, and left to the Pulumi CLI."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from moltghost.engines.embedded.engine import EmbeddedEngine
from moltghost.engines.interface import Op
from moltghost.errors import Refused
from tests.rendering import PROJECT

# What the issue allows; a preview takes about a second once the SDK is loaded.
_SECONDS = 10


@pytest.fixture
def engine(tmp_path: Path) -> EmbeddedEngine:
    return EmbeddedEngine(PROJECT, state=tmp_path / "stacks", key=tmp_path / "key")


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_the_cloud_layer_is_previewed_and_needs_the_cli(engine: EmbeddedEngine, stack: str) -> None:
    began = time.monotonic()
    preview = engine.preview(stack, report=lambda event: None)
    assert time.monotonic() - began < _SECONDS
    assert set(preview.counts()) == {Op.CREATE}
    assert {"aws:eks/cluster:Cluster", "aws:eks/nodeGroup:NodeGroup"} <= set(preview.needs_stock)
    assert all(each.startswith("aws:") for each in preview.needs_stock)
    protected = {step.type for step in preview.steps if step.protect}
    assert {"aws:eks/cluster:Cluster", "aws:kms/key:Key", "aws:s3/bucket:Bucket"} <= protected
    assert preview.outputs["registry"].endswith(f"/moltghost-{stack}")


def test_an_up_is_refused_before_anything_changes(engine: EmbeddedEngine) -> None:
    with pytest.raises(Refused, match="resources that the embedded engine can't make") as caught:
        engine.up("dev", report=lambda event: None)
    assert "pulumi up" in caught.value.hint
    assert engine.stacks() == []
