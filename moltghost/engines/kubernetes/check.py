"""Asks the API server what it would say, without changing anything."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from moltghost.engines.kubernetes import objects
from moltghost.engines.kubernetes.objects import Identity, Object
from moltghost.engines.pulumi.values import plain, redact, secret_texts, unknown_paths
from moltghost.errors import MoltghostError, Refused
from moltghost.kube.client import Client
from moltghost.kube.errors import AlreadyExists, ApiError, Conflict, UnknownKind

_STAND_IN_NAMESPACE = "default"  # exists in every cluster
_JSON_PATCH = "application/json-patch+json"
_OWNERSHIP_TRIES = 5
_IMMUTABLE_WORDS = ("immutable", "may not change", "cannot be changed", "forbidden: updates to")


_ADMISSION_WORDS = (
    "exceeded quota",
    "denied request",
    "denied the request",
    "violates PodSecurity",
)


@dataclass(frozen=True)
class Checked:
    """What the API server said of a change that it would take, or might take.

    Args:
        note: what couldn't be checked, for the reader.
        doubt: a rule of the cluster stands against it now. Whether it still does when the change
            is applied depends on what else changes before.
    """

    note: str = ""
    doubt: Refused | None = None


class Checker:
    """Checks the objects of one stack against one cluster."""

    def __init__(self, stack: str) -> None:
        self._stack = stack
        self._coming_kinds: set[tuple[str, str]] = set()

    def expect_kinds(self, inputs: Object) -> None:
        """Remember the kinds that a definition of this stack brings."""
        spec = plain(inputs.get("spec", {}))
        if plain(inputs["kind"]) != "CustomResourceDefinition" or not isinstance(spec, dict):
            return
        kind = spec["names"]["kind"]
        self._coming_kinds |= {
            (f"{spec['group']}/{version['name']}", kind) for version in spec["versions"]
        }

    def will_have(self, api_version: str, kind: str) -> bool:
        """Whether a definition of this stack brings the kind."""
        return (api_version, kind) in self._coming_kinds

    def check_creation(self, client: Client, who: Identity, inputs: Object) -> Checked:
        """Whether the API server would accept a new object.

        Raises:
            Refused: it wouldn't, whatever else changes.
        """
        body = self._body(inputs)
        if body is None:
            return Checked("checked when it is applied: it has values that aren't known yet")
        try:
            client.create(body, manager=objects.MANAGER, dry_run=True)
        except UnknownKind:
            return Checked("checked when it is applied: its kind doesn't exist yet")
        except ApiError as error:
            if not _namespace_is_missing(error, who):
                return _judged(error, who, inputs)
            self._check_elsewhere(client, who, body, inputs)
            return Checked(
                "its namespace doesn't exist yet, so the namespace's own rules aren't checked"
            )
        return Checked()

    def check_update(self, client: Client, who: Identity, inputs: Object) -> Checked:
        """Whether the API server would accept a change.

        Raises:
            Refused: it wouldn't, e.g. because the field can't change.
        """
        body = self._body(inputs)
        if body is None:
            return Checked("checked when it is applied: it has values that aren't known yet")
        try:
            client.apply(body, manager=objects.MANAGER, dry_run=True)
        except ApiError as error:
            return _judged(error, who, inputs)
        return Checked()

    def would_change(self, client: Client, inputs: Object, live: Object) -> bool:
        """Whether applying the inputs would change the live object."""
        body = objects.rendered(inputs, self._stack)
        try:
            dry = client.apply(body, manager=objects.MANAGER, dry_run=True)
        except ApiError:
            return True  # the apply itself will say what is wrong
        return _content(dry) != _content(live)

    def _body(self, inputs: Object) -> Object | None:
        known = objects.with_placeholders(inputs, unknown_paths(inputs))
        return objects.rendered(known, self._stack) if known is not None else None

    def _check_elsewhere(self, client: Client, who: Identity, body: Object, inputs: Object) -> None:
        """Schema and strictness don't depend on the namespace, so another one will do."""
        moved = {**body, "metadata": {**body["metadata"], "namespace": _STAND_IN_NAMESPACE}}
        try:
            client.create(moved, manager=objects.MANAGER, dry_run=True)
        except AlreadyExists:
            return  # by the same name, so it was accepted
        except ApiError as error:
            _judged(error, who, inputs)


def own_created_fields(client: Client, who: Identity, live: Object) -> None:
    """Make fields that we created by a plain request removable by server-side apply.

    A plain creation leaves them with an ``Update`` entry of our manager; an apply would then never
    remove them. The same is done by kubectl (``csaupgrade``) and by pulumi-kubernetes.
    """
    for _ in range(_OWNERSHIP_TRIES):
        entries = live["metadata"].get("managedFields", [])
        changed = [
            {**entry, "operation": "Apply"} if _is_ours(entry) else entry for entry in entries
        ]
        if changed == entries:
            return
        body = [
            {"op": "replace", "path": "/metadata/managedFields", "value": changed},
            {
                "op": "replace",
                "path": "/metadata/resourceVersion",
                "value": live["metadata"]["resourceVersion"],
            },
        ]
        try:
            client.patch(
                who.api_version,
                who.kind,
                who.name,
                who.namespace,
                body,
                manager=objects.MANAGER,
                content_type=_JSON_PATCH,
            )
        except Conflict:
            fresh = client.get(who.api_version, who.kind, who.name, who.namespace)
            if fresh is None:
                raise
            live = fresh
        else:
            return


def explained(
    error: ApiError, title: str, inputs: Object, raised: type[MoltghostError]
) -> MoltghostError:
    """The API server's answer as an error of ours: named, without secrets, with a next step."""
    message = redact(error.message, secret_texts(inputs))
    hint = "correct it in the program or the configuration"
    if any(words in error.message for words in _IMMUTABLE_WORDS):
        hint = (
            "this field can't change while the object exists, so the object would have to be "
            "replaced: give it another name, or delete it first"
        )
    return raised(f"{title}: {message}", hint)


def _judged(error: ApiError, who: Identity, inputs: Object) -> Checked:
    """A doubt if a rule of the cluster spoke, which the same run may change; else a refusal."""
    refusal = explained(error, who.title, inputs, Refused)
    if any(words in error.message for words in _ADMISSION_WORDS) and isinstance(refusal, Refused):
        return Checked(doubt=refusal)
    raise refusal from error


def _is_ours(entry: dict[str, Any]) -> bool:
    plain_write = entry.get("operation") == "Update" and not entry.get("subresource")
    return plain_write and entry.get("manager") == objects.MANAGER


def _namespace_is_missing(error: ApiError, who: Identity) -> bool:
    """Or is about to be: one that is being deleted takes nothing new."""
    missing = f'namespaces "{who.namespace}" not found' in error.message
    return missing or "because it is being terminated" in error.message


def _content(obj: Object) -> str:
    """What an apply can change, as text."""
    hidden = ("managedFields", "resourceVersion", "generation")
    metadata = {key: item for key, item in obj["metadata"].items() if key not in hidden}
    rest = {key: item for key, item in obj.items() if key not in ("metadata", "status")}
    return json.dumps({**rest, "metadata": metadata}, sort_keys=True)
