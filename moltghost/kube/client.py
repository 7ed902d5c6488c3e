"""A small client of the Kubernetes API that speaks plain JSON objects.

Objects are the dicts that go over
the wire, unlike a typed client's models, so that strict field validation sees every field that we
send. Every write is validated strictly; what the API server warns of is handed to ``on_warning``.

Why: docs/decisions/0012.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from moltghost.errors import Failed
from moltghost.kube.errors import ApiError, Conflict, NotFound, UnknownKind
from moltghost.kube.transport import Object, Transport

Propagation = Literal["Foreground", "Background", "Orphan"]

_TAIL_SECONDS = 5  # a node that doesn't answer must not hold up who only wants to know
_APPLY = "application/apply-patch+yaml"


@dataclass(frozen=True)
class ResourceType:
    """Where the objects of one kind are."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool

    def path(self, namespace: str | None, name: str | None = None) -> str:
        """The path of a collection, or of one object."""
        root = (
            f"/apis/{self.api_version}" if "/" in self.api_version else f"/api/{self.api_version}"
        )
        if self.namespaced and namespace:
            root += f"/namespaces/{quote(namespace, safe='')}"
        path = f"{root}/{self.plural}"
        return f"{path}/{quote(name, safe='')}" if name else path


class Client:
    """A connection to one cluster, usable from many threads.

    Args:
        kubeconfig: path of a kubeconfig, or its text.
        context: which of its contexts; by default the current one.
        timeout_seconds: for one request.
        patience_seconds: how long a request is repeated while the server can't be reached. Only
            for callers that have reached it before: a first contact should fail at once.
        on_warning: called with each warning of the server.

    Raises:
        Refused: the kubeconfig is missing or malformed.
    """

    def __init__(
        self,
        kubeconfig: Path | str,
        context: str | None = None,
        *,
        timeout_seconds: float = 30.0,
        patience_seconds: float = 0.0,
        on_warning: Callable[[str], None] | None = None,
    ) -> None:
        self._transport = Transport(kubeconfig, context, timeout_seconds, on_warning or _ignore)
        self.server = self._transport.server
        self.context = self._transport.context
        self.be_patient(patience_seconds)
        self._types: dict[str, dict[str, ResourceType]] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def be_patient(self, seconds: float) -> None:
        """Repeat requests for so long while the server can't be reached."""
        self._transport.patience_seconds = seconds

    def resource_type(self, api_version: str, kind: str) -> ResourceType:
        """Where objects of a kind are; asked once per API version, and again for a new kind.

        Raises:
            UnknownKind: the server doesn't have it.
        """
        with self._lock:
            known = self._types.get(api_version, {})
            if kind not in known:
                known = self._types[api_version] = self._discover(api_version)
        if kind not in known:
            raise UnknownKind(
                f"the cluster has no kind {kind} in {api_version}",
                "install what defines it first (a custom resource definition, or a newer cluster)",
            )
        return known[kind]

    def get(
        self, api_version: str, kind: str, name: str, namespace: str | None = None
    ) -> Object | None:
        """One object, or ``None`` if there is none."""
        path = self.resource_type(api_version, kind).path(namespace, name)
        try:
            return self._transport.request("GET", path)
        except NotFound:
            return None

    def list(
        self,
        api_version: str,
        kind: str,
        namespace: str | None = None,
        *,
        labels: Mapping[str, str] | None = None,
        fields: Mapping[str, str] | None = None,
        limit: int | None = None,
    ) -> list[Object]:
        """Objects of a kind, in all namespaces by default.

        Args:
            api_version: e.g. ``apps/v1``.
            kind: e.g. ``Deployment``.
            namespace: where; all by default.
            labels: labels that they must have.
            fields: fields that they must have, of those the server indexes.
            limit: at most so many.
        """
        query = {"labelSelector": _selector(labels), "fieldSelector": _selector(fields)}
        path = self.resource_type(api_version, kind).path(namespace)
        answer = self._transport.request("GET", path, query={**query, "limit": limit})
        items: list[Object] = answer.get("items", [])
        for item in items:  # the server leaves these out of the items of built-in kinds
            item.setdefault("apiVersion", api_version)
            item.setdefault("kind", kind)
        return items

    def create(self, obj: Object, *, manager: str, dry_run: bool = False) -> Object:
        """Create an object; one that exists already raises ``AlreadyExists``."""
        namespace, _name = _place(obj)
        path = self._type_of(obj).path(namespace)
        return self._transport.request("POST", path, body=obj, query=_write(manager, dry_run))

    def apply(
        self, obj: Object, *, manager: str, dry_run: bool = False, force: bool = True
    ) -> Object:
        """Server-side apply: the fields of ``obj`` become ours, those that we drop are removed."""
        path = self._type_of(obj).path(*_place(obj))
        query = {**_write(manager, dry_run), "force": _flag(force)}
        return self._transport.request("PATCH", path, body=obj, query=query, content_type=_APPLY)

    def patch(
        self,
        api_version: str,
        kind: str,
        name: str,
        namespace: str | None,
        body: Any,
        *,
        manager: str,
        content_type: str = "application/merge-patch+json",
        dry_run: bool = False,
    ) -> Object:
        """Patch an object, by default with a JSON merge patch."""
        path = self.resource_type(api_version, kind).path(namespace, name)
        query = _write(manager, dry_run)
        return self._transport.request(
            "PATCH", path, body=body, query=query, content_type=content_type
        )

    def delete(
        self,
        api_version: str,
        kind: str,
        name: str,
        namespace: str | None = None,
        *,
        propagation: Propagation = "Background",
        uid: str | None = None,
        dry_run: bool = False,
    ) -> bool:
        """Begin to delete an object.

        Args:
            api_version: its API version.
            kind: its kind.
            name: its name.
            namespace: its namespace.
            propagation: what happens to the objects that it owns.
            uid: delete only this very object, not another of the same name.
            dry_run: only check.

        Returns:
            Whether there was such an object.
        """
        body: Object = {"apiVersion": "v1", "kind": "DeleteOptions"}
        body["propagationPolicy"] = propagation
        if uid:
            body["preconditions"] = {"uid": uid}
        if dry_run:
            body["dryRun"] = ["All"]
        path = self.resource_type(api_version, kind).path(namespace, name)
        try:
            self._transport.request("DELETE", path, body=body)
        except NotFound:
            return False
        except Conflict:
            if uid:
                return False  # it is another object of that name by now
            raise
        return True

    def watch(
        self,
        api_version: str,
        kind: str,
        namespace: str | None = None,
        *,
        name: str | None = None,
        labels: Mapping[str, str] | None = None,
        resource_version: str = "",
        timeout_seconds: int = 30,
    ) -> Iterator[tuple[str, Object]]:
        """Changes as ``(type, object)`` until the timeout; a broken connection ends it early.

        Args:
            api_version: e.g. ``apps/v1``.
            kind: e.g. ``Deployment``.
            namespace: where; all by default.
            name: only the object of this name.
            labels: only objects with these labels.
            resource_version: begin after this version; empty begins with what exists.
            timeout_seconds: whole seconds, at least 1.
        """
        query = {
            "watch": "true",
            "labelSelector": _selector(labels),
            "fieldSelector": _selector({"metadata.name": name} if name else None),
            "resourceVersion": resource_version,
            "timeoutSeconds": timeout_seconds,
        }
        path = self.resource_type(api_version, kind).path(namespace)
        for line in self._transport.lines(path, query, timeout_seconds):
            event = json.loads(line)
            yield event["type"], event["object"]

    def follow_log(
        self, pod: str, namespace: str, container: str, *, quiet_seconds: int = 30
    ) -> Iterator[str]:
        """The lines of a container's log, from its first, until it ends.

        Args:
            pod: its name.
            namespace: the pod's.
            container: one of the pod's.
            quiet_seconds: after so long without a line, or when the connection breaks, this ends
                as well: whether the container did is for the caller to ask.

        Raises:
            ApiError: the server said no; the container hasn't started yet, for example.
        """
        path = f"{self.resource_type('v1', 'Pod').path(namespace, pod)}/log"
        query = {"container": container, "follow": "true"}
        yield from self._transport.lines(path, query, quiet_seconds)

    def log_tail(self, pod: str, namespace: str, container: str, lines: int = 5) -> Iterator[str]:
        """The last lines of a container's log.

        Raises:
            ApiError: the server said no; the container hasn't started yet, for example.
        """
        path = f"{self.resource_type('v1', 'Pod').path(namespace, pod)}/log"
        query = {"container": container, "tailLines": lines}
        yield from self._transport.lines(path, query, _TAIL_SECONDS)

    def cluster_uid(self) -> str:
        """What tells this cluster from any other: the uid of its ``kube-system`` namespace."""
        found = self.get("v1", "Namespace", "kube-system")
        if not found:
            raise Failed(f"{self.server} has no namespace kube-system", "is it a Kubernetes API?")
        return str(found["metadata"]["uid"])

    def namespaced_kinds(self) -> tuple[ResourceType, ...]:
        """Every kind whose objects are in namespaces and can be listed, in the preferred version.

        An API group whose server is away has no kinds.
        """
        groups = self._transport.request("GET", "/apis")["groups"]
        versions = ["v1", *(group["preferredVersion"]["groupVersion"] for group in groups)]
        found: tuple[ResourceType, ...] = ()
        for version in versions:
            with suppress(ApiError):
                found += tuple(each for each in self._listable(version) if each.namespaced)
        return found

    def _type_of(self, obj: Object) -> ResourceType:
        return self.resource_type(obj["apiVersion"], obj["kind"])

    def _discover(self, api_version: str) -> dict[str, ResourceType]:
        try:
            listed = self._resources(api_version)
        except NotFound:
            return {}
        return {
            item["kind"]: _resource_type(api_version, item)
            for item in listed
            if "/" not in item["name"]
        }

    def _listable(self, api_version: str) -> tuple[ResourceType, ...]:
        return tuple(
            _resource_type(api_version, item)
            for item in self._resources(api_version)
            if "list" in item["verbs"] and "/" not in item["name"]
        )

    def _resources(self, api_version: str) -> tuple[Object, ...]:
        prefix = "/apis" if "/" in api_version else "/api"
        return tuple(self._transport.request("GET", f"{prefix}/{api_version}")["resources"])


def _resource_type(api_version: str, item: Object) -> ResourceType:
    return ResourceType(api_version, item["kind"], item["name"], bool(item["namespaced"]))


def _write(manager: str, dry_run: bool) -> dict[str, Any]:
    return {
        "fieldManager": manager,
        "fieldValidation": "Strict",
        "dryRun": "All" if dry_run else None,
    }


def _place(obj: Object) -> tuple[str | None, str]:
    metadata = obj["metadata"]
    return metadata.get("namespace"), metadata.get("name", "")


def _selector(wanted: Mapping[str, str] | None) -> str | None:
    return ",".join(f"{key}={value}" for key, value in wanted.items()) if wanted else None


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _ignore(_warning: str) -> None:
    """Warnings that nobody asked for."""
