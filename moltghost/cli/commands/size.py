"""`moltghost size`: what a model needs, where it fits, and what that costs."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from moltghost.cli.options import json_option, models_here, project_folder
from moltghost.cli.views.fit_chart import draw
from moltghost.cli.views.size import show_sizing
from moltghost.errors import Refused
from moltghost.models import ModelChoice
from moltghost.models.references import reference_of
from moltghost.sizing import Pool, SizingRequest, best_quantization, parse_gpus, size, what_fits
from moltghost.sizing.request import DEFAULT_CONTEXT, check
from moltghost.units import parse_context, parse_gpu_memory_gb


@click.command("size")
@click.argument("model", required=False)
@click.option("--context", help="Tokens of context, e.g. 64k [default: 32k, or all it has].")
@click.option(
    "--parallel", type=int, default=1, show_default=True, help="Requests served side by side."
)
@click.option(
    "--kv-cache",
    type=click.Choice(["f16", "q8_0", "q4_0"]),
    default="f16",
    show_default=True,
    help="Type of KV cache.",
)
@click.option("--gpu", help="Only this GPU kind, e.g. h100; a100: the smaller that fits.")
@click.option("--memory", help="At least this much GPU memory in total, e.g. 160gb.")
@click.option(
    "--sharing",
    type=click.Choice(["dedicated", "owner"]),
    default="dedicated",
    show_default=True,
    help="`owner`: pay for the GPUs taken, not for the node.",
)
@click.option("-e", "--env", "environment", help="Weigh this environment's pools only.")
@click.option(
    "--gguf",
    type=click.Path(path_type=Path),
    help="Size this GGUF file instead of a model of the catalogue.",
)
@click.option(
    "--on",
    metavar="GPUS",
    help="The other way round: what l40s or 2xh100 can hold of MODEL.",
)
@click.option(
    "--chart",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Draw which context and quantization fit on which GPUs, as SVG.",
)
@json_option
@click.pass_context
def size_model(
    ctx: click.Context,
    /,
    model: str | None,
    environment: str | None,
    gguf: Path | None,
    on: str | None,
    chart: Path | None,
    as_json: bool,
    **values: Any,
) -> None:
    """Say which GPUs MODEL needs, on which EC2 type, and what that costs.

    MODEL is a name of the catalogue or of the project, a GGUF file, or a place whose file's header
    is read: hf:OWNER/REPO:QUANT, ollama:NAME:TAG.

    \b
    Examples:
      moltghost size llama3.1-70b-q4 --context 32k
      moltghost size qwen2.5-32b-q6 --gpu l40s --kv-cache q8_0
      moltghost size llama3.1-70b --on 4xl40s
      moltghost size ./my-model.gguf
      moltghost size hf:unsloth/Qwen3-Coder-Next-GGUF:Q4_K_M
      moltghost size llama3.1-8b --chart fit.svg
    """
    choice = _choice(ctx, model, gguf)
    request = _request(choice, **values)
    if chart:
        _draw(chart, choice, request, as_json=as_json)
        return
    if on is not None:
        if environment or request.gpu or request.memory_gb:
            raise Refused("--on names the GPUs", "leave --env, --gpu and --memory out")
        _show_fits(choice, request, on, as_json=as_json)
        return

    found = size(request, pools_of(ctx, environment), choice=choice)
    if as_json:
        click.echo(json.dumps(found.to_json()))
        return

    show_sizing(found)


def _choice(ctx: click.Context, model: str | None, gguf: Path | None) -> ModelChoice:
    if model and gguf is None and model.lower().endswith(".gguf"):
        gguf, model = Path(model), None
    if (model is None) == (gguf is None):
        raise Refused(
            "nothing to size" if model is None else "a model and a GGUF file: which of them?",
            "moltghost size MODEL, or moltghost size FILE.gguf; `moltghost models` lists models",
        )
    if gguf is not None:
        # Models of the catalogue need no reader of files.
        from moltghost.models.gguf import read_gguf  # noqa: PLC0415
        from moltghost.models.gguf_model import model_of  # noqa: PLC0415

        return model_of(read_gguf(gguf))

    models, text = models_here(ctx), model or ""
    if models.own(text) or reference_of(text) is None:
        return models.find(text)

    # Only what is in a registry needs a network.
    from moltghost.cli.views.progress import Progress  # noqa: PLC0415
    from moltghost.lifecycle.models.add import looked_up  # noqa: PLC0415
    from moltghost.lifecycle.models.look_up import Registries  # noqa: PLC0415

    with Progress() as progress:
        return looked_up(models, text, Registries(), progress.report)


def _request(
    choice: ModelChoice,
    *,
    context: str | None,
    parallel: int,
    kv_cache: str,
    gpu: str | None,
    memory: str | None,
    sharing: str,
) -> SizingRequest:
    tokens = min(DEFAULT_CONTEXT, choice.model.max_context)
    request = SizingRequest(
        choice.name,
        context=tokens if context is None else parse_context(context),
        parallel=parallel,
        kv_cache=kv_cache,
        gpu=gpu,
        memory_gb=None if memory is None else parse_gpu_memory_gb(memory),
        dedicated=sharing == "dedicated",
    )
    check(request, choice)
    return request


def pools_of(ctx: click.Context, environment: str | None) -> tuple[Pool, ...] | None:
    """What of the environment can hold a model; None for the product's pools."""
    if environment is None:
        return None

    # A plain `size` reads no stack and takes a third of the time without what reads them.
    from moltghost.environments.factory import open_environment  # noqa: PLC0415

    return open_environment(project_folder(ctx), environment).platform.for_models


def _show_fits(choice: ModelChoice, request: SizingRequest, on: str, *, as_json: bool) -> None:
    from moltghost.cli.views.fits import show_fits  # noqa: PLC0415 loads rich

    gpus = parse_gpus(on)
    fits = what_fits(choice.model, gpus, request.load)
    best = best_quantization(choice.model, gpus, request.load)
    if as_json:
        click.echo(
            json.dumps(
                {
                    "model": choice.model.id,
                    "gpu": gpus.card.kind,
                    "gpu_count": gpus.count,
                    "context": request.context,
                    "kv_cache": request.kv_cache,
                    "best_quantization": best.quantization if best else None,
                    "quantizations": [asdict(fit) for fit in fits],
                }
            )
        )
        return

    show_fits(choice.model, gpus, request, best, fits)


def _draw(chart: Path, choice: ModelChoice, request: SizingRequest, *, as_json: bool) -> None:
    chart.write_text(draw(choice.model, request.load), encoding="utf-8")
    if as_json:
        click.echo(json.dumps({"chart": str(chart)}))
    else:
        click.echo(f"{chart}: which context and quantization of {choice.model.id} fit on which GPU")
