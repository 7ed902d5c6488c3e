"""An agent's name in an environment that projects share is one project's."""

from __future__ import annotations

from pathlib import Path

import pytest

from moltghost.errors import ExitCode, Refused
from moltghost.lifecycle.agents.project import require_own
from tests.examples import STACK
from tests.kube.clusters import FakeCluster


def namespace(**annotations: str) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "agent-my-agent", "annotations": annotations},
    }


def test_a_name_that_another_project_has_is_refused(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: team-b\nruntime: python\n")
    cluster = FakeCluster(namespace(**{"moltghost.dev/project": "my-platform"}))
    with pytest.raises(Refused, match="my-agent belongs to project my-platform") as refused:
        require_own(tmp_path, STACK, cluster)  # type: ignore[arg-type]
    assert refused.value.exit_code == ExitCode.REFUSED


def test_a_namespace_that_names_no_project_is_refused(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: team-b\nruntime: python\n")
    with pytest.raises(Refused, match="namespace agent-my-agent is there already and names no"):
        require_own(tmp_path, STACK, FakeCluster(namespace()))  # type: ignore[arg-type]


@pytest.mark.parametrize("there", [[], [namespace(**{"moltghost.dev/project": "team-b"})]])
def test_a_name_that_is_free_or_ours_is_not(there: list[dict[str, object]], tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: team-b\nruntime: python\n")
    require_own(tmp_path, STACK, FakeCluster(*there))  # type: ignore[arg-type]
