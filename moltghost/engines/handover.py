"""Hands the objects of a stack to another engine: its field manager, and its marks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moltghost.engines.embedded.kubernetes.goals import recorded
from moltghost.engines.embedded.kubernetes.objects import MANAGER, Identity, Object
from moltghost.engines.embedded.state import ResourceState, StackState
from moltghost.engines.embedded.urn import provider_urn
from moltghost.engines.embedded.values import plain
from moltghost.engines.stock.checkpoint import is_object
from moltghost.errors import Failed
from moltghost.kube.client import ApiError, Client
from moltghost.ownership import ENGINE_ANNOTATION, STACK_ANNOTATION, EngineName

Managers = Callable[[ResourceState], tuple[str, str]]
_JSON_PATCH = "application/json-patch+json"
_CLI_CREATOR = "pulumi-kubernetes"
_TRIES = 5  # a controller may write the object's status in between


def hand_over(state: StackState, engine: EngineName, managers: Managers) -> dict[str, str]:
    """Make ``engine`` the owner of every object of a stack in its cluster.

    Args:
        state: the stack's state.
        engine: the new owner.
        managers: for a resource, the field manager until now and from now on.

    Returns:
        The uid of the cluster by URN of its provider.

    Raises:
        Failed: an object couldn't be changed.
    """
    clients: dict[str, Client] = {}
    providers = {each.urn: plain(each.inputs) for each in state.resources}
    try:
        for resource in filter(is_object, state.resources):
            urn = provider_urn(resource.provider)
            if urn not in clients:
                inputs = providers[urn]
                clients[urn] = Client(str(inputs["kubeconfig"]), inputs.get("context"))
            _hand_over(clients[urn], recorded(resource), state.stack, engine, managers(resource))
        return {urn: client.cluster_uid() for urn, client in clients.items()}
    finally:
        for client in clients.values():
            client.close()


def _hand_over(
    client: Client, who: Identity, stack: str, engine: EngineName, managers: tuple[str, str]
) -> None:
    for attempt in range(_TRIES):
        live = client.get(who.api_version, who.kind, who.name, who.namespace)
        if live is None:
            return  # the preview that follows will say that it is gone
        try:
            client.patch(
                who.api_version,
                who.kind,
                who.name,
                who.namespace,
                patch_of(live, stack, engine, managers),
                manager=managers[1],
                content_type=_JSON_PATCH,
            )
        except ApiError as error:
            if error.reason != "Conflict" or attempt == _TRIES - 1:
                raise Failed(
                    f"{who.title} can't be handed to the {engine} engine: {error.message}",
                    "run the same command again",
                ) from error
        else:
            return


def patch_of(
    live: Object, stack: str, engine: EngineName, managers: tuple[str, str]
) -> list[dict[str, Any]]:
    """The JSON patch that makes an object the new owner's.

    Fields that the old manager wrote become the new one's, as applied ones, so that the next
    server-side apply may remove them (as kubectl's ``csaupgrade`` does it).
    """
    metadata = live["metadata"]
    before, after = managers
    entries = [
        {**entry, "manager": after, "operation": "Apply"}
        if _is_of(before, entry["manager"]) and "subresource" not in entry
        else entry
        for entry in metadata.get("managedFields", [])
    ]
    notes = {**metadata.get("annotations", {})}
    if engine == "embedded":
        notes[STACK_ANNOTATION] = stack
    if live["kind"] == "Namespace":
        notes[ENGINE_ANNOTATION] = engine
    return [
        {"op": "test", "path": "/metadata/resourceVersion", "value": metadata["resourceVersion"]},
        {"op": "replace", "path": "/metadata/managedFields", "value": _merged(entries)},
        {"op": "add", "path": "/metadata/annotations", "value": notes},
    ]


def _is_of(engine_manager: str, manager: str) -> bool:
    """Whether the old engine wrote under this name; the CLI creates under a short one."""
    created_by_cli = engine_manager != MANAGER and manager == _CLI_CREATOR
    return manager == engine_manager or created_by_cli


def _merged(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One entry per manager, operation, version and subresource, as the API server demands."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for entry in entries:
        key = tuple(
            entry.get(name) for name in ("manager", "operation", "apiVersion", "subresource")
        )
        if key in found:
            entry = {**entry, "fieldsV1": _united(found[key]["fieldsV1"], entry["fieldsV1"])}
        found[key] = entry
    return list(found.values())


def _united(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Both sets of fields, in the nested form of ``fieldsV1``."""
    keys = {**one, **other}
    return {key: _united(one.get(key, {}), other.get(key, {})) for key in keys}
