"""Hands the objects of a stack to another engine: its field manager, and its marks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from moltghost.engines.kubernetes.cluster import Cluster
from moltghost.engines.kubernetes.objects import MANAGER, Identity, Object
from moltghost.engines.kubernetes.recorded import recorded, recorded_uid
from moltghost.engines.pulumi.state import ResourceState, StackState
from moltghost.engines.pulumi.urn import provider_urn
from moltghost.engines.stock.checkpoint import is_object
from moltghost.errors import Failed
from moltghost.kube.client import Client
from moltghost.kube.errors import ApiError
from moltghost.labels import ENGINE_ANNOTATION, STACK_ANNOTATION
from moltghost.ownership import EngineName

Managers = Callable[[ResourceState], tuple[str, str]]
_JSON_PATCH = "application/json-patch+json"
_CLI_CREATOR = "pulumi-kubernetes"
_TRIES = 5  # a controller may write the object's status in between


@contextmanager
def connected(state: StackState) -> Iterator[dict[str, Client]]:
    """The clusters of a stack's objects, by URN of their provider.

    Raises:
        Refused: one isn't running, or is another one than the state's.
    """
    providers = {each.urn: each.inputs for each in state.resources}
    urns = {provider_urn(each.provider) for each in filter(is_object, state.resources)}
    environment = state.stack.rpartition(".")[2]
    with ExitStack() as opened:
        clients = {}
        for urn in urns:
            known = state.clusters.get(urn)
            cluster = Cluster(providers[urn], environment, known, _ignore, _ignore)
            opened.callback(cluster.close)
            clients[urn] = cluster.client()
        yield clients


def hand_over(
    clients: Mapping[str, Client], state: StackState, engine: EngineName, managers: Managers
) -> None:
    """Make ``engine`` the owner of every object of a stack in its cluster.

    Args:
        clients: the clusters, by URN of their provider.
        state: the stack's state.
        engine: the new owner.
        managers: for a resource, the field manager until now and from now on.

    Raises:
        Failed: an object couldn't be changed.
    """
    for resource in filter(is_object, state.resources):
        client = clients[provider_urn(resource.provider)]
        _hand_over(client, resource, state.stack, engine, managers(resource))


def _hand_over(
    client: Client,
    resource: ResourceState,
    stack: str,
    engine: EngineName,
    managers: tuple[str, str],
) -> None:
    who, uid = recorded(resource), recorded_uid(resource)
    live = _get(client, who)
    for attempt in range(_TRIES):
        if live is None or uid not in (None, live["metadata"]["uid"]):
            return  # the preview that follows will say that ours is gone
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
            fresh = _get(client, who)
            unchanged = fresh is not None and _version(fresh) == _version(live)
            if unchanged or attempt == _TRIES - 1:
                raise Failed(
                    f"{who.title} can't be handed to the {engine} engine: {error.message}",
                    "run the same command again",
                ) from error
            live = fresh
        else:
            return


def _get(client: Client, who: Identity) -> Object | None:
    return client.get(who.api_version, who.kind, who.name, who.namespace)


def _version(live: Object) -> str:
    return str(live["metadata"]["resourceVersion"])


def _ignore(_text: str) -> None:
    """Neither warnings nor the uid are of interest here."""


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
