"""Which model to take for an agent whose model wasn't named: asked for, or listed in a refusal."""

from __future__ import annotations

from decimal import Decimal

import click

from moltghost.cli.views.tables import print_table
from moltghost.environments.environment import Environment
from moltghost.errors import Refused
from moltghost.sizing import Recommendation, recommend
from moltghost.sizing.request import NO_GPU
from moltghost.units import format_context

_LISTED = 5
_AUTO = "auto"


def propose(
    agent: str, environment: Environment, gpu: str | None, within: Decimal | None, *, ask: bool
) -> Recommendation:
    """The recommended model that a person chose among those that the environment can run.

    Args:
        agent: the agent's name, for messages.
        environment: whose pools count.
        gpu: only what one GPU of this kind holds.
        within: dollars per hour that its node may cost.
        ask: there is somebody to ask.

    Raises:
        Refused: nobody can be asked, or nothing fits; the hint has the commands.
    """
    if gpu and gpu.lower() == NO_GPU:
        raise Refused(
            f"agent {agent} is new: it needs a model, and what is recommended needs a GPU",
            f"moltghost deploy {agent} --gpu none --model gemma3-270m-q4 runs on this machine",
        )
    kind = None if gpu == _AUTO else gpu
    found = [
        each
        for each in recommend(kind, environment.platform.for_models)
        if within is None or each.option.pays(dedicated=True) <= within
    ][:_LISTED]
    if not found:
        raise Refused(
            f"agent {agent} is new: it needs a model, and no recommended one fits "
            + _limits(environment, kind, within),
            "name one with --model; moltghost models --within USD lists all that runs for a price",
        )
    if not ask:
        commands = "\n".join(f"  {_command(agent, environment, gpu, each)}" for each in found)
        raise Refused(
            f"agent {agent} is new: it needs a model",
            f"recommended in {environment.name}, best first:\n{commands}",
        )
    return _asked(found)


def _limits(environment: Environment, gpu: str | None, within: Decimal | None) -> str:
    where = f"on one {gpu} of {environment.name}" if gpu else f"the pools of {environment.name}"
    return where + (f" for ${within:.2f} an hour" if within is not None else "")


def _command(agent: str, environment: Environment, gpu: str | None, each: Recommendation) -> str:
    where = "" if environment.name == "local" else f" --env {environment.name}"
    kind = f" --gpu {gpu}" if gpu else ""
    return (
        f"moltghost deploy {agent} --model {each.choice.name} "
        f"--context {format_context(each.context)}{kind}{where}  # {_price(each)}"
    )


def _price(each: Recommendation) -> str:
    option = each.option
    return f"{option.gpu_count} x {option.card.kind}, ${option.pays(dedicated=True):.2f}/h"


def _asked(found: list[Recommendation]) -> Recommendation:
    rows = [
        (str(number), each.choice.name, format_context(each.context), _price(each))
        for number, each in enumerate(found, start=1)
    ]
    print_table(("", "model", "context", "on"), rows)
    number: int = click.prompt("Which one", type=click.IntRange(1, len(found)), default=1, err=True)
    return found[number - 1]
