"""Stack config files: edited without losing a comment, replaced in one step, pending until proven.

A change of an agent is first written to a pending file. Only when the engine has carried it out and
the model is proven does it become the stack's config. A kill in between leaves both files.
"""

from __future__ import annotations

from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from moltghost.config import SPEC_KEY, AgentSpec, StackName, stack_file
from moltghost.files import move_into_place, write_text

_PENDING_DIR = Path(".moltghost/pending")
_LOCK_DIR = Path(".moltghost/locks")
_HEADER = "# Written by `moltghost deploy`; edit it as you like, comments are kept.\n"


def pending_file(project: Path, stack: StackName) -> Path:
    """Where a change waits until it is proven."""
    return project / _PENDING_DIR / stack_file(project, stack).name


def lock_file(project: Path, stack: StackName) -> Path:
    """The lock that whoever changes the stack's files holds."""
    return project / _LOCK_DIR / f"{stack}.lock"


def write_pending(project: Path, stack: StackName, spec: AgentSpec) -> Path:
    """Write ``spec`` beside the stack's config, with everything else that the config has."""
    current = stack_file(project, stack)
    document = _yaml().load(current) if current.is_file() else None
    if document is None:
        document = _yaml().load(f"{_HEADER}config:\n  {SPEC_KEY}: {{}}\n")
        document["config"][SPEC_KEY] = {}
    _merge(document["config"][SPEC_KEY], spec.as_written())
    return write_text(pending_file(project, stack), _text(document), durable=True)


def write_value(project: Path, stack: StackName, key: str, value: Mapping[str, Any]) -> None:
    """Write one key of a stack's spec into its config, which must be there."""
    file = stack_file(project, stack)
    document = _yaml().load(file)
    spec = document["config"][SPEC_KEY]
    if isinstance(spec.get(key), Mapping):
        _merge(spec[key], value)
    else:
        spec[key] = dict(value)
    write_text(file, _text(document), durable=True)


def _yaml() -> YAML:
    yaml = YAML()
    yaml.preserve_quotes = True
    return yaml


def _text(document: Any) -> str:
    text = StringIO()
    _yaml().dump(document, text)
    return text.getvalue()


def pending_text(project: Path, stack: StackName) -> str | None:
    """The pending file as it is, or None."""
    file = pending_file(project, stack)
    return file.read_text(encoding="utf-8") if file.is_file() else None


def restore_pending(project: Path, stack: StackName, text: str | None) -> None:
    """Make the pending file what it was before a change that was refused."""
    if text is None:
        discard_pending(project, stack)
    else:
        write_text(pending_file(project, stack), text, durable=True)


def commit_pending(project: Path, stack: StackName) -> None:
    """Make the pending file the stack's config."""
    # A power loss may take the move back; then both files are there, as after a kill.
    move_into_place(pending_file(project, stack), stack_file(project, stack), durable=False)


def discard_pending(project: Path, stack: StackName) -> None:
    """Forget a change that was not carried out."""
    pending_file(project, stack).unlink(missing_ok=True)


def _merge(target: Any, values: Mapping[str, Any]) -> None:
    """Make ``target`` equal to ``values`` in place, so that comments and order stay."""
    for key in [key for key in target if key not in values]:
        del target[key]
    for key, value in values.items():
        if isinstance(value, Mapping) and isinstance(target.get(key), Mapping):
            _merge(target[key], value)
        elif target.get(key) != value:
            target[key] = value
