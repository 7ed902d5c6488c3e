from __future__ import annotations

import logging
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from moltghost import paths
from moltghost.cli.main import cli
from moltghost.cli.options import project_folder
from moltghost.errors import Refused
from tests.cli.command import Command
from tests.examples import PROJECT
from tests.lifecycle.projects import FakeEngine

COMMANDS = {
    "init",
    "deploy",
    "environment",
    "fleet",
    "drift",
    "images",
    "agent",
    "models",
    "policy",
    "size",
    "plan",
    "preflight",
    "preview",
    "up",
    "down",
    "stack",
    "weights",
    "local",
    "kubeconfig",
    "completion",
}


def leaves(
    command: click.Command, context: click.Context, path: str = ""
) -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, with how it is typed."""
    if not isinstance(command, click.Group):
        yield path, command
        return
    for name in command.list_commands(context):
        child = command.get_command(context, name)
        assert child is not None
        yield from leaves(child, click.Context(child, parent=context), f"{path} {name}".strip())


def all_leaves() -> list[tuple[str, click.Command]]:
    return list(leaves(cli, click.Context(cli)))


def python(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=PROJECT,
        timeout=60,
        check=False,
    )


def test_help_lists_every_command_with_examples_and_exit_codes(moltghost: Command) -> None:
    ran = moltghost("--help")
    assert ran.code == 0
    for name in COMMANDS:
        assert f"\n  {name} " in ran.out
    assert "moltghost deploy my-agent --model llama3.1-70b-q4 --context 32k" in ran.out
    assert "0 done, 1 tried and failed, 2 refused before anything changed" in ran.out


def test_the_list_of_commands_is_the_commands_that_there_are() -> None:
    assert set(cli.list_commands(click.Context(cli))) == COMMANDS
    paths = {path for path, _ in all_leaves()}
    assert paths >= {
        "deploy",
        "agent list",
        "agent status",
        "agent update",
        "agent scale",
        "agent destroy",
        "agent chat",
        "agent connect",
        "agent history",
        "agent rollback",
        "agent move",
        "agent pause",
        "agent resume",
        "environment roll",
        "local up",
        "local down",
        "local status",
        "local kubeconfig",
        "stack forget",
    }


def test_every_command_says_what_it_does_with_an_example() -> None:
    without = [
        path
        for path, command in all_leaves()
        if "Example" not in (command.help or "") or f"moltghost {path}" not in (command.help or "")
    ]
    assert without == []


def test_every_option_says_what_it_is() -> None:
    without = [
        f"{path} {parameter.opts[0]}"
        for path, command in all_leaves()
        for parameter in command.params
        if isinstance(parameter, click.Option) and not parameter.help
    ]
    assert without == []


def test_every_command_that_prints_facts_can_print_json() -> None:
    without = {
        path
        for path, command in all_leaves()
        if not any("--json" in parameter.opts for parameter in command.params)
    }
    assert without == {
        "agent connect",
        "completion",
        "kubeconfig",
        "local kubeconfig",
        "local node",
    }


def test_every_command_that_changes_something_can_be_told_not_to_ask() -> None:
    asking = {
        path
        for path, command in all_leaves()
        if any("--yes" in parameter.opts for parameter in command.params)
    }
    assert asking >= {
        "deploy",
        "agent update",
        "agent scale",
        "agent destroy",
        "agent rollback",
        "agent move",
        "agent pause",
        "agent resume",
        "environment roll",
        "up",
        "down",
        "local down",
        "stack forget",
    }


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["agent", "--help"],
        ["models"],
        ["size", "llama3.1-70b-q4"],
        ["completion", "bash"],
    ],
    ids=" ".join,
)
def test_what_needs_no_pulumi_loads_none(arguments: list[str]) -> None:
    assert (
        heavy_modules(arguments, "pulumi", "pulumi_kubernetes", "grpc", "boto3", "lightkube") == []
    )


@pytest.mark.parametrize(
    "arguments", [["deploy", "--help"], ["agent", "list", "--help"]], ids=" ".join
)
def test_what_talks_to_a_cluster_loads_its_client_and_no_pulumi(arguments: list[str]) -> None:
    assert heavy_modules(arguments, "pulumi", "pulumi_kubernetes", "grpc", "boto3") == []


def heavy_modules(arguments: list[str], *heavy: str) -> list[str]:
    """Which of the heavy modules a command that succeeds has loaded at its end."""
    ran = python(
        "import sys\n"
        f"sys.argv = ['moltghost', *{arguments!r}]\n"
        "from moltghost.cli.main import main\n"
        "try:\n"
        "    main()\n"
        "except SystemExit as ended:\n"
        "    print('code', ended.code, file=sys.stderr)\n"
        f"print(*sorted({set(heavy)!r} & set(sys.modules)), file=sys.stderr)\n"
    )
    code, loaded = ran.stderr.split("\n")[-3:-1]
    assert code == "code 0", ran.stderr
    return loaded.split()


def test_an_unknown_command_is_refused(moltghost: Command) -> None:
    ran = moltghost("destroy")
    assert ran.code == 2
    assert "No such command 'destroy'" in ran.err


def test_an_unknown_option_value_is_refused_in_json_if_asked_for(moltghost: Command) -> None:
    ran = moltghost("deploy", "my-agent", "--parallel", "many", "--json")
    assert ran.code == 2
    assert "'many' is not a valid integer" in ran.data["error"]["message"]
    assert "--help" in ran.data["error"]["hint"]


def test_a_folder_without_a_project_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    ran = Command(tmp_path, monkeypatch, capsys)("plan", "my-agent.local")
    assert ran.code == 2
    assert f"no MoltGhost project in {tmp_path}" in ran.err
    assert "hint: go to your project's folder, or name it with -C FOLDER; moltghost init" in ran.err


def test_outside_of_every_project_no_other_is_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Not the checkout that the command was installed from either: `down` would take that down."""
    monkeypatch.chdir(tmp_path)
    with click.Context(cli), pytest.raises(Refused, match=f"no MoltGhost project in {tmp_path}"):
        project_folder(click.get_current_context())


