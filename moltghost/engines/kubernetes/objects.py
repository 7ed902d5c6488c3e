"""Kubernetes objects of Pulumi resources: identity, what is sent, what is shown."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from moltghost.engines.pulumi.values import (
    UNKNOWN,
    Path,
    Secret,
    Unknown,
    plain,
    pruned,
)
from moltghost.errors import Refused
from moltghost.labels import ENGINE_ANNOTATION, STACK_ANNOTATION

Object = dict[str, Any]

MANAGER = "moltghost"
"""Field manager of everything that the embedded engine writes."""


@dataclass(frozen=True)
class Identity:
    """What tells one object from another."""

    api_version: str
    kind: str
    namespace: str | None
    name: str

    @property
    def id(self) -> str:
        """The id that pulumi-kubernetes gives: ``namespace/name``, or ``name``."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

    @property
    def title(self) -> str:
        """``Deployment agent-x/model-server``."""
        return f"{self.kind} {self.id}"

    def same_object(self, other: Identity) -> bool:
        """Whether both name one object; served versions of a group are views of one object."""
        mine, theirs = (_group(item.api_version) for item in (self, other))
        names = (self.kind, self.namespace, self.name), (other.kind, other.namespace, other.name)
        return mine == theirs and names[0] == names[1]


def _group(api_version: str) -> str:
    return api_version.rpartition("/")[0]


def identity(inputs: Mapping[str, Any]) -> Identity | None:
    """Who the inputs are about, or ``None`` while the name isn't known yet."""
    metadata = plain(inputs.get("metadata", {}))
    if metadata is UNKNOWN or UNKNOWN in (metadata.get("name"), metadata.get("namespace")):
        return None
    return Identity(
        str(plain(inputs["apiVersion"])),
        str(plain(inputs["kind"])),
        metadata.get("namespace"),
        metadata["name"],
    )


def checked_inputs(inputs: Mapping[str, Any], resource: str, *, namespaced: bool | None) -> Object:
    """The inputs as they are recorded: without nulls, with the namespace filled in.

    Args:
        inputs: what the program said.
        resource: the logical name, for messages.
        namespaced: whether the kind is; ``None`` where that isn't known.

    Raises:
        Refused: no name, or a cluster-wide kind with a namespace.
    """
    checked: Object = _with_marked_secrets(pruned(dict(inputs)))
    metadata = checked.get("metadata")
    if metadata is UNKNOWN:
        return checked
    if not isinstance(plain(metadata), dict) or not plain(metadata).get("name"):
        raise Refused(
            f"{checked.get('kind', 'object')} {resource} has no metadata.name; the embedded "
            "engine doesn't generate names",
            "name it in the program",
        )
    opened: Object = metadata.value if isinstance(metadata, Secret) else metadata or {}
    if not isinstance(plain(opened.get("annotations", {})), (dict, Unknown)):
        raise Refused(
            f"metadata.annotations of {checked['kind']} {opened['name']} isn't a mapping",
            "give names and texts",
        )
    if namespaced and "namespace" not in opened:
        checked["metadata"] = {**opened, "namespace": "default"}
    if namespaced is False and opened.get("namespace"):
        raise Refused(
            f"{checked['kind']} {opened['name']} has a namespace, but its kind is cluster-wide",
            "leave metadata.namespace out",
        )
    return checked


def rendered(inputs: Mapping[str, Any], stack: str) -> Object:
    """What is sent to the API server: plain text, with the marks of the stack."""
    obj: Object = plain(dict(inputs))
    if obj["kind"] == "CustomResourceDefinition":
        obj = _dashed(obj)
    marks = {STACK_ANNOTATION: stack}
    if obj["kind"] == "Namespace":
        marks[ENGINE_ANNOTATION] = "embedded"
    metadata = dict(obj["metadata"])
    metadata["annotations"] = {**metadata.get("annotations", {}), **marks}
    return {**obj, "metadata": metadata}


def _dashed(value: Any) -> Any:
    """``x_kubernetes_*`` to ``x-kubernetes-*``: the SDK's field names can't have dashes."""
    if isinstance(value, Mapping):
        return {
            key.replace("_", "-") if key.startswith("x_kubernetes_") else key: _dashed(item)
            for key, item in value.items()
        }
    return [_dashed(item) for item in value] if isinstance(value, list) else value


def comparable(obj: Object) -> Object:
    """The object as the API server would show it: ``stringData`` is written, never read."""
    if obj["kind"] != "Secret" or "stringData" not in obj:
        return obj
    encoded = {
        key: base64.b64encode(str(text).encode()).decode()
        for key, text in obj["stringData"].items()
    }
    rest = {key: item for key, item in obj.items() if key != "stringData"}
    return {**rest, "data": {**obj.get("data", {}), **encoded}}


