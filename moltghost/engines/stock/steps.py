"""What one event of the CLI says of a resource: how it is called, and which fields differ."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pulumi.automation.events import (
    DiffKind,
    OpType,
    StepEventMetadata,
    StepEventStateMetadata,
)

from moltghost.engines.interface import SECRET_TEXT, UNKNOWN_TEXT, Change
from moltghost.engines.pulumi.urn import is_provider, name_of
from moltghost.engines.pulumi.values import (
    SECRET_SIGNATURE,
    SIGNATURE_KEY,
    UNKNOWN_WIRE,
    Path,
    format_path,
)

_PATH_STEP = re.compile(r"""\.?(?P<key>[^.\[\]"]+)|\[(?P<index>\d+)\]|\["(?P<quoted>[^"]+)"\]""")
_ADDED = (DiffKind.ADD, DiffKind.ADD_REPLACE)
_REMOVED = (DiffKind.DELETE, DiffKind.DELETE_REPLACE)


def title_of(step: StepEventMetadata) -> str:
    """How people call a resource: ``Deployment agent-x/model-server``."""
    kind = step.type.rsplit(":", 1)[1]
    # What is deleted is called as it was.
    state = step.old if step.op in (OpType.DELETE, OpType.DELETE_REPLACED) else step.new or step.old
    if step.type.startswith("kubernetes:"):
        metadata = metadata_of(state)
        if name := metadata.get("name"):
            space = metadata.get("namespace")
            return f"{kind} {space}/{name}" if space else f"{kind} {name}"
    if step.type == "pulumi:pulumi:StackReference" and state and state.id:
        return f"{kind} {state.id}"
    return f"{kind} {name_of(step.urn)}"


def changes(step: StepEventMetadata) -> tuple[Change, ...]:
    """The fields that differ between the old state and the new one, secrets masked.

    Of an update, those that it changes; of a refresh, from as recorded to as it is now.
    """
    details = step.detailed_diff or {}
    kinds = {path: each.diff_kind for path, each in details.items()} or dict.fromkeys(
        step.diffs or (), DiffKind.UPDATE
    )
    found = []
    for text, kind in kinds.items():
        path = path_of(text)
        # What a secret holds is masked as a whole: only the kind of the change tells of a key.
        before = None if kind in _ADDED else _seen(step.old, path)
        after = None if kind in _REMOVED else _seen(step.new, path)
        found.append(Change(format_path(path), before, after))
    return tuple(found)


def by_hand(refresh: StepEventMetadata) -> tuple[Change, ...]:
    """The fields that a refresh found changed, from as recorded to as they are now.

    The API server leaves out what is empty, false or zero; that such a field is missing is no
    difference.
    """
    return tuple(each for each in changes(refresh) if each.before or each.after)


def replaces(step: StepEventMetadata) -> bool:
    """Whether a field differs that can only be set by a replacement."""
    return any(each.diff_kind.endswith("-replace") for each in (step.detailed_diff or {}).values())


def path_of(text: str) -> Path:
    """One of Pulumi's property paths, e.g. ``spec.containers[0].image``."""
    return tuple(
        int(part["index"]) if part["index"] else part["key"] or part["quoted"]
        for part in _PATH_STEP.finditer(text)
    )


def value_at(properties: Any, path: Path) -> Any:
    """The value at a path, or ``None``; a secret for anything that is inside of one."""
    for part in path:
        if is_secret(properties):
            return properties
        try:
            properties = properties[part]
        except (KeyError, IndexError, TypeError):
            return None
    return properties


def shown(value: Any) -> Any:
    """A value of an event as people may see it."""
    if is_secret(value):
        return SECRET_TEXT
    if isinstance(value, Mapping):
        return {key: shown(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shown(item) for item in value]
    return UNKNOWN_TEXT if value == UNKNOWN_WIRE else value


def is_secret(value: Any) -> bool:
    """Whether a value of an event is a secret, which the CLI has blinded."""
    return isinstance(value, Mapping) and value.get(SIGNATURE_KEY) == SECRET_SIGNATURE


def metadata_of(state: StepEventStateMetadata | None) -> Mapping[str, Any]:
    """The ``metadata`` of a Kubernetes object, as the program gives it."""
    inputs = shown((state.inputs if state else None) or {})
    metadata = inputs.get("metadata")
    return metadata if isinstance(metadata, Mapping) else {}


def is_custom(step: StepEventMetadata) -> bool:
    """Whether it is about a resource of a provider: no component, no provider."""
    state = step.new or step.old
    return bool(state and state.custom) and not is_provider(step.type)


def _seen(state: StepEventStateMetadata | None, path: Path) -> Any:
    """A field as people may see it; providers of AWS' kind know some only from the outputs."""
    if state is None:
        return None
    value = value_at(state.inputs, path)
    return shown(value_at(state.outputs, path) if value is None else value)
