"""The Pulumi CLI as a program: found, refused, stopped. A small script stands in for it."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest
from pulumi.automation import CommandError

from moltghost.engines.stock.command import StoppableCommand, require_cli
from moltghost.engines.stock.installation import find_cli
from moltghost.errors import Refused

_SLEEPS = """
trap 'echo the lock is released; exit 255' INT
echo begun
while :; do sleep 0.05; done
"""


def stand_in(folder: Path, *, version: str = "v3.272.0", body: str = "") -> Path:
    """A script that answers ``version``, and otherwise does ``body``."""
    program = folder / "bin" / "pulumi"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/bash\n[ "$1" = version ] && echo {version} && exit 0\n{body}\n')
    program.chmod(0o755)
    return program


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without a CLI, and a PATH with nothing but the system's programs."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    return tmp_path / "home"


@pytest.mark.usefixtures("home")
def test_without_a_cli_it_is_said_where_pulumi_documents_its_installation() -> None:
    with pytest.raises(Refused, match=r"needs the Pulumi CLI, and there is no pulumi") as refusal:
        require_cli()

    assert "https://www.pulumi.com/docs/iac/download-install/" in refusal.value.hint
    assert "--engine embedded" in refusal.value.hint


def test_the_cli_is_found_where_its_installer_puts_it(home: Path) -> None:
    program = stand_in(home / ".pulumi")

    assert find_cli() == program


def test_the_cli_on_the_path_comes_before_the_installed_one(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(home / ".pulumi")
    program = stand_in(tmp_path / "other")
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}/usr/bin:/bin")

    assert find_cli() == program


def test_a_cli_that_is_too_old_is_refused(home: Path) -> None:
    stand_in(home / ".pulumi", version="v2.9.0")

    with pytest.raises(Refused, match=r"doesn't fit: Minimum version requirement failed"):
        require_cli()


def test_a_cli_that_does_not_run_is_refused(home: Path) -> None:
    program = stand_in(home / ".pulumi")
    program.write_text("#!/bin/false\n")

    with pytest.raises(Refused, match=r"pulumi doesn't run: "):
        require_cli()


def test_what_it_prints_is_passed_on_line_by_line_and_what_it_reads_is_given(
    tmp_path: Path,
) -> None:
    program = stand_in(tmp_path, body='cat; echo "$@"; echo oops >&2')
    lines: list[str] = []

    done = StoppableCommand(program).run(
        ["stack", "import"], str(tmp_path), {}, lines.append, text="a checkpoint\n"
    )

    assert done.stdout == "a checkpoint\n--non-interactive stack import"
    assert lines == ["a checkpoint", "--non-interactive stack import"]
    assert done.stderr == "oops"


def test_a_command_that_fails_raises_with_what_it_said(tmp_path: Path) -> None:
    program = stand_in(tmp_path, body="echo no stack named x found >&2; exit 1")

    with pytest.raises(CommandError, match=r"no stack named x found"):
        StoppableCommand(program).run(["stack"], str(tmp_path), {})


def test_one_that_fails_before_it_has_read_what_it_is_given_says_why(tmp_path: Path) -> None:
    program = stand_in(tmp_path, body="exec <&-; echo the stack is locked >&2; exit 1")

    with pytest.raises(CommandError, match=r"the stack is locked"):
        StoppableCommand(program).run(["stack", "import"], str(tmp_path), {}, text="x" * 1_000_000)


def test_stopping_lets_the_cli_end_by_itself(tmp_path: Path) -> None:
    command = StoppableCommand(stand_in(tmp_path, body=_SLEEPS))
    begun, failed = threading.Event(), []

    def run() -> None:
        try:
            command.run(["up"], str(tmp_path), {}, lambda _line: begun.set())
        except CommandError as error:
            failed.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    assert begun.wait(10)
    command.stop()
    thread.join(10)

    assert not thread.is_alive()
    assert "the lock is released" in failed[0]


def test_stopping_what_has_ended_does_nothing(tmp_path: Path) -> None:
    command = StoppableCommand(stand_in(tmp_path, body="exit 0"))
    command.run(["up"], str(tmp_path), {})

    began = time.monotonic()
    command.stop()

    assert time.monotonic() - began < 1
