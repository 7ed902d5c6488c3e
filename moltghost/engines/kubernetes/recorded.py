"""Which object a resource of the state is, and what of it is left to the cluster."""

from __future__ import annotations

from collections.abc import Iterable

from moltghost.engines.kubernetes import objects
from moltghost.engines.kubernetes.objects import Identity, Object
from moltghost.engines.pulumi.state import ResourceState
from moltghost.engines.pulumi.values import plain
from moltghost.errors import Failed


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
