"""What given GPUs can hold of a model, as people read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from moltghost.cli.tables import print_table
from moltghost.units import GB, GIB, format_context

if TYPE_CHECKING:
    from moltghost.models import Model, ModelChoice
    from moltghost.sizing import Gpus, QuantizationFit, SizingRequest

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
    print_table(
        ("quantization", "file", "f16", "q8_0", "q4_0", f"slots at {context}", "left on a GPU"),
        [
            (
                fit.quantization,
                f"{fit.file_bytes / GB:.1f} GB",
                *(_context(fit.largest_context[cache]) for cache in ("f16", "q8_0", "q4_0")),
                str(fit.slots) if fit.slots else _NONE,
                f"{fit.free_bytes / GIB:.1f} GiB" if fit.free_bytes >= 0 else _NONE,
            )
            for fit in fits
        ],
        title=f"{model.id} on {gpus} ({gpus.card.free_at_cuda_init_bytes / GIB:.1f} GiB free each):"
        " largest context by type of KV cache",
        right=("file", "f16", "q8_0", "q4_0", f"slots at {context}", "left on a GPU"),
    )
    served = f"{context} with a KV cache of {request.kv_cache}"
    if best:
        click.echo(f"Best quantization for {served}: {best.quantization}.")
    else:
        click.echo(f"No quantization has room for {served}.")
    if gpus.card.free_is_estimate:
        click.echo(f"The memory free on a {gpus.card.name} is an estimate.")


def _context(tokens: int | None) -> str:
    return _NONE if tokens is None else format_context(tokens)
