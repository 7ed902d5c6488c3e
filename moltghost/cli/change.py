"""A change of one agent, the same for deploy, update, scale and up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from moltghost.cli.commands.preflight import show_doubts
from moltghost.cli.options import confirm, is_terminal
from moltghost.cli.session import engine_for
from moltghost.cli.views.agents import print_agents
from moltghost.cli.views.plan import show_plan
from moltghost.cli.views.progress import Progress
from moltghost.cli.views.steps import show_repairs, summary
from moltghost.config import StackName, read_environment
from moltghost.kube.agents import list_agents
from moltghost.lifecycle.agents.apply import carry_out
from moltghost.lifecycle.agents.prepare import AgentChange, check, propose, running_agent
from moltghost.lifecycle.agents.project import require_own
from moltghost.lifecycle.environments import connect
from moltghost.lifecycle.preflight import require_change
from moltghost.lifecycle.weights.build import add
from moltghost.lifecycle.weights.missing import Missing, missing_store
from moltghost.lifecycle.weights.source import Request
from moltghost.progress import Report


def change_agent(
    project: Path,
    stack: StackName,
    values: dict[str, Any],
    *,
    yes: bool,
    as_json: bool,
    must_exist: bool = False,
) -> None:
    """Plan, check, show, ask, carry out, and show what is there then."""
    # The plan first: what is wrong with it needs no cluster to be said.
    propose(project, stack, values, running=None, must_exist=must_exist)
    client = connect(project, stack.environment)
    require_own(project, stack, client)
    change = propose(
        project,
        stack,
        values,
        running=running_agent(client, stack),
        must_exist=must_exist,
    )
    check(change, client)
    engine = engine_for(project, stack.environment)
    environment = read_environment(project, stack.environment)
    if environment.cloud.provider == "aws":
        show_doubts(require_change(change, environment), as_json=as_json)
    missing = missing_store(change)
    if missing and not (missing.can_be_built and (yes or is_terminal())):
        raise missing.refusal()
    if not as_json:
        show_plan(change.plan, change.update, interrupted=change.interrupted)
        if missing:
            click.echo(f"\n{missing.refusal().message}: {missing.command} runs first")
    confirm(_question(change), yes=yes)
    with Progress(quiet=as_json) as progress:
        if missing:
            _build_store(change, missing, progress.report)
        result = carry_out(change, engine, progress.report)
    [status] = list_agents(client, stack.agent)
    for warning in result.warnings:
        click.secho(f"warning: {warning}", fg="yellow", err=True)
    if as_json:
        click.echo(json.dumps({**status.to_json(), "seconds": round(result.seconds, 1)}))
        return
    print_agents([status])
    show_repairs(result)
    click.echo(f"\n{summary(result.counts())}; config: Pulumi.{stack}.yaml")
    click.echo(f"moltghost agent status {stack.agent} shows more")


def _build_store(change: AgentChange, missing: Missing, report: Report) -> None:
    """What the agent's pod will copy has to be there first."""
    add(change.project, missing.environment, Request(model=missing.choice.name), report)


def _question(change: AgentChange) -> str:
    verb = {"create": "Deploy", "update": "Update", "none": "Bring up"}[change.update.action]
    return f"{verb} {change.stack.agent} in {change.stack.environment}?"
