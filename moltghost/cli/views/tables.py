"""Tables and key-value blocks on stdout; plain where stdout is no terminal."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from moltghost.cli.options import wants_color

# A pipe has no width; folding would only hurt what reads it.
_PIPE_COLUMNS = 240
_WIDE = 84


def is_narrow() -> bool:
    """Whether a table has to do with fewer columns."""
    return shutil.get_terminal_size((100, 24)).columns < _WIDE


def _console() -> Console:
    class Passing(Console):
        def on_broken_pipe(self) -> None:
            """Leave it to `main`, where rich would end with 1."""
            raise  # rich calls this where it has caught the error

    width = None if sys.stdout.isatty() else _PIPE_COLUMNS
    return Passing(width=width, no_color=not wants_color(), highlight=False)


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    title: str = "",
    right: Sequence[str] = (),
    whole: Sequence[str] = (),
) -> None:
    """Print rows under headers; ``right`` names columns aligned right, ``whole`` unfolded ones."""
    console = _console()
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        table.add_column(
            column,
            justify="right" if column in right else "left",
            overflow="fold",
            no_wrap=column == columns[0] or column in whole,
        )
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    if title:
        console.print(title)
    console.print(table)


def print_facts(facts: Iterable[tuple[str, str]]) -> None:
    """Print label and value, one pair a line, values aligned."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for label, value in facts:
        grid.add_row(label, Text(value))
    _console().print(grid)
