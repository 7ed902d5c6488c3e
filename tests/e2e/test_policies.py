"""Policies in an update against a real API server: a value that only the update knows is judged."""

from __future__ import annotations

import json
import shutil
import textwrap
import uuid
from pathlib import Path

import pytest

from moltghost.engines.embedded.engine import EmbeddedEngine
from moltghost.errors import ExitCode, Failed
from moltghost.policy.gate import require_compliance
from moltghost.progress import silent

from .cluster_fixture import RunningCluster

pytestmark = pytest.mark.e2e
PACK = Path(__file__).parents[2] / "policies"

# What the ConfigMap holds depends on a random value, so no preview knows it.
PROGRAM = """
    import json, pathlib
    import pulumi, pulumi_kubernetes as kubernetes, pulumi_random as random
    given = json.loads(pathlib.Path(__file__).with_name("given.json").read_text())
    cluster = kubernetes.Provider("cluster", kubeconfig=given["kubeconfig"])
    inside = pulumi.ResourceOptions(provider=cluster)
    space = kubernetes.core.v1.Namespace(
        "space", metadata={"name": given["namespace"]}, opts=inside
    )
    seed = random.RandomId("seed", byte_length=4)
    kubernetes.core.v1.ConfigMap(
        "settings",
        metadata={"name": "settings", "namespace": space.metadata.name},
        data={"key": seed.hex.apply(lambda text: given["key"] or text)},
        opts=inside,
    )
"""


@pytest.fixture
def project(running_cluster: RunningCluster, tmp_path: Path) -> Path:
    shutil.copytree(PACK, tmp_path / "policies")
    (tmp_path / "Pulumi.yaml").write_text("name: moltghost\nruntime: python\n")
    (tmp_path / "Pulumi.a.local.yaml").write_text("config: {}\n")
    (tmp_path / "__main__.py").write_text(textwrap.dedent(PROGRAM))
    return tmp_path


def test_a_credential_that_only_the_update_knows_never_reaches_the_cluster(
    running_cluster: RunningCluster, project: Path
) -> None:
    namespace = f"judged-{uuid.uuid4().hex[:8]}"
    given = {"kubeconfig": str(running_cluster.status.kubeconfig), "namespace": namespace}
    engine = EmbeddedEngine(
        project, state=project / "stacks", key=project / "key", analyze=require_compliance
    )

    def write(key: str) -> None:
        (project / "given.json").write_text(json.dumps({**given, "key": key}))

    write("AKIA" + "A" * 16)
    preview = engine.preview("a.local", report=silent)
    assert any("undecided rule" in each for each in preview.warnings)
    with pytest.raises(Failed, match=f"ConfigMap {namespace}/settings: .*credential") as failed:
        engine.up("a.local", report=silent)
    assert failed.value.exit_code == ExitCode.FAILED
    assert "AKIA" not in str(failed.value)
    client = running_cluster.client
    assert client.get("v1", "Namespace", namespace) is not None
    assert client.get("v1", "ConfigMap", "settings", namespace=namespace) is None

    write("")
    result = engine.up("a.local", report=silent)
    assert [each for each in result.warnings if "undecided" in each] == []
    assert client.get("v1", "ConfigMap", "settings", namespace=namespace) is not None
    engine.destroy("a.local", protected="refuse", report=silent)
