"""A change of one agent, the same for all commands that make one: shown, asked, applied, shown."""

from __future__ import annotations

import json

import click

from moltghost.cli.commands.preflight import show_doubts
from moltghost.cli.options import confirm, is_terminal
from moltghost.cli.session import engine_for
from moltghost.cli.views.agents import print_agents
from moltghost.cli.views.plan import show_plan
from moltghost.cli.views.progress import Progress
from moltghost.cli.views.steps import show_repairs, summary
from moltghost.config import StackName
from moltghost.engines.interface import Result
from moltghost.environments.environment import Environment
from moltghost.kube.agents import AgentStatus, list_agents
from moltghost.lifecycle.agents.apply import apply
from moltghost.lifecycle.agents.change import AgentChange
from moltghost.lifecycle.agents.patch import AgentPatch
from moltghost.lifecycle.agents.prepare import prepare


def change_agent(
    environment: Environment,
    stack: StackName,
    patch: AgentPatch,
    *,
    yes: bool,
    as_json: bool,
    must_exist: bool = False,
) -> None:
    """Prepare a change, show it, ask, apply it, and show what is there then."""
    prepared = prepare(environment, stack, patch, must_exist=must_exist)
    change, missing = prepared.change, prepared.missing
    engine = engine_for(environment.project, environment.name)
    show_doubts(prepared.checks, as_json=as_json)
    if missing and not (missing.can_be_built and (yes or is_terminal())):
        raise missing.refusal()
    if not as_json:
        show_plan(change.plan, change.update, interrupted=change.interrupted)
        if missing:
            click.echo(f"\n{missing.refusal().message}: {missing.command} runs first")
    confirm(_question(change), yes=yes)
    with Progress(quiet=as_json) as progress:
        result = apply(environment, prepared, engine, progress.report)
    [status] = list_agents(environment.client, stack.agent)
    _show(status, result, stack, as_json=as_json)


def _show(status: AgentStatus, result: Result, stack: StackName, *, as_json: bool) -> None:
    for warning in result.warnings:
        click.secho(f"warning: {warning}", fg="yellow", err=True)
    if as_json:
        click.echo(json.dumps({**status.to_json(), "seconds": round(result.seconds, 1)}))
        return
    print_agents([status])
    show_repairs(result)
    click.echo(f"\n{summary(result.counts())}; config: Pulumi.{stack}.yaml")
    click.echo(f"moltghost agent status {stack.agent} shows more")


def _question(change: AgentChange) -> str:
    verb = {"create": "Deploy", "update": "Update", "none": "Bring up"}[change.update.action]
    return f"{verb} {change.stack.agent} in {change.stack.environment}?"
