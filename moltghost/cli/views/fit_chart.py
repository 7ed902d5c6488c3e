"""The fit map: which context and quantization of a model fit on how many GPUs of each kind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from html import escape

from moltghost.models import GpuKind, Model, ModelChoice, gpu_kinds
from moltghost.sizing import Gpus
from moltghost.sizing.footprint import Load
from moltghost.sizing.weights import layout
from moltghost.units import GB, GIB, format_context

_SHORTEST, _MOST_GPUS = 4096, 8
# A sequential scale, dark for one GPU; text on it keeps a contrast of 4.5 and more.
_COLOURS = {1: "#0b4f6c", 2: "#1f78a4", 3: "#4f9dc4", 4: "#7fbbd8", 5: "#a6d0e4", 6: "#c3e0ee"}
_WIDEST_COLOUR, _NONE_COLOUR = "#dcedf5", "#f3f1ee"
_LIGHT_TEXT_UP_TO = 2
_CELL_WIDTH, _CELL_HEIGHT, _GAP = 46, 26, 2
_LEFT, _TOP, _PANEL_GAP, _MARGIN = 156, 92, 34, 28
_PANELS_WIDTH, _MIN_WIDTH, _PANEL_HEAD, _PANEL_FOOT = 950, 820, 44, 26
_INK, _QUIET = "#1d2a33", "#5b6b76"
_FONT = "font-family=\"'Inter','Segoe UI','Helvetica Neue',Arial,sans-serif\""


def draw(model: Model, load: Load) -> str:
    """The chart as SVG.

    Args:
        model: of the catalogue, or described by its GGUF.
        load: slots and cache type; the chart goes through the contexts.
    """
    contexts = tuple(_contexts(model))
    rows = sorted(model.quantizations, key=lambda q: -layout(model, q).file_bytes)
    cards = tuple(gpu_kinds().values())
    panel_width = len(contexts) * (_CELL_WIDTH + _GAP)
    panel_height = _PANEL_HEAD + len(rows) * (_CELL_HEIGHT + _GAP) + _PANEL_FOOT
    across = min(max(1, _PANELS_WIDTH // (panel_width + _PANEL_GAP // 2)), len(cards))
    down = -(-len(cards) // across)
    width = max(_MIN_WIDTH, _LEFT + across * panel_width + (across - 1) * _PANEL_GAP + _MARGIN)
    height = _TOP + down * panel_height + 70
    body = list(_head(model, load, width))
    for number, card in enumerate(cards):
        column, row = number % across, number // across
        x = _LEFT + column * (panel_width + _PANEL_GAP)
        y = _TOP + row * panel_height
        body += _panel(card, model, load, rows, contexts, x, y, named=column == 0)
    body += _foot(load, height)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" aria-label="{escape(_title(model))}">\n'
        f'<rect width="100%" height="100%" fill="#ffffff"/>\n' + "\n".join(body) + "\n</svg>\n"
    )


def _contexts(model: Model) -> Iterator[int]:
    context = min(_SHORTEST, model.max_context)
    while context < model.max_context:
        yield context
        context *= 2
    yield model.max_context


def _title(model: Model) -> str:
    return f"{model.id}: fewest GPUs that hold it"


def _head(model: Model, load: Load, width: int) -> Iterator[str]:
    slots = "1 slot" if load.parallel == 1 else f"{load.parallel} slots"
    yield _text(_MARGIN, 38, _title(model), size=20, weight=600)
    yield _text(
        _MARGIN,
        60,
        f"by context (across), quantization (down) and GPU kind; {slots}, "
        f"{load.kv_cache} KV cache, planning margin included",
        size=13,
        colour=_QUIET,
    )
    x = width - _MARGIN - 24
    for gpus in range(_MOST_GPUS, 0, -1):
        yield _box(x, 24, 22, 18, _colour(gpus))
        yield _text(x + 11, 37, str(gpus), size=11, anchor="middle", colour=_ink_on(gpus))
        x -= 24
    yield _text(x + 18, 37, "GPUs", size=11, anchor="end", colour=_QUIET)


def _panel(
    card: GpuKind,
    model: Model,
    load: Load,
    rows: list[str],
    contexts: tuple[int, ...],
    x: int,
    y: int,
    *,
    named: bool,
) -> Iterator[str]:
    yield _text(x, y + 18, card.kind, size=14, weight=600)
    about = "~" if card.free_is_estimate else ""
    free = f"{about}{card.free_at_cuda_init_bytes / GIB:.1f} GiB free"
    yield _text(x, y + 34, free, size=11, colour=_QUIET)
    top = y + _PANEL_HEAD
    for row, quantization in enumerate(rows):
        at = top + row * (_CELL_HEIGHT + _GAP)
        choice = ModelChoice(model, quantization)
        if named:
            size = f"{layout(model, quantization).file_bytes / GB:.1f} GB"
            yield _text(_LEFT - 72, at + 18, quantization, size=13, anchor="end")
            yield _text(_LEFT - 10, at + 18, size, size=11, anchor="end", colour=_QUIET)
        for column, context in enumerate(contexts):
            gpus = _fewest(card, choice, replace(load, context=context))
            yield from _cell(x + column * (_CELL_WIDTH + _GAP), at, gpus)
    bottom = top + len(rows) * (_CELL_HEIGHT + _GAP) + 12
    for column, context in enumerate(contexts):
        middle = x + column * (_CELL_WIDTH + _GAP) + _CELL_WIDTH // 2
        yield _text(
            middle, bottom, format_context(context), size=11, anchor="middle", colour=_QUIET
        )


def _fewest(card: GpuKind, choice: ModelChoice, load: Load) -> int | None:
    counts = range(1, _MOST_GPUS + 1)
    return next((n for n in counts if Gpus(card, n).hold(choice, load)), None)


def _cell(x: int, y: int, gpus: int | None) -> Iterator[str]:
    yield _box(x, y, _CELL_WIDTH, _CELL_HEIGHT, _colour(gpus))
    text = str(gpus) if gpus else "–"  # noqa: RUF001 a dash says that there is no number
    yield _text(x + _CELL_WIDTH // 2, y + 18, text, size=13, anchor="middle", colour=_ink_on(gpus))


def _foot(load: Load, height: int) -> Iterator[str]:
    lines = (
        f"A dash: not on {_MOST_GPUS} GPUs of that kind. EC2 sells them in nodes of 1, 4 or 8 "
        "(g7e also 2): `moltghost size` names the node and its price.",
        "Layers are split over several GPUs, which adds room and no speed. ~: an estimate.",
    )
    for number, line in enumerate(lines):
        yield _text(_MARGIN, height - 34 + number * 16, line, size=11, colour=_QUIET)


def _colour(gpus: int | None) -> str:
    return _NONE_COLOUR if gpus is None else _COLOURS.get(gpus, _WIDEST_COLOUR)


def _ink_on(gpus: int | None) -> str:
    if gpus is None:
        return _QUIET
    return "#ffffff" if gpus <= _LIGHT_TEXT_UP_TO else _INK


def _box(x: int, y: int, width: int, height: int, colour: str) -> str:
    return f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="2" fill="{colour}"/>'


def _text(
    x: int,
    y: int,
    text: str,
    *,
    size: int,
    weight: int = 400,
    anchor: str = "start",
    colour: str = _INK,
) -> str:
    return (
        f'<text x="{x}" y="{y}" {_FONT} font-size="{size}" font-weight="{weight}" '
        f'text-anchor="{anchor}" fill="{colour}">{escape(text)}</text>'
    )
