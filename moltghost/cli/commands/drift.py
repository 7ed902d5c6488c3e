"""`moltghost drift`: what somebody changed by hand."""

from __future__ import annotations

import json
from typing import Any

import click

from moltghost.cli.options import engine_option, env_option, json_option, project_folder
from moltghost.cli.session import engine_for
from moltghost.cli.views.progress import Progress
from moltghost.cli.views.steps import short
from moltghost.config import StackName
from moltghost.engines.interface import Drift, DriftedField, DriftedObject
from moltghost.errors import ExitCode, Refused

_SAYS = {
    "gone": "was deleted",
    "replaced": "is another object than ours",
    "stranger": "isn't ours",
    "changed": "was changed",
}
_SIGNS = {"gone": ("-", "red"), "changed": ("~", "yellow")}


@click.command()
@click.argument("stack", required=False)
@env_option
@json_option
@engine_option
@click.pass_context
def drift(ctx: click.Context, stack: str | None, environment: str, as_json: bool) -> None:
    """Show manual changes since the last `up`. Changes nothing.

    Shows each changed field, with who changed it and when if the API server recorded that; deleted
    objects; and objects that others created in MoltGhost's namespaces. Without STACK, checks every
    stack of the environment. Exits with 1 if there is drift.

    \b
    Examples:
      moltghost drift my-agent.local
      moltghost drift --json
    """
    asked = StackName.parse(stack) if stack else None
    environment = asked.environment if asked else environment
    engine = engine_for(project_folder(ctx), environment)
    known = [StackName.parse(each.name) for each in engine.stacks()]
    names = [str(each) for each in ([asked] if asked else known) if each.environment == environment]
    if not names:
        raise Refused("there is no stack yet", "moltghost up local makes the first ones")
    with Progress(quiet=True) as progress:
        found = [engine.drift(name, report=progress.report) for name in names]
    if as_json:
        click.echo(json.dumps([drift_json(each) for each in found]))
    else:
        for each in found:
            show_drift(each)
    ctx.exit(ExitCode.FAILED if any(each.objects for each in found) else ExitCode.DONE)


def show_drift(found: Drift) -> None:
    """Print how one stack's cluster differs from what was applied."""
    click.secho(found.stack, bold=True)
    for each in found.objects:
        sign, color = _SIGNS.get(each.state, ("?", "magenta"))
        by = f", made by {each.by}" if each.by else ""
        click.echo(f"  {click.style(f'{sign} {each.title}', fg=color)} {_SAYS[each.state]}{by}")
        for one in each.fields:
            click.echo(f"      {_field(one)}")
    click.echo(f"  {_summary(found)}")


def _field(one: DriftedField) -> str:
    if one.recorded is None and one.live is not None:
        text = f"{one.path}: {short(one.live)} was added"
    else:
        text = f"{one.path}: {short(one.recorded)} -> {short(one.live)}"
    by = f" by {one.by}" if one.by else ""
    return f"{text}{by}{'' if one.undone else ', which up leaves'}"


def _summary(found: Drift) -> str:
    if not found.objects:
        return f"{found.checked} objects are as they were applied"
    whole = sum(each.undone for each in found.objects)
    partly = sum(each.undone_in_part for each in found.objects)
    left = len(found.objects) - whole - partly
    counts = [*([f"{whole}"] if whole else []), *([f"{partly} in part"] if partly else [])]
    parts = [f"moltghost up {found.stack} sets right {' and '.join(counts)}"] if counts else []
    if left:
        parts.append(f"{left} {'is' if left == 1 else 'are'} left to you")
    return f"{len(found.objects)} of {found.checked} objects and strangers: {'; '.join(parts)}"


def drift_json(found: Drift) -> dict[str, Any]:
    """The same for machines."""
    return {
        "stack": found.stack,
        "drift": bool(found.objects),
        "checked": found.checked,
        "objects": [_object_json(each) for each in found.objects],
    }


def _object_json(each: DriftedObject) -> dict[str, Any]:
    return {
        "object": each.title,
        "state": each.state,
        "by": each.by,
        "undone_by_up": each.undone,
        "fields": [
            {
                "path": one.path,
                "recorded": one.recorded,
                "live": one.live,
                "by": one.by,
                "undone_by_up": one.undone,
            }
            for one in each.fields
        ],
    }
