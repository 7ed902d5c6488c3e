"""`moltghost plan`, `preview`, `up` and `down`: environments and single stacks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from moltghost.cli.options import (
    confirm,
    engine_for,
    engine_option,
    json_option,
    project_folder,
    yes_option,
)
from moltghost.config import Environment, StackName, read_environment
from moltghost.errors import Refused

if TYPE_CHECKING:
    from moltghost.engines.interface import Engine, Result


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
    from moltghost.cli.plan_view import show_plan, show_platform
    from moltghost.lifecycle.proposal import propose
    from moltghost.planning.platform import plan_platform
    from moltghost.planning.update import plan_json

    project, name = project_folder(ctx), StackName.parse(stack)
    if name.layer == "agent":
        change = propose(project, name, {}, running=None, must_exist=True)
        if as_json:
            click.echo(json.dumps(plan_json(change.plan, change.update)))
        else:
            show_plan(change.plan, change.update, interrupted=change.interrupted)
        return
    environment = read_environment(project, name.environment)
    platform = plan_platform(environment)
    if as_json:
        click.echo(platform.model_dump_json())
        return
    show_platform(platform)
    if environment.cloud.provider == "aws":
        from moltghost.cli.preflight import show_cost
        from moltghost.lifecycle.preflight import cost_at_most

        if cost := cost_at_most(project, name.environment):
            show_cost(cost)


@click.command()
@click.argument("stack")
@json_option
@engine_option
@click.option("--diff", is_flag=True, help="Show each changed field.")
@click.pass_context
def preview(ctx: click.Context, stack: str, diff: bool, as_json: bool) -> None:
    """Show what `up` would create, change and delete. Changes nothing.

    \b
    Examples:
      moltghost preview my-agent.local --diff
      moltghost preview local
    """
    from moltghost.cli.live import Progress
    from moltghost.cli.steps_view import preview_json, show_preview
    from moltghost.lifecycle.environments import is_embedded, layer_stacks

    project, name = project_folder(ctx), StackName.parse(stack)
    engine = engine_for(project, name.environment)
    if name.layer != "agent":
        environment = read_environment(project, name.environment)
        if is_embedded(environment):
            _require_cluster(name.environment)
    names = layer_stacks(name.environment) if name.layer == "cloud" else (name,)
    with Progress(quiet=True) as progress:
        found = [engine.preview(str(each), report=progress.report) for each in names]
    if as_json:
        click.echo(json.dumps([preview_json(each) for each in found]))
        return
    for each in found:
        show_preview(each, diff=diff)


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
    from moltghost.cli.change import change_agent
    from moltghost.lifecycle.environments import layer_stacks

    project, name = project_folder(ctx), StackName.parse(stack)
    if name.layer == "agent":
        change_agent(project, name, {}, yes=yes, as_json=as_json, must_exist=True)
        return
    environment = read_environment(project, name.environment)
    engine = engine_for(project, name.environment)
    if not as_json and name.layer == "cloud":
        from moltghost.cli.plan_view import show_platform
        from moltghost.planning.platform import plan_platform

        show_platform(plan_platform(environment))
    if environment.cloud.provider == "aws":
        from moltghost.cli.preflight import show_doubts
        from moltghost.lifecycle.preflight import require_environment

        show_doubts(require_environment(environment), as_json=as_json)
    names = layer_stacks(name.environment) if name.layer == "cloud" else (name,)
    confirm(f"Bring up {', then '.join(str(each) for each in names)}?", yes=yes)
    results = _bring_up(engine, environment, names, as_json)
    if as_json:
        click.echo(json.dumps([_result_json(each) for each in results]))


def _bring_up(
    engine: Engine, environment: Environment, names: tuple[StackName, ...], as_json: bool
) -> list[Result]:
    from moltghost.cli.live import Progress
    from moltghost.cli.steps_view import summary
    from moltghost.lifecycle.environments import is_embedded

    results = []
    with Progress(quiet=as_json) as progress:
        if is_embedded(environment):
            from moltghost.local.cluster import EmbeddedCluster

            EmbeddedCluster(report=progress.report).up()
        for each in names:
            result = engine.up(str(each), report=progress.report)
            results.append(result)
            if not as_json:
                click.echo(f"{each}: {summary(result.counts())}")
    return results


@click.command()
@click.argument("environment")
@yes_option
@engine_option
@json_option
@click.pass_context
def down(ctx: click.Context, environment: str, yes: bool, as_json: bool) -> None:
    """Take an environment down; refused while it has agents.

    \b
    Example:
      moltghost down local
    """
    from moltghost.cli.live import Progress
    from moltghost.lifecycle.environments import is_embedded, layer_stacks, refuse_while_agents

    project = project_folder(ctx)
    name = StackName.parse(environment)
    if name.layer != "cloud":
        raise Refused(
            f"{environment} is no environment",
            f"moltghost down {name.environment}; moltghost agent destroy removes an agent",
        )
    spec, engine = read_environment(project, environment), engine_for(project, environment)
    refuse_while_agents(engine, environment)
    confirm(f"Take environment {environment} down?", yes=yes)
    known = {each.name for each in engine.stacks()}
    removed: list[str] = []
    with Progress(quiet=as_json) as progress:
        for each in reversed(layer_stacks(environment)):
            if str(each) in known:
                result = engine.destroy(str(each), keep_protected=False, report=progress.report)
                removed += [step.title or step.name for step in result.steps]
    if is_embedded(spec):
        from moltghost.lifecycle.embedded import remove_cluster
        from moltghost.local.cluster import EmbeddedCluster

        removed += remove_cluster(EmbeddedCluster())
    click.echo(
        json.dumps({"removed": removed}) if as_json else f"environment {environment} is gone"
    )


def _require_cluster(environment: str) -> None:
    from moltghost import paths

    if not paths.kubeconfig().is_file():
        raise Refused(
            f"the cluster of environment {environment} isn't running",
            "moltghost local up starts it",
        )


def _result_json(result: Result) -> dict[str, Any]:
    return {
        "stack": result.stack,
        "seconds": round(result.seconds, 1),
        "changes": {str(op): count for op, count in result.counts().items()},
    }
