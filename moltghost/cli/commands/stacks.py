"""`moltghost plan`, `preview`, `up` and `down`: environments and single stacks."""

from __future__ import annotations

import json
from typing import Any

import click

from moltghost.cli.change import change_agent
from moltghost.cli.commands.drift import drift_json, show_drift
from moltghost.cli.commands.preflight import show_cost, show_doubts
from moltghost.cli.options import confirm, engine_option, json_option, project_folder, yes_option
from moltghost.cli.session import engine_for
from moltghost.cli.views.plan import show_plan, show_platform, show_price
from moltghost.cli.views.progress import Progress
from moltghost.cli.views.steps import preview_json, show_preview, show_repairs, summary
from moltghost.config import StackName
from moltghost.engines.interface import Drift, Preview, Result
from moltghost.environments.environment import Environment
from moltghost.environments.factory import open_environment
from moltghost.errors import Refused
from moltghost.lifecycle.agents.change import plan_as_written
from moltghost.lifecycle.agents.patch import AgentPatch
from moltghost.lifecycle.agents.preflight import passed
from moltghost.lifecycle.layers import bring_up, take_down
from moltghost.planning.update import plan_json
from moltghost.project import read_project, require_environments


@click.command()
@click.argument("stack")
@json_option
@click.pass_context
def plan(ctx: click.Context, stack: str, as_json: bool) -> None:
    """Show what STACK will be: all decisions, without asking a cluster or a cloud.

    \b
    Examples:
      moltghost plan my-agent.local
      moltghost plan platform.local --json
    """
    name = StackName.parse(stack)
    environment = open_environment(project_folder(ctx), name.environment)
    if name.layer == "agent":
        change = plan_as_written(environment, name)
        if as_json:
            click.echo(json.dumps(plan_json(change.plan, change.update)))
        else:
            show_plan(change.plan, change.update, interrupted=change.interrupted)
        return
    if as_json:
        click.echo(environment.platform.model_dump_json())
        return
    show_platform(environment.platform)
    _show_price(environment, name)


@click.command()
@click.argument("stack")
@json_option
@engine_option
@click.option("--diff", is_flag=True, help="Show each changed field.")
@click.option("--refresh", is_flag=True, help="Show manual changes first.")
@click.pass_context
def preview(ctx: click.Context, stack: str, diff: bool, refresh: bool, as_json: bool) -> None:
    """Show what `up` would create, change and delete. Changes nothing.

    \b
    Examples:
      moltghost preview my-agent.local --diff
      moltghost preview my-agent.local --refresh
      moltghost preview local
    """
    project, name = project_folder(ctx), StackName.parse(stack)
    engine = engine_for(project, name.environment)
    environment = open_environment(project, name.environment)
    if name.layer != "agent":
        environment.require_started()
    names = environment.stacks if name.layer == "cloud" else (name,)
    with Progress(quiet=True) as progress:
        known = {each.name for each in engine.stacks()} if refresh else set()
        drifts = {
            str(each): engine.drift(str(each), report=progress.report)
            for each in names
            if str(each) in known
        }
        if not as_json:
            for drift in drifts.values():  # before what may be refused
                show_drift(drift)
        found = [engine.preview(str(each), report=progress.report) for each in names]
    if as_json:
        click.echo(json.dumps([_preview_json(each, drifts.get(each.stack)) for each in found]))
        return
    for each in found:
        show_preview(each, diff=diff)
    _show_price(environment, name)


def _show_price(environment: Environment, name: StackName) -> None:
    """What the stack costs: an agent's node, or an environment that is empty and full."""
    if name.layer == "agent":
        show_price(plan_as_written(environment, name).plan)
        return
    if cost := environment.cost_at_most():
        show_cost(cost)


