"""`moltghost models`: the catalogue, filtered, and what of it runs for a price."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import click

from moltghost.cli.commands.size import pools_of
from moltghost.cli.lazy import CommandRow, LazyGroup
from moltghost.cli.options import json_option, models_here, usd_per_hour
from moltghost.cli.views.tables import is_narrow, print_table
from moltghost.errors import Refused
from moltghost.models import Model, models
from moltghost.sizing import (
    Affordable,
    JsonValue,
    Pool,
    Recommendation,
    SizingRequest,
    best_quantization,
    models_within,
    parse_gpus,
    recommend,
)
from moltghost.sizing.footprint import Load
from moltghost.sizing.request import DEFAULT_CONTEXT, MOST_SLOTS
from moltghost.sizing.weights import file_bytes
from moltghost.units import GB, format_context, parse_context

_PARAMETERS = re.compile(r"(?P<number>\d{1,12}(\.\d{1,12})?)\s*b?", re.IGNORECASE)
_BILLION = 10**9


_COMMANDS: dict[str, CommandRow] = {
    "add": ("models_add", "add", "Write the record of a model of the hub, Ollama, or a file."),
}


@click.group("models", cls=LazyGroup, commands_by_name=_COMMANDS, invoke_without_command=True)
@click.option("--family", help="Part of the family's name, e.g. qwen.")
@click.option("--tools", is_flag=True, help="Only models that can call tools, as agents do.")
@click.option("--licence", help="Part of the licence's name, e.g. apache.")
@click.option("--min-parameters", help="At least this many, e.g. 7b.")
@click.option("--max-parameters", help="At most this many, e.g. 13b.")
@click.option("--recommended", is_flag=True, help="What to take for agents, best first.")
@click.option("--gpu", help="With --recommended: only what one GPU of this kind holds.")
@click.option("--fits", metavar="GPUS", help="Only what l40s or 2xh100 can hold.")
@click.option("--within", metavar="USD", help="Only what can run for so much an hour, and on what.")
@click.option("--context", help="Tokens of context for --fits and --within [default: 32k].")
@click.option(
    "-e",
    "--env",
    "environment",
    help="Environment whose pools --within and --recommended count with.",
)
@json_option
@click.pass_context
def list_models(
    ctx: click.Context,
    /,
    recommended: bool,
    gpu: str | None,
    fits: str | None,
    within: str | None,
    context: str | None,
    environment: str | None,
    as_json: bool,
    **filters: Any,
) -> None:
    """List the models of the catalogue, and the project's own behind them.

    \b
    Examples:
      moltghost models add hf:unsloth/Qwen3-Coder-Next-GGUF:Q4_K_M
      moltghost models --recommended --gpu l40s
      moltghost models --tools --max-parameters 13b
      moltghost models --family qwen --licence apache
      moltghost models --fits l40s --context 64k
      moltghost models --within 7 --context 64k
    """
    if ctx.invoked_subcommand:
        return
    if gpu and not recommended:
        raise Refused(
            "--gpu goes with --recommended", f"add --recommended, or say --fits {gpu} instead"
        )
    if recommended:
        if fits or within or context is not None or any(filters.values()):
            raise Refused(
                "--recommended prints a separate list", "only --gpu, --env and --json go with it"
            )
        _show_recommended(recommend(gpu, pools_of(ctx, environment)), gpu, as_json=as_json)
        return
    if (context is not None and not (fits or within)) or (environment and not within):
        raise Refused(
            "--context counts with --fits and --within, and --env with --within or --recommended",
            "add --within USD, or --fits GPUS",
        )
    own = [choice.model for choice in models_here(ctx)]
    found = _filtered([*models(), *own], **filters)
    if fits or within is not None:
        _require_context(found, context)
    if fits:
        found = _holding(found, fits, context)
    if within is not None:
        pools = pools_of(ctx, environment)
        affordable = _affordable(found, usd_per_hour(within), context, pools)
        _show_affordable(affordable, as_json=as_json)
        return
    if as_json:
        click.echo(json.dumps([_model_json(model) for model in found]))
    elif found:
        _print_models(found)
        _print_own([model.id for model in own if model in found])
    else:
        click.echo("no model of the catalogue is like that; drop a filter")


def _filtered(
    every: list[Model],
    *,
    family: str | None,
    tools: bool,
    licence: str | None,
    min_parameters: str | None,
    max_parameters: str | None,
) -> list[Model]:
    low = _parameters(min_parameters) if min_parameters else 0
    high = _parameters(max_parameters) if max_parameters else None
    return [
        model
        for model in every
        if (family or "").lower() in model.family.lower()
        and (licence or "").lower() in model.licence.lower()
        and (model.tools or not tools)
        and low <= model.parameters
        and (high is None or model.parameters <= high)
    ]


def _require_context(found: list[Model], context: str | None) -> None:
    """Neither other GPUs nor another price would help against a context that no model has.

    Raises:
        Refused: no model has it.
    """
    longest = max((model.max_context for model in found), default=0)
    if found and _tokens(context) > longest:
        raise Refused(
            f"no model that is like that has {_tokens(context)} tokens of context",
            f"ask for --context {format_context(longest)} or less",
        )


def _holding(found: list[Model], fits: str, context: str | None) -> list[Model]:
    """Models of which the GPUs hold some quantization at that context."""
    gpus, load = parse_gpus(fits), Load(_tokens(context))
    return [
        model
        for model in found
        if load.context <= model.max_context and best_quantization(model, gpus, load)
    ]


def _tokens(context: str | None) -> int:
    return DEFAULT_CONTEXT if context is None else parse_context(context)


def _parameters(text: str) -> int:
    match = _PARAMETERS.fullmatch(text.strip())
    if not match:
        raise Refused(f"{text!r} isn't a number of parameters", "write it like 13b (13 billion)")
    return int(float(match["number"]) * _BILLION)


def _model_json(model: Model) -> dict[str, JsonValue]:
    return {
        "name": model.id,
        "family": model.family,
        "parameters": model.parameters,
        "quantizations": list(model.quantizations),
        "default_quantization": model.default_quantization,
        "max_context": model.max_context,
        "tools": model.tools,
        "agents": model.agents.verdict.value,
        "thinking": model.thinking.supported,
        "vision": model.vision,
        "slots": 1 if model.one_slot else MOST_SLOTS,
        "licence": model.licence,
        "aliases": list(model.aliases),
        "reference": _reference(model),
    }


def _reference(model: Model) -> str | None:
    """Where a model of the project is from; None for the catalogue's."""
    return model.sources[0] if model.files[model.default_quantization].source else None


