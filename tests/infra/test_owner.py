"""A plain `pulumi up` of a stack that belongs to the embedded engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest

from moltghost import paths
from moltghost.errors import Refused
from moltghost.infra import owner
from tests.rendering import objects, render


class FakeClient:
    """A cluster in which every namespace has the same annotations."""

    annotations: ClassVar[dict[str, str]] = {}

    def __init__(self, _kubeconfig: Path) -> None:
        pass

    def get(self, *_what: str) -> dict[str, Any]:
        return {"metadata": {"annotations": self.annotations}}

    def close(self) -> None:
        pass


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOLTGHOST_STATE", str(tmp_path))
    monkeypatch.setattr(owner, "Client", FakeClient)
    kubeconfig = paths.kubeconfig()
    kubeconfig.parent.mkdir(parents=True)
    kubeconfig.write_text("")


def record(stack: str) -> None:
    file = paths.stacks_home("moltghost") / f"{stack}.json"
    file.parent.mkdir(parents=True)
    file.write_text("{}")


@pytest.mark.parametrize("stack", ["local", "platform.local", "my-agent.local"])
def test_a_stack_that_the_embedded_engine_has_here_is_refused(stack: str) -> None:
    record(stack)

    with pytest.raises(Refused, match=rf"stack {stack} belongs to the embedded engine"):
        render(stack)


def test_an_agent_of_another_machines_embedded_engine_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(FakeClient, "annotations", {"moltghost.dev/engine": "embedded"})

    with pytest.raises(Refused, match=r"my-agent\.local belongs to the embedded engine") as refusal:
        render("my-agent.local")

    assert "moltghost stack adopt local --engine stock" in refusal.value.hint


@pytest.mark.parametrize("annotations", [{}, {"moltghost.dev/engine": "stock"}])
def test_an_agent_of_the_cli_is_its_own(
    annotations: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeClient, "annotations", annotations)

    assert render("my-agent.local")


def test_the_embedded_engine_is_not_asked_here() -> None:
    record("my-agent.local")

    resources = render("my-agent.local", engine="embedded")

    space = objects(resources, "Namespace")["agent-my-agent"]
    assert space["metadata"]["annotations"]["moltghost.dev/engine"] == "embedded"
    assert space["metadata"]["annotations"]["moltghost.dev/project"] == "moltghost"


def test_an_agent_of_another_project_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    notes = {"moltghost.dev/engine": "stock", "moltghost.dev/project": "team-b"}
    monkeypatch.setattr(FakeClient, "annotations", notes)

    with pytest.raises(Refused, match="agent my-agent belongs to project team-b"):
        render("my-agent.local")