def test_an_error_says_what_is_wrong_and_what_to_do_on_stderr(moltghost: Command) -> None:
    ran = moltghost("plan", "nobody.local")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("error: there is no agent nobody in local\nhint: moltghost deploy")


def test_an_error_in_json_is_on_stdout_and_nothing_else_is(moltghost: Command) -> None:
    ran = moltghost("plan", "nobody.local", "--json")
    assert (ran.code, ran.err) == (2, "")
    assert set(ran.data["error"]) == {"message", "hint"}


def test_an_interruption_says_that_it_can_be_taken_up_again(
    moltghost: Command, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("moltghost.planning.agent.plan_agent", interrupted)
    monkeypatch.setattr("moltghost.lifecycle.agents.change.plan_change", interrupted)
    monkeypatch.setattr(
        "moltghost.environments.factory.read_environment", lambda *_: interrupted(_)
    )
    ran = moltghost("plan", "my-agent.local")
    assert ran.code == 1
    assert "interrupted; running the same command again takes it up" in ran.err


def test_a_full_disk_is_a_failure_with_the_path(
    moltghost: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "/var/x")

    monkeypatch.setattr("moltghost.environments.factory.read_environment", full)
    ran = moltghost("plan", "my-agent.local")
    assert ran.code == 1
    assert "error: No space left on device: /var/x" in ran.err


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_who_reads_only_the_beginning_of_the_output_has_what_they_want(options: list[str]) -> None:
    argv = ["models", *options]
    program = f"import sys; from moltghost.cli.main import main; sys.argv[1:] = {argv}; main()"
    reader, writer = os.pipe()
    os.close(reader)
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=writer, stderr=subprocess.PIPE, cwd=PROJECT
    ) as run:
        os.close(writer)
        _, said = run.communicate(timeout=60)
    assert (run.returncode, said) == (0, b"")


