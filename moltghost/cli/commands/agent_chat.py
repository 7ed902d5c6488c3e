"""`moltghost agent chat` and `agent connect`."""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import click

from moltghost.cli.options import env_option, json_option, project_folder
from moltghost.config import StackName
from moltghost.environments.environment import Environment
from moltghost.environments.factory import open_environment
from moltghost.errors import Refused
from moltghost.lifecycle.agents.endpoint import Endpoint, ask, endpoint, require_answering
from moltghost.lifecycle.agents.openai_proxy import Relay


@contextmanager
def _opened(environment: Environment, stack: StackName) -> Iterator[Endpoint]:
    require_answering(environment.client, stack)
    with endpoint(
        environment.client, environment.kubeconfig_path, environment.kubectl(), stack.agent
    ) as opened:
        yield opened


@click.command()
@click.argument("name")
@click.option("-m", "--message", help="Ask this and end; `-` reads it from standard input.")
@click.option("--session", help="Continue an earlier conversation of this name.")
@env_option
@json_option
@click.pass_context
def chat(
    ctx: click.Context,
    name: str,
    message: str | None,
    session: str | None,
    environment: str,
    as_json: bool,
) -> None:
    """Talk to agent NAME: one message, or a conversation in the terminal.

    \b
    Examples:
      moltghost agent chat hello --message "What is a GPU?"
      moltghost agent chat hello
    """
    stack = StackName.of_agent(name, environment)
    if message is None and not sys.stdin.isatty():
        message = "-"
    if message is None and as_json:
        raise Refused("--json takes one message", "add --message")
    if message == "-":
        message = sys.stdin.read()
    if message is not None and not message.strip():
        raise Refused("the message is empty", 'moltghost agent chat NAME --message "..."')
    conversation = session or f"cli-{uuid.uuid4()}"
    with _opened(open_environment(project_folder(ctx), environment), stack) as at:
        if message is not None:
            _answer(at, message, conversation, as_json=as_json)
            return
        click.echo(f"{name} listens; an empty line or Ctrl-D ends the conversation.", err=True)
        while text := _line():
            _answer(at, text, conversation, as_json=False)


def _line() -> str:
    try:
        return input("> ").strip()
    except EOFError:
        return ""


def _answer(at: Endpoint, text: str, session: str, *, as_json: bool) -> None:
    pieces = []
    for piece in ask(at, [{"role": "user", "content": text}], session):
        pieces.append(piece)
        if not as_json:
            click.echo(piece, nl=False)
    if as_json:
        click.echo(json.dumps({"answer": "".join(pieces), "session": session}))
    else:
        click.echo("")


@click.command("connect")
@click.argument("name")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="On loopback; 0 takes any.")
@env_option
@click.pass_context
def connect_command(ctx: click.Context, name: str, port: int, environment: str) -> None:
    """Offer agent NAME on loopback as an OpenAI-compatible API, until Ctrl-C.

    The agent's token is added here and never shown; any API key will do for the client. Programs
    of other users of this machine can reach the port as well.

    \b
    Example:
      moltghost agent connect hello --port 18789
    """
    project, stack = project_folder(ctx), StackName.of_agent(name, environment)
    with Relay(port) as relay:
        click.echo(f"{relay.url}/v1 is agent {name}; Ctrl-C ends it")
        try:
            while True:
                with _opened(open_environment(project, environment), stack) as at:
                    relay.lead_to(at)
                    at.forward.process.wait()
                relay.lead_to(None)
                click.echo("the connection broke; opening it again", err=True)
        except KeyboardInterrupt:
            click.echo("")


COMMANDS = (chat, connect_command)