@click.command()
@click.argument("stack", default="local")
@yes_option
@engine_option
@json_option
@click.pass_context
def up(ctx: click.Context, stack: str, yes: bool, as_json: bool) -> None:
    """Bring up an environment, or one stack, as its config says.

    STACK is an environment (local), its platform (platform.local) or an agent's stack
    (my-agent.local). An interrupted change of an agent is taken up again.

    \b
    Examples:
      moltghost up local
      moltghost up my-agent.local --yes
    """
    project, name = project_folder(ctx), StackName.parse(stack)
    environment = open_environment(project, name.environment)
    if name.layer == "agent":
        change_agent(environment, name, AgentPatch(), yes=yes, as_json=as_json, must_exist=True)
        return
    require_environments(read_project(project), f"environment {name.environment}")
    engine = engine_for(project, name.environment)
    if not as_json and name.layer == "cloud":
        show_platform(environment.platform)
    show_doubts(passed(environment.check_before_up()), as_json=as_json)
    names = environment.stacks if name.layer == "cloud" else (name,)
    confirm(f"Bring up {', then '.join(str(each) for each in names)}?", yes=yes)

    def show(each: StackName, result: Result) -> None:
        if not as_json:
            click.echo(f"{each}: {summary(result.counts())}")
            show_repairs(result)

    with Progress(quiet=as_json) as progress:
        results = bring_up(environment, names, engine, progress.report, show)
    if as_json:
        click.echo(json.dumps([_result_json(each) for each in results]))


@click.command()
@click.argument("environment")
@yes_option
@engine_option
@json_option
@click.pass_context
def down(ctx: click.Context, environment: str, yes: bool, as_json: bool) -> None:
    """Take an environment down; refused while it has agents.

    On AWS its nodes go first, and EC2 is asked whether any is left. What is protected stays: keys,
    weights and the cluster itself; docs/runbooks/aws-remove.md removes them for good.

    \b
    Example:
      moltghost down local
    """
    project = project_folder(ctx)
    name = StackName.parse(environment)
    if name.layer != "cloud":
        raise Refused(
            f"{environment} isn't an environment",
            f"moltghost down {name.environment}; moltghost agent destroy removes an agent",
        )
    require_environments(read_project(project), f"environment {environment}")
    opened, engine = open_environment(project, environment), engine_for(project, environment)
    opened.require_no_agents(engine)
    confirm(f"Take environment {environment} down?", yes=yes)
    with Progress(quiet=as_json) as progress:
        went = take_down(opened, engine, progress.report)
    if as_json:
        click.echo(
            json.dumps({"removed": went.removed, "kept": went.kept, "notes": list(went.notes)})
        )
        return
    click.echo(f"environment {environment} is {'down' if went.kept else 'gone'}")
    for line in (went.kept, *went.notes):
        if line:
            click.echo(line)


@click.command()
@click.argument("environment", default="local")
@click.pass_context
def kubeconfig(ctx: click.Context, environment: str) -> None:
    """Print the path of an environment's kubeconfig; on AWS, write it first.

    It doesn't contain a credential: on AWS each use asks `aws eks get-token` for one.

    \b
    Example:
      kubectl --kubeconfig "$(moltghost kubeconfig dev)" get nodes
    """
    project = project_folder(ctx)
    name = StackName.parse(environment)
    if name.layer != "cloud":
        raise Refused(
            f"{environment} isn't an environment", f"moltghost kubeconfig {name.environment}"
        )
    opened, engine = open_environment(project, environment), engine_for(project, environment)
    click.echo(opened.kubeconfig(engine))


def _preview_json(preview: Preview, drift: Drift | None) -> dict[str, Any]:
    return {**preview_json(preview), **({"drift": drift_json(drift)} if drift else {})}


def _result_json(result: Result) -> dict[str, Any]:
    return {
        "stack": result.stack,
        "seconds": round(result.seconds, 1),
        "changes": {str(op): count for op, count in result.counts().items()},
        "repaired": [step.title for step in result.steps if step.repairs],
    }
