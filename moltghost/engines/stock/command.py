"""Finding the Pulumi CLI, and running it so that Ctrl-C ends it in order."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from pulumi.automation import CommandResult, InvalidVersionError, PulumiCommand
from pulumi.automation.errors import create_command_error

from moltghost.engines.stock.installation import INSTALL_HINT, find_cli
from moltghost.errors import Refused

OnLine = Callable[[str], Any]


def require_cli() -> StoppableCommand:
    """The CLI, ready to run.

    Raises:
        Refused: there is none, or it is too old for the SDK.
    """
    path = find_cli()
    if path is None:
        raise Refused(
            "the stock engine needs the Pulumi CLI, and there is no pulumi on PATH", INSTALL_HINT
        )
    try:
        return StoppableCommand(path)
    except InvalidVersionError as error:
        raise Refused(f"the Pulumi CLI {path} doesn't fit: {error}", INSTALL_HINT) from error
    except (OSError, subprocess.CalledProcessError) as error:
        raise Refused(f"the Pulumi CLI {path} doesn't run: {error}", INSTALL_HINT) from error


class StoppableCommand(PulumiCommand):
    """The CLI in a session of its own, so that a terminal's Ctrl-C reaches us alone.

    Pulumi's own class leaves the CLI behind when Ctrl-C interrupts the wait for it, and its
    ``cancel`` only deletes the stack's lock. This one sends the CLI the signal and waits, so that
    it ends between two steps, saves its state and releases the lock itself.

    Args:
        path: the program.
    """

    def __init__(self, path: Path) -> None:
        # Pulumi's class looks for <root>/bin/pulumi, or for pulumi on PATH.
        super().__init__(str(path.parent.parent) if path.parent.name == "bin" else None)
        self._path = path
        self._running: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()

    def stop(self, number: int = signal.SIGINT) -> None:
        """Signal what runs: once ends it between two steps, twice at once."""
        with self._lock:
            for process in self._running:
                with suppress(ProcessLookupError):
                    process.send_signal(number)

    def run(
        self,
        args: list[str],
        cwd: str,
        additional_env: Mapping[str, str],
        on_output: OnLine | None = None,
        on_error: OnLine | None = None,
        *,
        text: str | None = None,
    ) -> CommandResult:
        """Run a command to its end.

        Args:
            args: its arguments.
            cwd: where to run it.
            additional_env: variables besides ours.
            on_output: called with each line of stdout.
            on_error: called with each line of stderr.
            text: what it reads from stdin; nothing by default.

        Raises:
            CommandError: it failed.
        """
        environment = {
            **os.environ,
            **additional_env,
            "PULUMI_AUTOMATION_API": "true",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            # The CLI's plugins lie beside it.
            "PATH": os.pathsep.join([str(self._path.parent), os.environ.get("PATH", "")]),
        }
        with subprocess.Popen(
            [str(self._path), "--non-interactive", *args],
            stdin=subprocess.PIPE if text else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env=environment,
            encoding="utf-8",
            start_new_session=True,
        ) as process:
            with self._lock:
                self._running.add(process)
            try:
                readers = [_Reader(process.stdout, on_output), _Reader(process.stderr, on_error)]
                if process.stdin and text:
                    # One that fails before it has read it all says why itself.
                    with suppress(BrokenPipeError), process.stdin:
                        process.stdin.write(text)
                stdout, stderr = (reader.text() for reader in readers)
                code = process.wait()
            finally:
                with self._lock:
                    self._running.discard(process)
        result = CommandResult(stdout=stdout, stderr=stderr, code=code)
        if code:
            raise create_command_error(result)
        return result


class _Reader:
    """Collects the lines of a stream in a thread of its own."""

    def __init__(self, stream: IO[str] | None, callback: OnLine | None) -> None:
        self._lines: list[str] = []
        self._thread = threading.Thread(target=self._read, args=(stream, callback))
        self._thread.start()

    def text(self) -> str:
        """Everything, once the stream has ended."""
        self._thread.join()
        return "\n".join(self._lines)

    def _read(self, stream: IO[str] | None, callback: OnLine | None) -> None:
        for line in stream or ():
            text = line.rstrip()
            self._lines.append(text)
            if callback:
                callback(text)
