"""Entry point: the list of commands, errors and exit codes.

Commands are imported when they are called, so that `--help` and `models` load no Pulumi.
"""

from __future__ import annotations

import gc
import json
import os
import select
import sys
from pathlib import Path
from typing import Any, NoReturn, TextIO

import click

from moltghost import __version__
from moltghost.cli.debugging import in_one_line, record_crash, set_debugging, show_traceback
from moltghost.cli.lazy import LazyGroup
from moltghost.errors import ExitCode, Failed, MoltghostError, Refused

# Name -> (module, attribute, one line for the list of commands).
_COMMANDS = {
    "init": ("init", "init", "Make a project of your own, for version control."),
    "deploy": ("agents", "deploy", "Deploy an agent, or change one, by its model's name."),
    "agent": ("agent", "agent", "Talk to agents; list, update, move and destroy them."),
    "fleet": ("fleet", "fleet", "Deploy, update and destroy many agents from one file."),
    "models": ("models", "list_models", "List the models of the catalogue; add others."),
    "size": ("size", "size_model", "Say which GPUs a model needs and what they cost."),
    "plan": ("stacks", "plan", "Show what a stack will be, without touching anything."),
    "preview": ("stacks", "preview", "Show what `up` would change, resource by resource."),
    "drift": ("drift", "drift", "Show manual changes since the last `up`."),
    "preflight": ("preflight", "preflight", "Ask whether an environment or an agent can come up."),
    "up": ("stacks", "up", "Bring up an environment, or one stack of it."),
    "down": ("stacks", "down", "Take an environment down."),
    "environment": ("environments", "environment", "Move every agent of an environment."),
    "images": ("images", "images", "List, pin and publish the images of an environment."),
    "kubeconfig": ("stacks", "kubeconfig", "Print the path of an environment's kubeconfig."),
    "policy": ("policy", "policy", "Check stacks against the policy pack, list and explain it."),
    "weights": ("weights", "weights", "Build, list, verify and remove model stores."),
    "stack": ("stack", "stack", "Move stacks between engines, repair their records."),
    "local": ("local", "local", "The embedded cluster of environment `local`."),
    "completion": ("completion", "completion", "Print a completion script for your shell."),
}

_EPILOG = """\b
Examples:
  moltghost deploy my-agent --model llama3.1-70b-q4 --context 32k
  moltghost agent update my-agent --model qwen2.5-72b-q4
  moltghost agent scale my-agent --gpu h100 --memory 160gb
  moltghost size llama3.1-405b-q4 --context 32k

\b
Exit codes: 0 done, 1 tried and failed, 2 refused before anything changed.
"""

# Python looks for garbage after every 700 new objects, among all that there are: a third of the
# time of a command that reads hundreds of agents, which are a million objects, all of them kept.
_NEW_OBJECTS = 1_000_000


class _Commands(LazyGroup):
    """All commands; what breaks under them becomes an error of ours."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; click itself would end with 1 and no word, whichever pipe broke."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            if not _has_no_reader(sys.stdout):
                raise Failed(
                    f"{_os_message(error)}: what we were writing to has ended",
                    "moltghost --debug with the same command shows what it was",
                ) from error
            # Python would complain again while it shuts down.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return ExitCode.DONE


@click.command(
    cls=_Commands,
    commands_by_name=_COMMANDS,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "-C",
    "--project",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    envvar="MOLTGHOST_PROJECT",
    help="Folder with Pulumi.yaml; by default the one that you are in.",
)
@click.option("--debug", is_flag=True, help="Show what is done inside, and tracebacks.")
@click.version_option(__version__, prog_name="moltghost")
@click.pass_context
def cli(ctx: click.Context, project: Path | None, debug: bool) -> None:
    """Private AI agents on your own GPUs."""
    ctx.obj = project
    set_debugging(debug)


def main() -> NoReturn:
    """Run the command and exit with its code; errors go to stderr with their next step."""
    gc.set_threshold(_NEW_OBJECTS)
    try:
        # Without `standalone_mode`, click returns what a command gave to `ctx.exit`.
        code = cli(standalone_mode=False)
    except MoltghostError as error:
        show_traceback(error)
        _explain(error)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        if "--json" in sys.argv:
            _explain(Refused(error.format_message(), "see the command's --help"))
        else:
            error.show()
        sys.exit(ExitCode.REFUSED)
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted; running the same command again takes it up", err=True)
        sys.exit(ExitCode.FAILED)
    except OSError as error:
        show_traceback(error)
        _explain(
            Failed(_os_message(error), "free disk space or correct the path, then run it again")
        )
        sys.exit(ExitCode.FAILED)
    except Exception as error:
        show_traceback(error)
        _explain(Failed(f"internal error: {in_one_line(error)}", record_crash(error)))
        sys.exit(ExitCode.FAILED)
    sys.exit(code or ExitCode.DONE)


def _has_no_reader(stream: TextIO) -> bool:
    """Whether a stream is a pipe that nobody reads any more."""
    asked = select.poll()
    asked.register(stream.fileno(), 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in asked.poll(0))


def _os_message(error: OSError) -> str:
    where = f": {error.filename}" if error.filename else ""
    return f"{error.strerror or error}{where}"


def _explain(error: MoltghostError) -> None:
    if "--json" in sys.argv:
        click.echo(json.dumps({"error": {"message": error.message, "hint": error.hint}}))
        return
    click.secho("error: ", fg="red", bold=True, nl=False, err=True)
    click.echo(error.message, err=True)
    if error.hint:
        click.secho("hint: ", fg="cyan", bold=True, nl=False, err=True)
        click.echo(error.hint, err=True)
