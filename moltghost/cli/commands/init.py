"""`moltghost init`: a project of one's own, for version control."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from moltghost.cli.options import is_terminal, json_option, yes_option
from moltghost.errors import Refused
from moltghost.lifecycle.init.project import (
    NewProject,
    project_files,
    require_free,
    write_project,
)
from moltghost.lifecycle.init.wheel import find_wheel
from moltghost.project import checked_project

_AWS = {
    "account_id": ("--account-id", "AWS account id"),
    "region": ("--region", "AWS region"),
    "zone_ids": ("--zone-id", "Ids of two or three zones, e.g. use1-az4 use1-az6"),
    "admins": ("--admin", "ARNs of the roles that administer the cluster"),
    "monthly_ceiling_usd": ("--ceiling-usd", "USD that it may cost in a month"),
}


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--name", help="The project's name; by default the folder's.")
@click.option("--local/--no-local", default=True, help="With the environment on this machine.")
@click.option("--aws", metavar="ENVIRONMENT", help="With an environment of this name on AWS.")
@click.option("--account-id", help="Account of the environment on AWS.")
@click.option("--region", help="Its region.")
@click.option("--zone-id", "zone_ids", multiple=True, help="Id of a zone; give two or three.")
@click.option("--admin", "admins", multiple=True, help="ARN of a role that administers it.")
@click.option(
    "--deployer", "deployers", multiple=True, help="ARN of a role that deploys --owner's agents."
)
@click.option("--ceiling-usd", "monthly_ceiling_usd", type=int, help="What it may cost a month.")
@click.option(
    "--environment-project",
    "shared",
    type=click.Path(path_type=Path),
    help="Folder of the project whose environments are used; this one then has agents only.",
)
@click.option("--owner", default="team-a", show_default=True, help="Owner of the first agents.")
@click.option(
    "--wheel",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="MoltGhost's wheel; by default the one that was installed.",
)
@yes_option
@json_option
def init(
    folder: Path,
    name: str | None,
    local: bool,
    aws: str | None,
    shared: Path | None,
    owner: str,
    wheel: Path | None,
    yes: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Make FOLDER, a project of your own for version control.

    Asks on a terminal which environments it has; --yes takes the options as they are.

    \b
    Examples:
      moltghost init my-platform
      moltghost init my-platform --no-local --aws dev
      moltghost init team-b --environment-project my-platform
    """
    require_free(folder)
    found = find_wheel(wheel)
    asks = is_terminal() and not (yes or shared)
    if asks:
        local = click.confirm("An environment on this machine, `local`?", default=local, err=True)
        aws = aws or click.prompt("Name of an environment on AWS", default="", err=True)
    new = NewProject(
        name=checked_project(name or folder.resolve().name, "--name"),
        wheel=found,
        owner=owner,
        local=local,
        aws={aws: _aws_spec(options, owner, asks=asks)} if aws else {},
        shared=shared,
    )
    content = project_files(new)
    write_project(folder, content)
    if as_json:
        click.echo(json.dumps({"folder": str(folder), "name": new.name, "files": list(content)}))
        return
    click.echo(f"{folder}: project {new.name}, {len(content)} files")
    click.echo(f"Next: cd {folder}, then what README.md says")


def _aws_spec(options: dict[str, Any], owner: str, *, asks: bool) -> dict[str, Any]:
    """The cloud spec; what no option says is asked for.

    Raises:
        Refused: something is missing, and this is not a terminal.
    """
    missing = [key for key in _AWS if not options[key]]
    if missing and not asks:
        names = ", ".join(_AWS[key][0] for key in missing)
        raise Refused(f"the environment on AWS needs {names}", "add these options")
    spec = {"kind": "cloud", "provider": "aws", **options}
    if options["deployers"]:
        spec["deployers"] = {owner: list(options["deployers"])}
    for key in missing:
        spec[key] = _asked(key)
    values = {
        key: list(value) if isinstance(value, tuple) else value for key, value in spec.items()
    }
    return {key: value for key, value in values.items() if value}


def _asked(key: str) -> Any:
    answer: str = click.prompt(_AWS[key][1], err=True)
    if key in ("zone_ids", "admins"):
        return answer.replace(",", " ").split()
    return int(answer) if key == "monthly_ceiling_usd" and answer.isdigit() else answer