def settled(inputs: Object) -> Object:
    """Inputs with the ``stringData`` of a Secret as ``data``, as pulumi-kubernetes records them.

    Both forms say the same; which one a state has depends on the engine that wrote it.
    """
    if plain(inputs.get("kind")) != "Secret" or "stringData" not in inputs:
        return inputs
    return _with_marked_secrets(comparable(plain(inputs)))


def is_ours(live: Object, stack: str, uid: str | None) -> bool:
    """Whether an object was made by this stack: by its mark, or because we recorded its uid."""
    metadata = live["metadata"]
    marked: bool = metadata.get("annotations", {}).get(STACK_ANNOTATION) == stack
    return marked or bool(uid and metadata.get("uid") == uid)


def shown(live: Object, inputs: Mapping[str, Any]) -> Object:
    """The live object as outputs: without bookkeeping, secrets marked."""
    metadata = {key: item for key, item in live["metadata"].items() if key != "managedFields"}
    outputs = _with_marked_secrets({**live, "metadata": metadata})
    return dict(_marked(outputs, inputs))


def _with_marked_secrets(obj: Object) -> Object:
    """The object with the contents of a ``Secret`` marked, whatever the program says."""
    if plain(obj.get("kind")) != "Secret":
        return obj
    marked = {
        key: value if isinstance(value, Secret) else Secret(plain(value))
        for key, value in obj.items()
        if key in ("data", "stringData")
    }
    return {**obj, **marked}


def _marked(live: Any, inputs: Any) -> Any:
    if isinstance(inputs, Secret):
        return live if isinstance(live, Secret) else Secret(live)
    if isinstance(live, dict) and isinstance(inputs, Mapping):
        return {key: _marked(item, inputs.get(key)) for key, item in live.items()}
    if isinstance(live, list) and isinstance(inputs, list) and len(live) == len(inputs):
        return [_marked(item, inputs[index]) for index, item in enumerate(live)]
    return live


# Fields whose text the API server doesn't interpret: an unknown there can be stood in for.
_FREE_TEXT_PARENTS = ("data", "stringData", "annotations")
_PLACEHOLDER = "dW5rbm93bg=="  # "unknown", which is valid base64 too, as Secret.data demands


def with_placeholders(inputs: Object, unknown: list[Path]) -> Object | None:
    """The inputs with unknown texts stood in for, or ``None`` if an unknown may be no text."""
    inputs = plain(inputs)
    for path in unknown:
        if len(path) == 1 and path[0] in _FREE_TEXT_PARENTS:
            inputs = {**inputs, path[0]: {}}
        elif not _is_free_text(path):
            return None
    return dict(_replaced(inputs))


def _replaced(value: Any) -> Any:
    if value is UNKNOWN:
        return _PLACEHOLDER
    if isinstance(value, Mapping):
        return {key: _replaced(item) for key, item in value.items()}
    return [_replaced(item) for item in value] if isinstance(value, list) else value


def _is_free_text(path: Path) -> bool:
    in_text_map = len(path) > 1 and path[-2] in _FREE_TEXT_PARENTS
    in_environment = len(path) > 2 and path[-1] == "value" and path[-3] == "env"
    return in_text_map or in_environment


_STEP = re.compile(r"""\.?(?P<key>[^.\[\]"]+)|\[(?P<index>\d+)\]|\["(?P<quoted>[^"]+)"\]""")


def parse_path(text: str) -> Path:
    """A property path such as ``spec.containers[0].image`` or ``metadata.labels["a.b/c"]``.

    Raises:
        Refused: it is none, or has a wildcard.
    """
    parts: list[str | int] = []
    position = 0
    while position < len(text):
        match = _STEP.match(text, position)
        if not match or match["key"] == "*":
            raise Refused(
                f"{text!r} in ignore_changes is not a path that the embedded engine understands",
                "write it like spec.replicas, without wildcards",
            )
        index = match["index"]
        parts.append(int(index) if index else match["key"] or match["quoted"])
        position = match.end()
    return tuple(parts)


def value_at(obj: Any, path: Path) -> Any:
    """The value at a path, or ``None``."""
    for part in path:
        try:
            obj = obj[part]
        except (KeyError, IndexError, TypeError):
            return None
    return obj


def with_value(obj: Any, path: Path, value: Any) -> Any:
    """A copy with the value at a path; ``None`` removes it. Missing parents are left missing."""
    head, *rest = path
    if isinstance(obj, dict):
        if not rest and value is None:
            return {key: item for key, item in obj.items() if key != head}
        if rest and head not in obj:
            return obj
        return {**obj, head: with_value(obj[head], tuple(rest), value) if rest else value}
    if isinstance(obj, list) and isinstance(head, int) and head < len(obj):
        copy = list(obj)
        copy[head] = with_value(obj[head], tuple(rest), value) if rest else value
        return copy
    return obj
