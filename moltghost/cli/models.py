"""`moltghost models`: the catalogue, filtered, and what of it runs for a price."""

from __future__ import annotations

import json
import re
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

import click

from moltghost.cli.options import json_option
from moltghost.cli.size import pools_of, size_model
from moltghost.errors import Refused
from moltghost.units import GB, format_context, parse_context

if TYPE_CHECKING:
    from moltghost.models import Model
    from moltghost.sizing import Affordable, JsonValue, Pool

__all__ = ["list_models", "size_model"]

_PARAMETERS = re.compile(r"(?P<number>\d+(\.\d+)?)\s*b?", re.IGNORECASE)
_BILLION = 10**9


@click.command("models")
@click.option("--family", help="Part of the family's name, e.g. qwen.")
@click.option("--tools", is_flag=True, help="Only models that can call tools, as agents do.")
@click.option("--licence", help="Part of the licence's name, e.g. apache.")
@click.option("--min-parameters", help="At least this many, e.g. 7b.")
@click.option("--max-parameters", help="At most this many, e.g. 13b.")
@click.option("--within", metavar="USD", help="Only what can run for so much an hour, and on what.")
@click.option("--context", help="Tokens of context that --within counts with [default: 32k].")
@click.option("-e", "--env", "environment", help="Environment whose pools --within counts with.")
@json_option
@click.pass_context
def list_models(
    ctx: click.Context,
    /,
    within: str | None,
    context: str | None,
    environment: str | None,
    as_json: bool,
    **filters: Any,
) -> None:
    """List the models of the catalogue.

    \b
    Examples:
      moltghost models --tools --max-parameters 13b
      moltghost models --family qwen --licence apache
      moltghost models --within 7 --context 64k
    """
    found = _filtered(**filters)
    if within is not None:
        pools = pools_of(ctx, environment)
        affordable = _affordable(found, _usd(within), context, pools)
        _show_affordable(affordable, as_json=as_json)
        return
    if context or environment:
        raise Refused("--context and --env only count with --within", "add --within USD")
    if as_json:
        click.echo(json.dumps([_model_json(model) for model in found]))
    elif found:
        _print_models(found)
    else:
        click.echo("no model of the catalogue is like that; drop a filter")


def _filtered(
    *,
    family: str | None,
    tools: bool,
    licence: str | None,
    min_parameters: str | None,
    max_parameters: str | None,
) -> list[Model]:
    from moltghost.models import models

    low = _parameters(min_parameters) if min_parameters else 0
    high = _parameters(max_parameters) if max_parameters else None
    return [
        model
        for model in models()
        if (family or "").lower() in model.family.lower()
        and (licence or "").lower() in model.licence.lower()
        and (model.tools or not tools)
        and low <= model.parameters
        and (high is None or model.parameters <= high)
    ]


def _parameters(text: str) -> int:
    match = _PARAMETERS.fullmatch(text.strip())
    if not match:
        raise Refused(f"{text!r} is no number of parameters", "write it like 13b (13 billion)")
    return int(float(match["number"]) * _BILLION)


def _usd(text: str) -> Decimal:
    try:
        amount = Decimal(text.removeprefix("$"))
    except InvalidOperation:
        amount = Decimal(0)
    if not amount.is_finite() or amount <= 0:
        raise Refused(f"{text!r} is no price", "write dollars per hour, like --within 7.50")
    return amount


def _model_json(model: Model) -> dict[str, JsonValue]:
    return {
        "name": model.id,
        "family": model.family,
        "parameters": model.parameters,
        "quantizations": list(model.quantizations),
        "default_quantization": model.default_quantization,
        "max_context": model.max_context,
        "tools": model.tools,
        "licence": model.licence,
        "aliases": list(model.aliases),
    }


def _print_models(found: list[Model]) -> None:
    from moltghost.cli.tables import print_table
    from moltghost.sizing.weights import layout

    print_table(
        ("name", "params", "context", "default", "file", "tools", "licence"),
        [
            (
                model.id,
                _in_billions(model),
                format_context(model.max_context),
                model.default_quantization,
                f"{layout(model, model.default_quantization).file_bytes / GB:.1f} GB",
                "yes" if model.tools else "no",
                model.licence,
            )
            for model in found
        ],
        right=("params", "context", "file"),
    )
    click.echo(
        "A name takes a quantization: llama3.1-8b-q8. Each has Q4_K_S to Q8_0 and F16; "
        "--json lists them."
    )


def _in_billions(model: Model) -> str:
    return f"{model.parameters / _BILLION:.1f}B"


def _affordable(
    found: list[Model], limit: Decimal, context: str | None, pools: tuple[Pool, ...] | None
) -> tuple[Affordable, ...]:
    from moltghost.sizing import SizingRequest, models_within
    from moltghost.sizing.request import DEFAULT_CONTEXT

    tokens = parse_context(context) if context else DEFAULT_CONTEXT
    return models_within(limit, SizingRequest("", context=tokens), pools, found)


def _show_affordable(found: tuple[Affordable, ...], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps([_affordable_json(each) for each in found]))
        return
    if not found:
        click.echo("no model that is like that runs for so little; raise --within")
        return
    from moltghost.cli.tables import print_table

    print_table(
        ("name", "params", "instance", "GPUs", "$/h"),
        [
            (
                each.choice.name,
                _in_billions(each.choice.model),
                each.option.kind.type,
                f"{each.option.gpu_count} x {each.option.card.kind}",
                f"{each.usd_per_hour:.2f}",
            )
            for each in found
        ],
        right=("params", "$/h"),
    )
    click.echo("The best quantization of each model at that price, on a node of its own.")


def _affordable_json(each: Affordable) -> dict[str, JsonValue]:
    return {
        **_model_json(each.choice.model),
        "quantization": each.choice.quantization,
        "instance_type": each.option.kind.type,
        "gpu": each.option.card.kind,
        "gpu_count": each.option.gpu_count,
        "usd_per_hour": float(each.usd_per_hour),
    }
