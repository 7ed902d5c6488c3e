"""Writes `docs/reference/cli.md`: what `--help` says of every command.

`make docs` runs it, and a test fails when the page isn't what it would write.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from moltghost.cli.main import cli
from moltghost.errors import ExitCode

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "cli.md"
_WIDTH = 100

_INTRO = """\
# The command

Written by `make docs` from the command's own `--help`; don't edit it here.

Data goes to stdout, progress, questions and errors to stderr.
Every command with `--json` prints one JSON document on stdout, in an error as well:
`{"error": {"message": ..., "hint": ...}}`.
Without a terminal, what would ask needs `--yes`.

| exit code | meaning |
|---|---|
"""

_MEANINGS = {
    ExitCode.DONE: "done",
    ExitCode.FAILED: "tried and failed; the message says what is left",
    ExitCode.REFUSED: "refused before anything changed",
}

_VARIABLES = """
| environment variable | meaning |
|---|---|
| `MOLTGHOST_ENV` | the environment, in place of `--env` (default `local`) |
| `MOLTGHOST_PROJECT` | the folder with `Pulumi.yaml`, in place of `-C` |
| `MOLTGHOST_STATE` | folder of the embedded cluster, the engine's state and its key; default `~/.local/state/moltghost` |
| `XDG_CACHE_HOME` | the built programs are below `moltghost/` in it; default `~/.cache` |
| `HF_TOKEN`, `HF_TOKEN_PATH`, `HF_HOME` | the token of the Hugging Face hub, or where it is, as for the hub's own client |
| `HF_ENDPOINT`, `MOLTGHOST_OLLAMA_REGISTRY` | mirrors of the hub and of Ollama's registry, over https |
| `NO_COLOR` | no colour |
"""  # noqa: E501 a table has no line breaks


def page() -> str:
    """The text of the page."""
    codes = "".join(f"| {code:d} | {_MEANINGS[code]} |\n" for code in ExitCode)
    root = click.Context(cli, info_name="moltghost", terminal_width=_WIDTH, **cli.context_settings)
    return "\n".join([_INTRO + codes + _VARIABLES, *map(_section, contexts(root))])


def contexts(context: click.Context) -> Iterator[click.Context]:
    """The context of every command, a group before what is in it."""
    yield context
    command = context.command
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None  # noqa: S101 the group has just named it
            yield from contexts(
                click.Context(found, context, name, terminal_width=_WIDTH, **found.context_settings)
            )


def _section(context: click.Context) -> str:
    lines = (line.rstrip() for line in context.get_help().splitlines())
    text = "\n".join(lines)
    return f"## {context.command_path}\n\n```\n{text}\n```\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
