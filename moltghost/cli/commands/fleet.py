"""`moltghost fleet ...`: many agents from one file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from moltghost.cli.commands.preflight import show_doubts
from moltghost.cli.options import confirm, json_option, project_folder, yes_option
from moltghost.cli.session import engine_for, engines_of
from moltghost.cli.views.fleet import fleet_json, outcomes_json, show_fleet, show_outcomes
from moltghost.cli.views.fleet_progress import FleetProgress
from moltghost.config import StackName
from moltghost.config_fleet import Fleet, read_fleet
from moltghost.environments.environment import Environment
from moltghost.environments.factory import open_environment
from moltghost.errors import ExitCode, Refused
from moltghost.lifecycle.fleets.jobs import Job, Outcome, Tools
from moltghost.lifecycle.fleets.plan import FleetPlan, deployed, plan_fleet
from moltghost.lifecycle.fleets.run import run_jobs

F = TypeVar("F", bound=Callable[..., Any])

_file = click.argument("file", type=click.Path(path_type=Path))
_env = click.option(
    "-e",
    "--env",
    "environment",
    envvar="MOLTGHOST_ENV",
    help="Environment of the agents, if the file doesn't say; else local.",
)
_parallel = click.option(
    "--parallel",
    type=click.IntRange(1, 64),
    default=16,
    show_default=True,
    help="Agents that are changed side by side.",
)


@click.group()
def fleet() -> None:
    """Deploy, update and destroy many agents from one file."""


@fleet.command("apply")
@_file
@click.option("--dry-run", is_flag=True, help="Show every plan, the price and what it needs.")
@click.option("--prune", is_flag=True, help="Destroy this project's agents that aren't in FILE.")
@click.option("--delete-data", is_flag=True, help="With --prune: their data too, for good.")
@_parallel
@_env
@yes_option
@json_option
@click.pass_context
def apply_command(
    ctx: click.Context,
    file: Path,
    dry_run: bool,
    prune: bool,
    delete_data: bool,
    parallel: int,
    environment: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Deploy or update every agent of FILE, in parallel.

    All of it is checked before anything changes. An agent that fails doesn't stop the
    others. Run it again to continue after an interruption: agents that already match FILE stay as
    they are, and manual changes are undone. Without --prune, agents that aren't in FILE are left
    alone.

    \b
    Examples:
      moltghost fleet apply agents.yaml --dry-run
      moltghost fleet apply agents.yaml --parallel 32 --yes
      moltghost fleet apply agents.yaml --prune
    """
    if delete_data and not prune:
        raise Refused("--delete-data is about agents that --prune destroys", "add --prune")
    described = _read(file, environment)
    opened = open_environment(project_folder(ctx), described.environment)
    plan = plan_fleet(opened, described, parallel=parallel)
    pruned = plan.others if prune else ()
    show_doubts(plan.checks, as_json=as_json)
    if not as_json:
        show_fleet(plan, pruned, delete_data=delete_data)
    if dry_run:
        if as_json:
            click.echo(json.dumps(fleet_json(plan, pruned)))
        return
    confirm(_question(plan, [each.agent for each in pruned], delete_data), yes=yes)
    jobs = [Job.of(each) for each in plan.prepared]
    jobs += [
        Job(stack=StackName.of_agent(each.agent, described.environment), delete_data=delete_data)
        for each in pruned
    ]
    _carry_out(ctx, opened, jobs, parallel, as_json)


@fleet.command("destroy")
@_file
@click.option("--delete-data", is_flag=True, help="Remove namespaces and volumes too, for good.")
@_parallel
@_env
@yes_option
@json_option
@click.pass_context
def destroy_command(
    ctx: click.Context,
    file: Path,
    delete_data: bool,
    parallel: int,
    environment: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Destroy the agents of FILE. Their namespaces and volumes stay without --delete-data.

    \b
    Example:
      moltghost fleet destroy agents.yaml --delete-data
    """
    described = _read(file, environment)
    opened = open_environment(project_folder(ctx), described.environment)
    known = [each.name for each in engine_for(opened.project, opened.name).stacks()]
    names = deployed(described.agents, known, described.environment)
    if not names:
        raise Refused(
            f"none of the {len(described.agents)} agents in {file} is deployed",
            "moltghost agent list shows what is there",
        )
    what = "and their memory, for good" if delete_data else "(namespaces and volumes stay)"
    confirm(f"Destroy {_some(names)} in {described.environment} {what}?", yes=yes)
    jobs = [
        Job(stack=StackName.of_agent(name, described.environment), delete_data=delete_data)
        for name in names
    ]
    _carry_out(ctx, opened, jobs, parallel, as_json)


def _read(file: Path, environment: str | None) -> Fleet:
    return read_fleet(file, environment)


def _question(plan: FleetPlan, pruned: list[str], delete_data: bool) -> str:
    counts = {
        verb: len([each for each in plan.changes if each.update.action == action])
        for verb, action in (("Deploy", "create"), ("update", "update"), ("bring up", "none"))
    }
    parts = [f"{verb} {count}" for verb, count in counts.items() if count]
    where = plan.environment.name
    question = f"{', '.join(parts)} agent{'' if len(plan.changes) == 1 else 's'} in {where}"
    if pruned:
        what = "and their memory, for good" if delete_data else "(namespaces and volumes stay)"
        question += f", and destroy {_some(pruned)} {what}"
    return f"{question[0].upper()}{question[1:]}?"


def _some(names: list[str] | tuple[str, ...], limit: int = 10) -> str:
    """``3 agents (a, b, c)``; of many, the first."""
    shown = ", ".join(names[:limit]) + (", ..." if len(names) > limit else "")
    return f"{len(names)} agent{'' if len(names) == 1 else 's'} ({shown})"


def _carry_out(
    ctx: click.Context,
    environment: Environment,
    jobs: list[Job],
    parallel: int,
    as_json: bool,
) -> None:
    engines = engines_of(environment.name)
    tools = Tools(environment=environment, engine_for=engines)
    names = [job.stack.agent for job in jobs]
    with FleetProgress(names, quiet=as_json) as progress:
        outcomes, left = run_jobs(jobs, tools, parallel=parallel, watch=progress.watch)
    unbegun = [job.stack.agent for job in left]
    if as_json:
        click.echo(json.dumps(outcomes_json(environment.name, outcomes, unbegun)))
    else:
        show_outcomes(outcomes, unbegun)
    ctx.exit(_exit_code(outcomes, left))


def _exit_code(outcomes: list[Outcome], left: list[Job]) -> ExitCode:
    good = not left and all(each.succeeded for each in outcomes)
    return ExitCode.DONE if good else ExitCode.FAILED
