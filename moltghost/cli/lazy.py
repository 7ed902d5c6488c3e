"""A group of commands that imports a command's module only when it is called or explained."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click

CommandRow = tuple[str, str, str]
"""Module in ``moltghost/cli/commands``, attribute, and one line for the list of commands."""


class LazyGroup(click.Group):
    """A group that knows its commands without importing them, so that ``--help`` is quick."""

    def __init__(
        self, *args: Any, commands_by_name: Mapping[str, CommandRow], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._rows = commands_by_name

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """The commands in the order of the table."""
        return list(self._rows)

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        """The command of that name, imported now; None if there is none."""
        if name not in self._rows:
            return None
        module, attribute, _ = self._rows[name]
        command = getattr(importlib.import_module(f"moltghost.cli.commands.{module}"), attribute)
        assert isinstance(command, click.Command)  # noqa: S101 the table says so
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands from the table's own lines."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, row[2]) for name, row in self._rows.items()])
