"""What an engine will do or did, resource by resource."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import click

from moltghost.engines.interface import Op, Preview, Result

_SIGNS = {
    "create": ("+", "green"),
    "update": ("~", "yellow"),
    "replace": ("+-", "magenta"),
    "delete": ("-", "red"),
}

# A note on so many lines is said once, below them.
_OFTEN = 5


def summary(counts: Mapping[Op, int]) -> str:
    """``3 to create, 1 same`` as one line."""
    words = {"create": "created", "update": "changed", "replace": "replaced", "delete": "deleted"}
    parts = [f"{count} {words[op]}" for op, count in counts.items() if op in words]
    return ", ".join(parts) or "nothing to change"


def show_preview(preview: Preview, *, diff: bool) -> None:
    """Print the changes of one stack."""
    click.secho(preview.stack, bold=True)
    shown = [step for step in preview.steps if step.op in _SIGNS and step.custom]
    often = _often(step.note for step in shown)
    for step in shown:
        sign, color = _SIGNS[step.op]
        note = f"  ({step.note})" if step.note and step.note not in often else ""
        click.echo(click.style(f"  {sign:2} {step.title or step.name}", fg=color) + note)
        if diff:
            for change in step.diff:
                click.echo(f"       {change.path}: {short(change.before)} -> {short(change.after)}")
    for warning in preview.warnings:
        click.secho(f"  warning: {warning}", fg="yellow")
    for note, count in often.items():
        click.echo(f"  {count} of these: {note}")
    if preview.needs_stock:
        click.echo(
            f"  up needs the stock Pulumi CLI: {_packages(preview.needs_stock)} "
            "can only be previewed here"
        )
    for stack in preview.needs_stacks:
        click.echo(
            f"  stack {stack} doesn't exist yet: what this one reads of it is [unknown] until then"
        )
    unchanged = preview.counts().get("same", 0)  # type: ignore[call-overload]  # Op is a str
    click.echo(f"  {summary(preview.counts())}; {unchanged} unchanged")


def _often(notes: Iterable[str]) -> dict[str, int]:
    """Notes that would bury the lines they stand on, and how many they are about."""
    counted = Counter(note for note in notes if note)
    return {note: count for note, count in counted.items() if count >= _OFTEN}


def _packages(types: Iterable[str]) -> str:
    """``53 types of aws, 1 type of kubernetes``: all names are in the JSON."""
    counted = Counter(each.partition(":")[0] for each in types)
    return ", ".join(
        f"{count} type{'' if count == 1 else 's'} of {name}" for name, count in counted.items()
    )


def show_repairs(result: Result) -> None:
    """Say what was done by hand and is set right now."""
    for step in result.steps:
        if not step.repairs:
            continue
        click.echo(f"repaired {step.title}: {step.note}")
        for change in step.undone:
            click.echo(f"  {change.path}: {short(change.before)} -> {short(change.after)}")


def preview_json(preview: Preview) -> dict[str, Any]:
    """The changes of one stack for machines."""
    return {
        "stack": preview.stack,
        "changes": preview.changes,
        "counts": {str(op): count for op, count in preview.counts().items()},
        "steps": [
            {
                "op": str(step.op),
                "type": step.type,
                "name": step.name,
                "object": step.title,
                "note": step.note,
                "diff": [
                    {"path": change.path, "before": change.before, "after": change.after}
                    for change in step.diff
                ],
            }
            for step in preview.steps
            if step.custom
        ],
        "outputs": dict(preview.outputs),
        "warnings": list(preview.warnings),
        "needs_stock": list(preview.needs_stock),
        "needs_stacks": list(preview.needs_stacks),
    }


def short(value: Any) -> str:
    """A value of a field in one line."""
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    text = "absent" if value is None else text.replace("\n", "\\n")
    return text if len(text) <= 120 else f"{text[:117]}..."
