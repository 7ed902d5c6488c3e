"""What others wrote into our objects, told by the API server's record of who owns which field.

Every write is recorded in ``metadata.managedFields`` with the writer's field manager (by default
the first word of its user agent) and the time
(https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management). Controllers
of the cluster write as a matter of course; people write with kubectl and the like.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from moltghost.engines.kubernetes.objects import MANAGER, Object
from moltghost.engines.pulumi.values import Path

# Of Kubernetes itself, of what the cloud layer runs, and of what simulates nodes.
_CONTROLLERS = (
    "aws-",
    "cloud-controller-manager",
    "coredns",
    "csi-",
    "ebs-csi",
    "eks",
    "karpenter",
    "kube-",
    "kubelet",
    "kwok",
    "local-path",
    "vpc-resource-controller",
)
# Field managers of what people use: kubectl's commands, user interfaces, scripts.
_TOOLS = ("Mozilla", "OpenAPI-Generator", "curl", "dashboard", "k9s", "kubectl", "node-fetch")
# They belong to whoever put them there, and to take them away would break their work.
_OF_OTHERS = (("metadata", "finalizers"), ("metadata", "ownerReferences"), ("status",))
# `kubectl rollout restart` asks for new pods; to undo it would only restart them again.
_RESTART = ("spec", "template", "metadata", "annotations", "kubectl.kubernetes.io/restartedAt")
_ABSENT = object()


@dataclass(frozen=True)
class Writer:
    """Who wrote a field, and when (RFC 3339)."""

    manager: str
    time: str

    @property
    def is_person(self) -> bool:
        """Whether it is a tool that people write with."""
        return self.manager.startswith(_TOOLS)

    def __str__(self) -> str:
        return f"{self.manager} at {self.time}" if self.time else self.manager


@dataclass(frozen=True)
class Addition:
    """A field, or an item of a list, that somebody added to an object of ours."""

    path: Path
    value: Any
    writer: Writer


def additions(
    live: Object, mine: Mapping[str, Any], owners: tuple[str, ...] = (MANAGER,)
) -> list[Addition]:
    """What others than we and the cluster's controllers added, in the order of the object.

    Args:
        live: the object as the API server has it, with its ``managedFields``.
        mine: what we sent.
        owners: the field managers that we write as.
    """
    found: dict[Path, Addition] = {}
    for writer, fields in _entries(live, owners):
        for path, value in _added(fields, live, mine, ()):
            if not _is_of_others(path):
                found[path] = Addition(path, value, writer)
    return list(found.values())


def writers(live: Object, owners: tuple[str, ...] = (MANAGER,)) -> dict[Path, Writer]:
    """Who besides us and the controllers wrote each field that is recorded as theirs."""
    return {
        path: writer
        for writer, fields in _entries(live, owners)
        for path, _value in _added(fields, live, _ABSENT, ())
    }


def writer_of(path: str, found: Mapping[str, Writer]) -> Writer | None:
    """Who wrote a field, or a part of it, by formatted paths."""
    for theirs, writer in found.items():
        if path == theirs or theirs.startswith((f"{path}.", f"{path}[")):
            return writer
    return next((writer for theirs, writer in found.items() if path.startswith(theirs)), None)


def removal(found: list[Addition]) -> list[dict[str, Any]]:
    """A JSON patch that takes additions away; the last item of a list goes first."""
    paths = sorted((each.path for each in found), key=_sort_key, reverse=True)
    return [{"op": "remove", "path": _pointer(path)} for path in paths]


def _entries(live: Object, owners: tuple[str, ...]) -> Iterator[tuple[Writer, Mapping[str, Any]]]:
    for entry in live["metadata"].get("managedFields", ()):
        manager = entry.get("manager", "")
        controller = manager in owners or manager.startswith(_CONTROLLERS)
        if not controller and entry.get("subresource") != "status":
            yield Writer(manager, entry.get("time", "")), entry.get("fieldsV1", {})


def _added(
    fields: Mapping[str, Any], live: Any, mine: Any, path: Path
) -> Iterator[tuple[Path, Any]]:
    """The recorded fields of one writer that ``mine`` doesn't have, with their live values.

    Keys of the record: ``f:<name>`` a field, ``k:<json>`` a list's item by its key fields,
    ``v:<json>`` an item by its value, ``.`` the thing itself.
    """
    for key, inner in fields.items():
        kind, _, text = key.partition(":")
        if kind == "f" and isinstance(live, Mapping) and text in live:
            place: str | int = text
            own = mine.get(text, _ABSENT) if isinstance(mine, Mapping) else _ABSENT
        elif kind in ("k", "v") and isinstance(live, list):
            wanted = json.loads(text)
            index = _index(live, wanted)
            if index is None:
                continue
            place, own_index = index, _index(mine, wanted) if isinstance(mine, list) else None
            own = mine[own_index] if own_index is not None else _ABSENT
        else:
            continue
        whole_item = isinstance(place, int) and own is _ABSENT and mine is not _ABSENT
        if whole_item or not set(inner) - {"."}:
            if own is _ABSENT:
                yield (*path, place), live[place]
        else:
            yield from _added(inner, live[place], own, (*path, place))


def _index(items: list[Any], wanted: Any) -> int | None:
    """Where an item is that has the key fields, or is the value."""
    for index, item in enumerate(items):
        keyed = isinstance(wanted, Mapping) and isinstance(item, Mapping)
        # A key field with a default may be missing in what was sent.
        if item == wanted or (
            keyed and all(item.get(key, value) == value for key, value in wanted.items())
        ):
            return index
    return None


def _is_of_others(path: Path) -> bool:
    return path == _RESTART or any(path[: len(each)] == each for each in _OF_OTHERS)


def _sort_key(path: Path) -> list[tuple[int, int, str]]:
    return [(1, part, "") if isinstance(part, int) else (0, 0, part) for part in path]


def _pointer(path: Path) -> str:
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in path)
