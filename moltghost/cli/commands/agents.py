"""`moltghost deploy` and `moltghost agent ...`."""

from __future__ import annotations

import getpass
import json
import re
import time
from collections.abc import Callable
from typing import Any, TypeVar

import click

from moltghost.cli.change import change_agent
from moltghost.cli.commands.models_add import settle_model
from moltghost.cli.options import (
    confirm,
    engine_option,
    env_option,
    is_terminal,
    json_option,
    project_folder,
    usd_per_hour,
    yes_option,
)
from moltghost.cli.proposal import propose
from moltghost.cli.session import engine_for
from moltghost.cli.views.agents import agent_facts, print_agents
from moltghost.cli.views.progress import Progress
from moltghost.config import StackName, stack_file
from moltghost.environments.environment import Environment
from moltghost.environments.factory import open_environment
from moltghost.errors import Refused
from moltghost.kube.agents import list_agents
from moltghost.lifecycle.agents.apply import destroy as destroy_agent
from moltghost.lifecycle.agents.apply import require_deployed
from moltghost.lifecycle.agents.change import no_such_agent
from moltghost.lifecycle.agents.patch import AgentPatch
from moltghost.sizing.request import DEFAULT_CONTEXT
from moltghost.units import format_context

F = TypeVar("F", bound=Callable[..., Any])
_WATCH_SECONDS = 1.0


def _model_options(function: F) -> F:
    """Options that say what an agent runs and on what."""
    for option in reversed(
        (
            click.option(
                "--model",
                help="E.g. llama3.1-70b-q4, hf:OWNER/REPO:QUANT, ollama:NAME:TAG.",
            ),
            click.option("--context", help="Tokens of context, e.g. 32k."),
            click.option("--parallel", type=int, help="Requests served side by side."),
            click.option(
                "--kv-cache", type=click.Choice(["f16", "q8_0", "q4_0"]), help="Type of KV cache."
            ),
            click.option("--gpu", help="GPU kind, e.g. h100; `auto` lets the sizing choose."),
            click.option("--memory", help="GPU memory in total, e.g. 160gb; or `auto`."),
            click.option(
                "--sharing",
                type=click.Choice(["dedicated", "owner"]),
                help="`owner`: agents of one owner may share an 8-GPU node.",
            ),
            click.option("--owner", help="Who answers for the agent and its cost."),
            click.option(
                "--strategy",
                type=click.Choice(["surge", "in-place"]),
                help="How to change a running model server: without a gap, or with one.",
            ),
        )
    ):
        function = option(function)
    return function


@click.command()
@click.argument("name")
@_model_options
@click.option("--within", metavar="USD", help="Without --model: what its node may cost an hour.")
@env_option
@yes_option
@engine_option
@json_option
@click.pass_context
def deploy(
    ctx: click.Context,
    /,
    name: str,
    within: str | None,
    environment: str,
    yes: bool,
    as_json: bool,
    **values: Any,
) -> None:
    """Deploy agent NAME, or change it if it is there.

    A new agent without --model is offered the recommended models that the environment can run.

    \b
    Examples:
      moltghost deploy my-agent --model llama3.1-70b-q4 --context 32k
      moltghost deploy my-agent --model qwen2.5-7b-q4 --env prod --owner team-b --yes
      moltghost deploy my-agent --gpu l40s --within 2
      moltghost deploy my-agent --model hf:unsloth/Qwen3-Coder-Next-GGUF:Q4_K_M
    """
    project = project_folder(ctx)
    stack = StackName.of_agent(name, environment)
    new = not stack_file(project, stack).is_file()
    if within is not None and (values["model"] or not new):
        raise Refused(
            "--within is for the proposal of a new agent's model",
            "leave --within out; moltghost size MODEL says what a model costs",
        )
    values["model"] = settle_model(project, values["model"], as_json=as_json)
    opened = open_environment(project, environment)
    if new:
        if not values["model"]:
            ask = is_terminal() and not (yes or as_json)
            budget = None if within is None else usd_per_hour(within)
            chosen = propose(name, opened, values["gpu"], budget, ask=ask)
            values["model"] = chosen.choice.name
            values["context"] = values["context"] or format_context(chosen.context)
        values["context"] = values["context"] or _default_context(opened, values["model"])
        values["owner"] = values["owner"] or _default_owner()
    change_agent(opened, stack, AgentPatch.of_words(values), yes=yes, as_json=as_json)


@click.command()
@click.argument("name")
@_model_options
@env_option
@yes_option
@engine_option
@json_option
@click.pass_context
def update(
    ctx: click.Context, /, name: str, environment: str, yes: bool, as_json: bool, **values: Any
) -> None:
    """Change what agent NAME runs; the old model serves until the new one is proven.

    \b
    Examples:
      moltghost agent update my-agent --model qwen2.5-72b-q4
      moltghost agent update my-agent --context 64k --gpu auto --memory auto
    """
    project = project_folder(ctx)
    stack = StackName.of_agent(name, environment)
    values["model"] = settle_model(project, values["model"], as_json=as_json)
    opened = open_environment(project, environment)
    patch = AgentPatch.of_words(values)
    change_agent(opened, stack, patch, yes=yes, as_json=as_json, must_exist=True)


