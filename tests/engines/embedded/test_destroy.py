"""What a destroy keeps, refuses and deletes of what is protected."""

from __future__ import annotations

from pathlib import Path

import pytest

from moltghost.config import StackName
from moltghost.engines.embedded.destroy import kept_resources
from moltghost.engines.embedded.engine import EmbeddedEngine
from moltghost.engines.pulumi.state import ResourceState, StackState, StateStore
from moltghost.errors import Refused
from moltghost.lifecycle.agents.apply import destroy
from moltghost.progress import silent

STACK = "a.local"


def resource(type_: str, name: str, **fields: object) -> ResourceState:
    urn = f"urn:pulumi:{STACK}::moltghost::{type_}::{name}"
    return ResourceState(urn=urn, type=type_, custom=True, **fields)  # type: ignore[arg-type]


def agent(kubeconfig: Path) -> StackState:
    """A namespace that is protected with a volume claim that is, and a ConfigMap that isn't."""
    cluster = resource(
        "pulumi:providers:kubernetes", "cluster", inputs={"kubeconfig": str(kubeconfig)}, id="1"
    )
    provider = f"{cluster.urn}::1"
    space = resource(
        "kubernetes:core/v1:Namespace",
        "space",
        id="agent-a",
        provider=provider,
        protect=True,
        inputs={"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "agent-a"}},
    )
    inside = {"namespace": "agent-a", "name": "x"}
    kinds = {"PersistentVolumeClaim": True, "ConfigMap": False}
    objects = [
        resource(
            f"kubernetes:core/v1:{kind}",
            kind,
            id="agent-a/x",
            provider=provider,
            protect=protect,
            dependencies=[space.urn],
            inputs={"apiVersion": "v1", "kind": kind, "metadata": inside},
        )
        for kind, protect in kinds.items()
    ]
    return StackState(stack=STACK, project="moltghost", resources=[cluster, space, *objects])


def test_what_is_protected_is_refused_kept_with_what_it_needs_or_deleted() -> None:
    state = agent(Path("none"))
    names = {item.urn.rpartition("::")[2]: item.urn for item in state.resources}

    with pytest.raises(Refused, match=r"has protected resources: agent-a, agent-a/x"):
        kept_resources(state, "refuse")
    assert kept_resources(state, "keep") == set(names.values()) - {names["ConfigMap"]}
    assert kept_resources(state, "delete") == set()


def test_a_deletion_of_what_is_protected_that_is_refused_leaves_it_protected(
    tmp_path: Path,
) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: moltghost\nruntime: python\n")
    engine = EmbeddedEngine(tmp_path, state=tmp_path / "stacks", key=tmp_path / "key")
    store: StateStore = engine._store
    store.save(agent(tmp_path / "no-kubeconfig"))

    with pytest.raises(Refused, match="the cluster of environment local isn't running"):
        destroy(tmp_path, StackName.parse(STACK), engine, delete_data=True, report=silent)

    left = store.load(STACK)
    assert left is not None
    assert kept_resources(left, "keep") == kept_resources(agent(tmp_path), "keep")
