"""One resource as a check sees it, whatever its type calls it.

Kubernetes has one object under several names: a beta version of its type, a `Patch` of it, a `List`
that holds it. A rule names a type once, so a subject has the plain one, and each item of a list is
a subject of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from pulumi_policy.proxy import UnknownValueError

from .reading import get, has, items

# ``kubernetes:apps/v1beta1:Deployment``; a CustomResource of ``v1`` has no group at all.
_TYPE = re.compile(r"^kubernetes:(?:([\w.-]+)/)?v\d+(?:(?:alpha|beta)\d+)?:(\w+)$")
# Groups of the SDK that are no API groups: their versions are Helm's and the SDK's own.
_NO_API = ("helm.sh", "yaml", "kustomize")
# What the group extensions held before it was split (removed in Kubernetes 1.22).
_EXTENSIONS = {"Ingress": "networking.k8s.io", "NetworkPolicy": "networking.k8s.io"}


@dataclass(frozen=True)
class Subject:
    """One resource, or one item of a list."""

    type: str
    """Its type token, without `Patch` and with the version v1."""
    name: str
    urn: str
    props: Mapping[str, Any]
    protect: bool = False
    provider: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    """URNs of the resources that it depends on."""
    parent: str = ""
    """URN of the component that it is part of."""
    declared: str = ""
    """The kind that it was declared as, such as ``DeploymentPatch``."""
    place: str = ""
    """Where it is in a list; empty for a resource."""

    @property
    def kind(self) -> str:
        """``Deployment`` of ``kubernetes:apps/v1:Deployment``."""
        return self.type.rpartition(":")[2]

    @property
    def is_kubernetes(self) -> bool:
        """Whether it is an object in a cluster."""
        return self.type.startswith("kubernetes:")

    @property
    def is_builtin(self) -> bool:
        """Whether its kind is one of Kubernetes itself."""
        return self.is_kubernetes and is_builtin(self.group)

    @property
    def group(self) -> str:
        """``apps`` of ``kubernetes:apps/v1:Deployment``."""
        return self.type.partition(":")[2].partition("/")[0]

    @property
    def namespace(self) -> str:
        """The namespace that an object is in, where that is known; empty if it is in none."""
        return str(known(self.props, "metadata.namespace") or "") if self.is_kubernetes else ""

    @property
    def object_name(self) -> str:
        """The name of an object in its cluster, where that is known; else the logical name."""
        named = known(self.props, "metadata.name") if self.is_kubernetes else None
        return str(named or self.name)

    @property
    def title(self) -> str:
        """How people call it: ``Deployment agent-x/runtime``, ``Cluster main``."""
        kind = self.declared or self.kind
        where = f"{self.namespace}/" if self.namespace else ""
        return f"{kind} {where}{self.object_name}"


def subjects_of(resource: Subject) -> Iterator[Subject]:
    """A resource as a subject, or the items of a list as several.

    Raises:
        UnknownValueError: the items of a list aren't known yet.
    """
    raw = resource.type.rpartition(":")[2]
    if not resource.is_kubernetes or not (raw.endswith("List") and has(resource.props, "items")):
        kind = canonical(resource.type)
        yield resource if kind == resource.type else replace(resource, type=kind, declared=raw)
        return
    for number, item in enumerate(items(resource.props, "items")):
        group = get(item, "apiVersion") or resource.type.split(":")[1]
        type_ = f"kubernetes:{group}:{get(item, 'kind') or raw.removesuffix('List')}"
        place = f"{resource.place}items.{number}."
        yield from subjects_of(replace(resource, type=type_, props=item, place=place))


@cache
def canonical(type_: str) -> str:
    """The one type token of what may be declared under several.

    ``kubernetes:apps/v1:Deployment`` of ``kubernetes:apps/v1beta1:DeploymentPatch``.
    """
    found = _TYPE.match(type_)
    if not found or found[1] in _NO_API:
        return type_
    group, kind = found[1] or "core", found[2]
    if is_builtin(group) and kind != "Patch":
        kind = kind.removesuffix("Patch")
    if group == "extensions":
        group = _EXTENSIONS.get(kind, "apps")
    return f"kubernetes:{group}/v1:{kind}"


def is_builtin(group: str) -> bool:
    """Whether an API group is one of Kubernetes itself."""
    custom = (".x-k8s.io", "kustomize.config.k8s.io")
    return "." not in group or (group.endswith(".k8s.io") and not group.endswith(custom))


def known(props: Mapping[str, Any], path: str) -> Any:
    """The value at ``path``, or None where it is absent or not known yet: for titles only."""
    try:
        return get(props, path)
    except UnknownValueError:
        return None
