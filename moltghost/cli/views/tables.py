"""Tables and key-value blocks on stdout; plain where stdout is no terminal."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterable, Sequence

import click
from rich import box
from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from moltghost.cli.options import wants_color

# Without a terminal, a page of a document or a mail is what a table has to fit in; machines read
# the JSON.
_PIPE_COLUMNS = 100
_GAP = 3  # between two columns
_WIDE = 84
# Blanks at a line's end, and the escape sequences among them, which are kept.
_TRAILING = re.compile(r"[ ]+((?:\x1b\[[0-9;]*m)*)$")


def is_narrow() -> bool:
    """Whether a table has to do with fewer columns."""
    return shutil.get_terminal_size((100, 24)).columns < _WIDE


def _print(shown: RenderableType, least: int = 0) -> None:
    """Print without the blanks that fill a table's last column.

    Args:
        shown: what to print.
        least: columns that it takes without a name broken in two, which only a terminal may do.
    """
    console = Console(no_color=not wants_color(), highlight=False)
    if not sys.stdout.isatty():
        console.width = max(_PIPE_COLUMNS, least)
    with console.capture() as captured:
        console.print(shown)
    for line in captured.get().splitlines():
        click.echo(_TRAILING.sub(r"\1", line))


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    title: str = "",
    right: Sequence[str] = (),
    whole: Sequence[str] = (),
) -> None:
    """Print rows under headers; ``right`` names columns aligned right, ``whole`` unfolded ones."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    body, least = [tuple(row) for row in rows], 0
    for number, column in enumerate(columns):
        unfolded = number == 0 or column in whole
        cells = (column, *(row[number] for row in body))
        words = [word for cell in cells for word in ([cell] if unfolded else cell.split())]
        width = max((cell_len(word) for word in words), default=0)
        least += width + _GAP
        table.add_column(
            column,
            justify="right" if column in right else "left",
            overflow="fold",
            no_wrap=unfolded,
            min_width=None if sys.stdout.isatty() else width,
        )
    for row in body:
        table.add_row(*(Text(cell) for cell in row))
    if title:
        click.echo(title)
    _print(table, least - _GAP)


def print_facts(facts: Iterable[tuple[str, str]]) -> None:
    """Print label and value, one pair a line, values aligned."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for label, value in facts:
        grid.add_row(label, Text(value))
    _print(grid)