def test_another_pipe_that_breaks_is_a_failure() -> None:
    ran = python(
        "import errno, sys\n"
        "from moltghost.cli import main\nfrom moltghost.cli.commands import models\n"
        "def breaks(**_): raise BrokenPipeError(errno.EPIPE, 'Broken pipe')\n"
        "models.list_models.callback = breaks\n"
        "sys.argv[1:] = ['models']\n"
        "main.main()\n"
    )
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith("error: Broken pipe: what we were writing to has ended\nhint: ")


@pytest.mark.parametrize(
    ("shell", "text"),
    [("bash", "complete -o nosort -F"), ("zsh", "#compdef moltghost"), ("fish", "complete --no-")],
)
def test_completion_prints_a_script(shell: str, text: str, moltghost: Command) -> None:
    ran = moltghost("completion", shell)
    assert ran.code == 0
    assert text in ran.out
    assert "_MOLTGHOST_COMPLETE" in ran.out


def test_completion_of_an_unknown_shell_is_refused(moltghost: Command) -> None:
    ran = moltghost("completion", "tcsh")
    assert ran.code == 2
    assert "'tcsh' is not one of 'bash', 'zsh', 'fish'" in ran.err


@pytest.fixture
def crash(monkeypatch: pytest.MonkeyPatch) -> None:
    """Something that nobody expected, in the middle of a plan."""

    def surprise(*_: object) -> None:
        raise KeyError("model\nand a second line")

    monkeypatch.setattr("moltghost.environments.factory.read_environment", surprise)


def test_a_bug_is_one_line_and_its_traceback_is_in_a_file_of_the_users_own(
    moltghost: Command, crash: None
) -> None:
    log = paths.state_home() / "crash.log"
    log.write_text("an older one", encoding="utf-8")
    log.chmod(0o644)
    ran = moltghost("plan", "my-agent.local")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("error: internal error: KeyError: ")
    assert len(ran.err.splitlines()) == 2
    assert f"hint: this is a bug of moltghost, please report it with its traceback: {log}" in (
        ran.err
    )
    text = log.read_text(encoding="utf-8")
    assert text.startswith("Traceback (most recent call last):")
    assert "in surprise" in text
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_a_bug_in_json_is_an_error_like_others(moltghost: Command, crash: None) -> None:
    ran = moltghost("plan", "my-agent.local", "--json")
    assert (ran.code, ran.err) == (1, "")
    assert ran.data["error"]["message"].startswith("internal error: KeyError: ")
    assert "crash.log" in ran.data["error"]["hint"]


def test_a_bug_whose_traceback_cannot_be_written_shows_it(
    moltghost: Command, crash: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOLTGHOST_STATE", "/dev/null/state")
    ran = moltghost("plan", "my-agent.local")
    assert ran.code == 1
    assert ran.err.startswith("Traceback (most recent call last):")
    assert "crash.log can't be written" in ran.err


def test_debug_shows_where_a_bug_is(moltghost: Command, crash: None) -> None:
    ran = moltghost("--debug", "plan", "my-agent.local")
    assert ran.code == 1
    assert ran.err.startswith("Traceback (most recent call last):")
    assert "in surprise" in ran.err
    assert "error: internal error: KeyError: " in ran.err


def test_debug_shows_where_an_error_comes_from_and_without_it_nothing_does(
    moltghost: Command,
) -> None:
    ran = moltghost("--debug", "plan", "nobody.local", "--json")
    assert ran.code == 2
    assert "Traceback (most recent call last):" in ran.err
    assert "there is no agent nobody" in ran.data["error"]["message"]
    assert "Traceback" not in moltghost("plan", "nobody.local").err


def test_debug_shows_our_log_on_stderr_and_without_it_nothing_does(
    moltghost: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def plan(*_: object) -> None:
        logging.getLogger("moltghost.planning").debug("looks at %s", "pools")
        logging.getLogger("pulumi").debug("not ours")
        raise KeyboardInterrupt

    monkeypatch.setattr("moltghost.environments.factory.read_environment", plan)
    ran = moltghost("--debug", "plan", "my-agent.local")
    assert "DEBUG moltghost.planning: looks at pools" in ran.err
    assert "not ours" not in ran.err
    assert "looks at" not in moltghost("plan", "my-agent.local").err
