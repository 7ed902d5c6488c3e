"""What given GPUs can hold of a model, as people read it."""

from __future__ import annotations

from collections.abc import Callable

import click

from moltghost.cli.views.tables import is_narrow, print_table
from moltghost.models import Model, ModelChoice
from moltghost.sizing import Gpus, QuantizationFit, SizingRequest
from moltghost.units import GB, GIB, format_context

_NONE = "-"


def show_fits(
    model: Model,
    gpus: Gpus,
    request: SizingRequest,
    best: ModelChoice | None,
    fits: tuple[QuantizationFit, ...],
) -> None:
    """Print, for each quantization, the largest contexts, the slots and what stays free."""
    context = format_context(request.context)
    free = gpus.card.free_at_cuda_init_bytes / GIB
    click.echo(f"{model.id} on {gpus} ({free:.1f} GiB free each)")
    click.echo("Largest context by type of KV cache:")
    columns = _columns(context)
    print_table(
        tuple(columns),
        [tuple(cell(fit) for cell in columns.values()) for fit in fits],
        right=tuple(columns)[1:],
    )
    served = f"{context} with a KV cache of {request.kv_cache}"
    if best:
        click.echo(f"Best quantization for {served}: {best.quantization}.")
    else:
        click.echo(f"No quantization has room for {served}.")
    if gpus.card.free_is_estimate:
        click.echo(f"The memory free on the {gpus.card.name} is an estimate.")


def _columns(context: str) -> dict[str, Callable[[QuantizationFit], str]]:
    columns: dict[str, Callable[[QuantizationFit], str]] = {
        "quantization": lambda fit: fit.quantization,
        "file": lambda fit: f"{fit.file_bytes / GB:.1f} GB",
        "f16": lambda fit: _context(fit.largest_context["f16"]),
        "q8_0": lambda fit: _context(fit.largest_context["q8_0"]),
        "q4_0": lambda fit: _context(fit.largest_context["q4_0"]),
        f"slots at {context}": lambda fit: str(fit.slots) if fit.slots else _NONE,
        "left on a GPU": lambda fit: (
            f"{fit.free_bytes / GIB:.1f} GiB" if fit.free_bytes >= 0 else _NONE
        ),
    }
    if is_narrow():
        del columns["file"], columns["left on a GPU"]
    return columns


def _context(tokens: int | None) -> str:
    return _NONE if tokens is None else format_context(tokens)