@click.command()
@click.argument("name")
@click.option("--gpu", help="GPU kind, e.g. h100; `auto` lets the sizing choose.")
@click.option("--memory", help="GPU memory in total, e.g. 160gb; or `auto`.")
@click.option("--parallel", type=int, help="Requests served side by side.")
@click.option("--strategy", type=click.Choice(["surge", "in-place"]), help="As with `update`.")
@env_option
@yes_option
@engine_option
@json_option
@click.pass_context
def scale(
    ctx: click.Context, /, name: str, environment: str, yes: bool, as_json: bool, **values: Any
) -> None:
    """Give agent NAME other GPUs, without a gap.

    \b
    Examples:
      moltghost agent scale my-agent --gpu h100 --memory 160gb
      moltghost agent scale my-agent --gpu auto --memory auto
    """
    if all(values[key] is None for key in ("gpu", "memory", "parallel")):
        raise Refused("nothing to scale to", "give --gpu, --memory or --parallel")
    stack = StackName.of_agent(name, environment)
    opened = open_environment(project_folder(ctx), environment)
    patch = AgentPatch.of_words(values)
    change_agent(opened, stack, patch, yes=yes, as_json=as_json, must_exist=True)


def _default_context(environment: Environment, model: str) -> str:
    longest = environment.config.models.find(model).model.max_context
    return str(min(DEFAULT_CONTEXT, longest))


def _default_owner() -> str:
    """The user's name, which can be answered for; given with ``--owner`` where it is a team."""
    return re.sub(r"[^a-z0-9-]+", "-", getpass.getuser().lower()).strip("-") or "unknown"


@click.command("list")
@env_option
@json_option
@click.pass_context
def list_command(ctx: click.Context, environment: str, as_json: bool) -> None:
    """List the agents of an environment as its cluster has them.

    \b
    Example:
      moltghost agent list --env local
    """
    found = list_agents(open_environment(project_folder(ctx), environment).client)
    if as_json:
        click.echo(json.dumps([each.to_json() for each in found]))
    elif found:
        print_agents(found)
    else:
        click.echo(f"no agents in {environment}; moltghost deploy NAME --model MODEL makes one")


@click.command()
@click.argument("name")
@click.option("--watch", is_flag=True, help="Keep showing it until it is ready or has failed.")
@env_option
@json_option
@click.pass_context
def status(ctx: click.Context, name: str, watch: bool, environment: str, as_json: bool) -> None:
    """Show where agent NAME is on its way to an answering model, and why it isn't further.

    \b
    Example:
      moltghost agent status my-agent --watch
    """
    stack = StackName.of_agent(name, environment)
    client, shown = open_environment(project_folder(ctx), environment).client, ""
    while True:
        found = list_agents(client, name)
        if not found:
            raise no_such_agent(stack)
        text = json.dumps(found[0].to_json()) if as_json else agent_facts(found[0])
        if text != shown:
            click.echo(text)
        shown = text
        if not watch or (found[0].ready and not found[0].updating) or found[0].stage == "failed":
            return
        time.sleep(_WATCH_SECONDS)


@click.command()
@click.argument("name")
@click.option("--delete-data", is_flag=True, help="Remove namespace and volume as well, for good.")
@env_option
@yes_option
@engine_option
@json_option
@click.pass_context
def destroy(
    ctx: click.Context, name: str, delete_data: bool, environment: str, yes: bool, as_json: bool
) -> None:
    """Remove agent NAME. Its namespace and volume stay, so a redeploy finds its memory again.

    \b
    Examples:
      moltghost agent destroy my-agent
      moltghost agent destroy my-agent --delete-data --yes
    """
    project, stack = project_folder(ctx), StackName.of_agent(name, environment)
    engine = engine_for(project, environment)
    require_deployed(project, stack, engine)
    what = "and its memory, for good" if delete_data else "(namespace and volume stay)"
    confirm(f"Destroy agent {name} in {environment} {what}?", yes=yes)
    with Progress(quiet=as_json) as progress:
        result = destroy_agent(
            project, stack, engine, delete_data=delete_data, report=progress.report
        )
    deleted = [step.title or step.name for step in result.steps if step.op == "delete"]
    if as_json:
        click.echo(json.dumps({"agent": name, "deleted": deleted}))
        return
    if not deleted:
        click.echo(f"{name} was destroyed before; --delete-data removes namespace and volume, too")
        return
    kept = "" if delete_data else f"; namespace agent-{name} and its volume stay"
    click.echo(f"{len(deleted)} objects deleted{kept}; config stays: Pulumi.{stack}.yaml")
