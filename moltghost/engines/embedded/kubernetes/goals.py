"""Goals and recorded states of Kubernetes objects."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from moltghost.engines.embedded.kubernetes import objects
from moltghost.engines.embedded.kubernetes.objects import Identity, Object
from moltghost.engines.embedded.monitor import Goal
from moltghost.engines.embedded.state import ResourceState
from moltghost.engines.embedded.values import plain
from moltghost.errors import Failed, Refused


def named(inputs: Object) -> Identity:
    """The identity of inputs whose name must be known by now.

    Raises:
        Failed: it isn't.
    """
    who = objects.identity(inputs)
    if who is None:
        raise Failed(f"the name of a {inputs['kind']} is still unknown")
    return who


def recorded(resource: ResourceState) -> Identity:
    """The object that the state has."""
    return named(resource.inputs)


def recorded_uid(resource: ResourceState) -> str | None:
    """The uid of the object that the state has."""
    metadata = plain(resource.outputs.get("metadata", {}))
    uid: str | None = metadata.get("uid") if isinstance(metadata, dict) else None
    return uid


def with_ignored(inputs: Object, paths: Iterable[str], live: Object) -> Object:
    """The inputs with the paths of ``ignore_changes`` as the cluster has them."""
    for text in paths:
        path = objects.parse_path(text)
        if (value := objects.value_at(live, path)) is not None:
            inputs = objects.with_value(inputs, path, value)
    return inputs


def refuse_unsupported(goal: Goal) -> None:
    """Refuse what is a Pulumi resource but no Kubernetes object: charts, lists, patches.

    Raises:
        Refused: the embedded engine doesn't carry it.
    """
    kind: Any = plain(goal.inputs.get("kind"))
    short = goal.type.rsplit(":", 1)[1]
    if not kind or "apiVersion" not in goal.inputs or short.endswith(("Patch", "List")):
        raise Refused(
            f"the embedded engine doesn't carry {goal.type} ({goal.name}); "
            "it carries plain Kubernetes objects",
            "write the objects out, or run this stack with the Pulumi CLI: pulumi up",
        )
