"""A stack's state between the two engines: the same format, with what each provider adds.

pulumi-kubernetes keeps in an object's outputs the inputs it was made from, its API version and its
field manager (``checkpointObject`` in ``provider/pkg/provider/provider.go``); the embedded engine
keeps none of that. Secrets are in plain text here, in memory only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moltghost.engines.interface import Preview
from moltghost.engines.kubernetes.objects import (
    MANAGER,
    parse_path,
    settled,
    with_value,
)
from moltghost.engines.pulumi.state import (
    ResourceState,
    StackState,
    dump_resource,
    load_resource,
)
from moltghost.engines.pulumi.urn import is_provider
from moltghost.engines.pulumi.values import SECRET_SIGNATURE, SIGNATURE_KEY, plain
from moltghost.labels import ENGINE_ANNOTATION
from moltghost.ownership import EngineName

FIELD_MANAGER = "__fieldManager"
"""In an object's outputs: under which name the CLI's provider writes to it."""
_OWN_KEYS = ("__inputs", "__initialApiVersion", FIELD_MANAGER)
_PROVIDER_OPTIONS = "__internal"  # what the CLI notes down beside a provider's inputs


def is_object(resource: ResourceState) -> bool:
    """Whether a resource is a Kubernetes object that the stack manages."""
    managed = resource.custom and not resource.external
    return managed and resource.type.startswith("kubernetes:")


def to_checkpoint(state: StackState) -> list[dict[str, Any]]:
    """The resources as ``pulumi stack import`` takes them."""
    return [_opened(dump_resource(_for_stock(item), lambda text: text)) for item in state.resources]


def from_checkpoint(
    deployment: Mapping[str, Any], *, stack: str, project: str, clusters: dict[str, str]
) -> StackState:
    """The state of a stack that ``pulumi stack export --show-secrets`` printed.

    Args:
        deployment: what it printed under ``deployment``.
        stack: the stack's name.
        project: the project's name.
        clusters: uid of the cluster by URN of its provider.
    """
    resources = [
        load_resource(_sealed(each), lambda text: text)
        for each in deployment.get("resources") or ()
    ]
    return StackState(
        stack=stack,
        project=project,
        resources=[_for_embedded(each) for each in resources],
        clusters=clusters,
    )


def field_managers(deployment: Mapping[str, Any]) -> dict[str, str]:
    """Under which name the CLI's provider writes to each object of a checkpoint, by URN."""
    return {
        each["urn"]: each["outputs"][FIELD_MANAGER]
        for each in deployment.get("resources") or ()
        if FIELD_MANAGER in (each.get("outputs") or {})
    }


def fill_empties(state: StackState, preview: Preview) -> bool:
    """Give inputs back the empty values that the CLI's refresh has dropped from them.

    The API server leaves out lists, mappings and scalars that are empty, false or zero where that
    means the same as absent, and the refresh keeps what it shows. Nothing else is filled in.

    Args:
        state: the state to complete.
        preview: what the embedded engine would change.

    Returns:
        Whether there was anything to fill in.
    """
    resources = {each.urn: each for each in state.resources}
    filled = False
    for step in preview.steps:
        for change in step.diff:
            if step.urn in resources and change.before is None and not change.after:
                resource = resources[step.urn]
                path = parse_path(change.path)
                resource.inputs = with_value(resource.inputs, path, change.after)
                filled = True
    return filled


def _for_stock(resource: ResourceState) -> ResourceState:
    changed = ResourceState(**vars(resource))
    if is_provider(resource.type):
        changed.inputs = _as_texts(resource.inputs)
        changed.outputs = _as_texts(resource.outputs)
    if is_object(resource):
        changed.inputs = settled(_owned(resource.inputs, "stock"))
        changed.outputs = {
            **_owned(resource.outputs, "stock"),
            "__inputs": changed.inputs,
            "__initialApiVersion": plain(resource.inputs)["apiVersion"],
            FIELD_MANAGER: MANAGER,
        }
    return changed


def _for_embedded(resource: ResourceState) -> ResourceState:
    changed = ResourceState(**vars(resource))
    if is_provider(resource.type):
        changed.inputs = _without(resource.inputs, _PROVIDER_OPTIONS)
        changed.outputs = _without(resource.outputs, _PROVIDER_OPTIONS)
    if is_object(resource):
        changed.inputs = _owned(resource.inputs, "embedded")
        changed.outputs = _owned(_without(resource.outputs, *_OWN_KEYS), "embedded")
    return changed


def _owned(properties: dict[str, Any], engine: EngineName) -> dict[str, Any]:
    """The properties of an object whose stack belongs to ``engine``."""
    metadata = properties.get("metadata")
    notes = metadata.get("annotations") if isinstance(metadata, dict) else None
    if not isinstance(metadata, dict) or not isinstance(notes, dict):
        return properties
    if ENGINE_ANNOTATION not in notes:
        return properties
    return {
        **properties,
        "metadata": {**metadata, "annotations": {**notes, ENGINE_ANNOTATION: engine}},
    }


def _as_texts(properties: dict[str, Any]) -> dict[str, Any]:
    """Properties of a provider as the CLI keeps them: its configuration is text."""
    return {
        key: str(value).lower() if isinstance(value, bool) else value
        for key, value in properties.items()
    }


def _without(properties: dict[str, Any], *names: str) -> dict[str, Any]:
    return {key: value for key, value in properties.items() if key not in names}


def _opened(value: Any) -> Any:
    """Secrets as ``plaintext``, which ``dump_resource`` has put under ``ciphertext``."""
    return _renamed(value, "ciphertext", "plaintext")


def _sealed(value: Any) -> Any:
    return _renamed(value, "plaintext", "ciphertext")


def _renamed(value: Any, before: str, after: str) -> Any:
    if isinstance(value, Mapping):
        if value.get(SIGNATURE_KEY) == SECRET_SIGNATURE:
            return {SIGNATURE_KEY: SECRET_SIGNATURE, after: value[before]}
        return {key: _renamed(item, before, after) for key, item in value.items()}
    if isinstance(value, list):
        return [_renamed(item, before, after) for item in value]
    return value
