"""How live objects differ from what was applied last, field by field, and who made it so.

Why: docs/decisions/0034.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from moltghost.engines.interface import SECRET_TEXT, DriftedField, DriftedObject
from moltghost.engines.kubernetes import objects
from moltghost.engines.kubernetes.check import Checker
from moltghost.engines.kubernetes.managed_fields import additions, removal, writer_of, writers
from moltghost.engines.kubernetes.objects import Identity, Object
from moltghost.engines.kubernetes.recorded import recorded, recorded_uid, with_ignored
from moltghost.engines.pulumi.diff import missing_or_different
from moltghost.engines.pulumi.state import ResourceState
from moltghost.engines.pulumi.values import Path, Secret, format_path, masked
from moltghost.kube.client import Client
from moltghost.kube.errors import ApiError, UnknownKind
from moltghost.labels import MANAGED_BY_LABEL

_REMOVAL_TRIES = 5
_JSON_PATCH = "application/json-patch+json"
# Kubernetes makes these for every namespace, service and lease holder.
_OF_KUBERNETES = {("ConfigMap", "kube-root-ca.crt"), ("ServiceAccount", "default")}
_PASSING_KINDS = {"ControllerRevision", "EndpointSlice", "Endpoints", "Event", "Lease"}
_PASSING_GROUPS = ("metrics.k8s.io/",)
_MANAGED_BY = MANAGED_BY_LABEL


def by_hand(
    client: Client, checker: Checker, stack: str, inputs: Object, live: Object
) -> list[DriftedField]:
    """Where a live object isn't what its inputs say, and what others added to it.

    The API server writes some values in its own way (``1000m`` becomes ``1``), so what seems to
    differ is confirmed by a dry run.

    Args:
        client: the cluster.
        checker: asks the API server.
        stack: the stack's name.
        inputs: what was applied last.
        live: the object, with its ``managedFields``.
    """
    sent = objects.rendered(inputs, stack)
    wanted = objects.shown(objects.comparable(sent), inputs)  # with the marks of secrets
    changed = missing_or_different(wanted, live)
    if changed and not checker.would_change(client, inputs, live):
        changed = ()
    by_path = {format_path(path): writer for path, writer in writers(live).items()}
    found = [
        DriftedField(
            path=each.path,
            recorded=each.after,
            live=each.before,
            by=str(writer_of(each.path, by_path) or ""),
        )
        for each in changed
    ]
    marked = objects.shown(live, inputs)
    found += [
        DriftedField(
            path=format_path(each.path),
            recorded=None,
            live=_shown_at(marked, each.path),
            by=str(each.writer),
            undone=each.writer.is_person,
        )
        for each in additions(live, objects.comparable(sent))
    ]
    return found


def _shown_at(marked: Any, path: Path) -> Any:
    """A value of an object whose secrets are marked, as it may be shown."""
    for part in path:
        if isinstance(marked, Secret):
            return SECRET_TEXT
        marked = marked[part]
    return masked(marked)


def remove_additions(client: Client, who: Identity, live: Object, sent: Object) -> Object:
    """Take away what people added to an object that was just applied; returns it as it is then.

    Server-side apply leaves fields alone that it never owned.
    """
    for _ in range(_REMOVAL_TRIES):
        found = [
            each for each in additions(live, objects.comparable(sent)) if each.writer.is_person
        ]
        if not found:
            return live
        version = live["metadata"]["resourceVersion"]
        unchanged = {"op": "test", "path": "/metadata/resourceVersion", "value": version}
        try:
            return client.patch(
                who.api_version,
                who.kind,
                who.name,
                who.namespace,
                [unchanged, *removal(found)],
                manager=objects.MANAGER,
                content_type=_JSON_PATCH,
            )
        except ApiError as error:
            fresh = client.get(who.api_version, who.kind, who.name, who.namespace)
            if fresh is None or fresh["metadata"]["resourceVersion"] == version:
                raise  # not a change in between: the API server won't have it
            del error
            live = fresh
    return live


def drifted(client: Client, stack: str, resource: ResourceState) -> DriftedObject | None:
    """How an object differs from what the state recorded of it; None if it doesn't."""
    who = recorded(resource)
    try:
        live = client.get(who.api_version, who.kind, who.name, who.namespace)
    except UnknownKind:
        live = None
    if live is None or "deletionTimestamp" in live["metadata"]:
        return DriftedObject(title=who.title, state="gone")
    if not objects.is_ours(live, stack, recorded_uid(resource)):
        return DriftedObject(title=who.title, state="replaced", by=maker(live))
    inputs = with_ignored(resource.inputs, resource.ignore_changes, live)
    fields = by_hand(client, Checker(stack), stack, inputs, live)
    return DriftedObject(title=who.title, state="changed", fields=tuple(fields)) if fields else None


def strangers(client: Client, stack: str, namespace: str) -> list[DriftedObject]:
    """Objects in a namespace of ours that neither we nor the cluster's controllers made."""
    found = []
    for kind in client.namespaced_kinds():
        if kind.kind in _PASSING_KINDS or kind.api_version.startswith(_PASSING_GROUPS):
            continue
        items: list[Object] = []
        with suppress(ApiError):  # a kind that we may not read, or whose server is away
            items = client.list(kind.api_version, kind.kind, namespace)
        found += [
            DriftedObject(
                title=f"{kind.kind} {namespace}/{item['metadata']['name']}",
                state="stranger",
                by=maker(item),
            )
            for item in items
            if not _is_expected(item, stack)
        ]
    return found


def _is_expected(item: Object, stack: str) -> bool:
    metadata: Mapping[str, Any] = item["metadata"]
    return (
        (item["kind"], metadata["name"]) in _OF_KUBERNETES
        or bool(metadata.get("ownerReferences"))
        or objects.is_ours(item, stack, None)
        or metadata.get("labels", {}).get(_MANAGED_BY) == objects.MANAGER
    )


def maker(live: Object) -> str:
    """Who made an object, and when."""
    metadata = live["metadata"]
    entries = [each for each in metadata.get("managedFields", ()) if not each.get("subresource")]
    nobody: Object = {}
    first = min(entries, key=lambda each: str(each.get("time", "")), default=nobody)
    manager, time = first.get("manager", ""), metadata.get("creationTimestamp", "")
    return f"{manager} at {time}" if manager else str(time)