def _print_own(names: list[str]) -> None:
    if names:
        click.echo(f"This project's own, in its folder models/: {', '.join(names)}.")


def _print_models(found: list[Model]) -> None:
    columns: dict[str, Callable[[Model], str]] = {
        "name": lambda model: model.id,
        "params": _in_billions,
        "context": lambda model: format_context(model.max_context),
        "default": lambda model: model.default_quantization,
        "file": lambda model: f"{file_bytes(model, model.default_quantization) / GB:.1f} GB",
        "agents": lambda model: model.agents.verdict.value,
        "slots": lambda model: "1" if model.one_slot else "many",
        "licence": lambda model: model.licence,
    }
    if is_narrow():
        del columns["default"], columns["licence"]
    print_table(
        tuple(columns),
        [tuple(cell(model) for cell in columns.values()) for model in found],
        right=("params", "context", "file"),
    )
    click.echo(
        "A name takes a quantization: qwen3.6-27b-q8. Most have Q4_K_S to Q8_0 and F16; "
        "--json lists them.\n"
        "Unfit for agents: it can't call tools, or Ollama advises against it. "
        "`moltghost models --recommended` shows what to take."
    )


def _in_billions(model: Model) -> str:
    return f"{model.parameters / _BILLION:.1f}B"


def _affordable(
    found: list[Model], limit: Decimal, context: str | None, pools: tuple[Pool, ...] | None
) -> tuple[Affordable, ...]:
    return models_within(limit, SizingRequest("", context=_tokens(context)), pools, found)


def _show_affordable(found: tuple[Affordable, ...], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps([_affordable_json(each) for each in found]))
        return
    if not found:
        click.echo("no model that is like that runs for so little; raise --within")
        return

    columns: dict[str, Callable[[Affordable], str]] = {
        "name": lambda each: each.choice.name,
        "params": lambda each: _in_billions(each.choice.model),
        "instance": lambda each: each.option.kind.type,
        "GPUs": lambda each: f"{each.option.gpu_count} x {each.option.card.kind}",
        "$/h": lambda each: f"{each.usd_per_hour:.2f}",
    }
    if is_narrow():
        del columns["params"]
    print_table(
        tuple(columns),
        [tuple(cell(each) for cell in columns.values()) for each in found],
        right=("params", "$/h"),
    )
    click.echo("The best quantization of each model at that price, on its own node.")


def _show_recommended(found: tuple[Recommendation, ...], gpu: str | None, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps([_recommended_json(each) for each in found]))
        return
    if not found:
        click.echo(f"none of the recommended models fits on one {gpu}; leave --gpu out to see all")
        return
    columns: dict[str, Callable[[Recommendation], str]] = {
        "name": lambda each: each.choice.name,
        "params": lambda each: _in_billions(each.choice.model),
        "context": lambda each: format_context(each.context),
        "slots": lambda each: "1" if each.choice.model.one_slot else "many",
        "also": lambda each: _abilities(each.choice.model),
        "instance": lambda each: each.option.kind.type,
        "GPUs": lambda each: f"{each.option.gpu_count} x {each.option.card.kind}",
        "$/h": lambda each: f"{each.option.pays(dedicated=True):.2f}",
    }
    if is_narrow():
        del columns["params"], columns["also"]
    print_table(
        tuple(columns),
        [tuple(cell(each) for cell in columns.values()) for each in found],
        right=("params", "context", "$/h"),
    )
    click.echo(
        "Best first, for one agent on its own node. One slot: Ollama answers one request at a "
        "time, so take one of many slots where several share it.\n"
        f"moltghost deploy my-agent --model {found[0].choice.name} --context "
        f"{format_context(found[0].context)}" + (f" --gpu {gpu}" if gpu else "")
    )


def _abilities(model: Model) -> str:
    found = [("thinking", model.thinking.supported), ("vision", model.vision)]
    return ", ".join(name for name, has in found if has)


def _recommended_json(each: Recommendation) -> dict[str, JsonValue]:
    return {
        **_model_json(each.choice.model),
        "quantization": each.choice.quantization,
        "context": each.context,
        "instance_type": each.option.kind.type,
        "gpu": each.option.card.kind,
        "gpu_count": each.option.gpu_count,
        "usd_per_hour": float(each.option.pays(dedicated=True)),
        "evidence": each.choice.model.agents.evidence,
    }


def _affordable_json(each: Affordable) -> dict[str, JsonValue]:
    return {
        **_model_json(each.choice.model),
        "quantization": each.choice.quantization,
        "instance_type": each.option.kind.type,
        "gpu": each.option.card.kind,
        "gpu_count": each.option.gpu_count,
        "usd_per_hour": float(each.usd_per_hour),
    }
