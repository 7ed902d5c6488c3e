"""Killed between any two file operations of a change: the same command again ends as if not.

The engine is one that records in a file what it applied, so that it outlives the process; what a
kill inside the real one leaves is tested with it, in ``tests/e2e/test_engine.py``.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from moltghost.config import AgentSpec, read_agent, stack_file
from moltghost.engines.interface import Protected, Result
from moltghost.errors import MoltghostError
from moltghost.lifecycle.agents.apply import carry_out, destroy
from moltghost.progress import Report, silent
from tests.engines.full_disk import FullDisk
from tests.examples import STACK
from tests.lifecycle.projects import FakeEngine, change_of, files, project

MODELS = ("llama3.1-70b-q4", "qwen2.5-72b-q4")
_SECONDS = 60


class RecordingEngine(FakeEngine):
    """Keeps what it applied in a file, written in one step."""

    def up(self, stack: str, *, config: Path | None = None, report: Report, **_: Any) -> Result:
        result = super().up(stack, config=config, report=report)
        applied = self.ups[-1]
        assert applied is not None
        draft = self.project / ".applied"
        draft.write_text(applied.model_dump_json())
        draft.replace(self.project / "applied")
        return result

    def destroy(self, stack: str, *, protected: Protected, report: Report) -> Result:
        (self.project / "applied").unlink(missing_ok=True)
        return super().destroy(stack, protected=protected, report=report)


def running(folder: Path) -> AgentSpec | None:
    """What the cluster has, as the command reads it from there."""
    file = folder / "applied"
    if not file.exists():
        return None
    return AgentSpec.model_validate_json(file.read_text())


def deploy(folder: Path, model: str) -> None:
    change = change_of(folder, STACK, {"model": model}, running=running(folder))
    carry_out(change, RecordingEngine(folder), silent)


def go_on(folder: Path) -> None:
    """What `moltghost up my-agent.local` does."""
    carry_out(
        change_of(folder, STACK, {}, running=running(folder)), RecordingEngine(folder), silent
    )


def remove(folder: Path) -> None:
    destroy(folder, STACK, RecordingEngine(folder), delete_data=True, report=silent)


def _killed_at(
    folder: Path, work: Callable[..., None], arguments: tuple[Any, ...], at: int
) -> None:
    left = [at]

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*args: Any, **keywords: Any) -> Any:
            for moment in ("before", "after"):
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                if moment == "before":
                    result = function(*args, **keywords)
            return result

        return wrapper

    for name in ("replace", "unlink", "write_text", "mkdir", "open"):
        setattr(Path, name, counted(getattr(Path, name)))
    os.fsync = counted(os.fsync)
    work(folder, *arguments)


def killed(folder: Path, work: Callable[..., None], *arguments: Any, at: int) -> bool:
    """Whether the work got as far as the point at which it is killed."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    process = context.Process(target=_killed_at, args=(folder, work, arguments, at))
    process.start()
    process.join(_SECONDS)
    assert process.exitcode in (0, -signal.SIGKILL), f"it ended with {process.exitcode}"
    return process.exitcode != 0


def settled(folder: Path) -> dict[str, str]:
    """All files, but for what no command reads: drafts of a kill."""
    return {name: text for name, text in files(folder).items() if not name.endswith(".draft")}


def test_an_update_killed_at_any_point_is_finished_by_the_same_command_or_by_up(
    tmp_path: Path,
) -> None:
    whole = tmp_path / "whole"
    whole.mkdir()
    project(whole)
    deploy(whole, MODELS[0])
    deploy(whole, MODELS[1])
    points, got_there = 0, True
    while got_there:
        folder = tmp_path / f"{points}"
        folder.mkdir()
        project(folder)
        deploy(folder, MODELS[0])
        before = settled(folder)
        got_there = killed(folder, deploy, MODELS[1], at=points + 1)
        after = settled(folder)
        # Never half: the config is the old one or the new one, and can be read.
        assert read_agent(folder, STACK).model in MODELS
        if points % 2 and after != before:
            go_on(folder)
        else:
            deploy(folder, MODELS[1])
        assert settled(folder) == settled(whole)
        assert not list((folder / ".moltghost/pending").glob("Pulumi*"))
        points += 1
    assert points > 10


def test_a_destroy_killed_at_any_point_is_finished_by_the_same_command(tmp_path: Path) -> None:
    points, got_there = 0, True
    while got_there:
        folder = tmp_path / f"{points}"
        folder.mkdir()
        project(folder)
        deploy(folder, MODELS[0])
        config = stack_file(folder, STACK).read_text()
        got_there = killed(folder, remove, at=points + 1)
        remove(folder)
        assert not (folder / "applied").exists()
        assert stack_file(folder, STACK).read_text() == config
        points += 1
    assert points > 3


def test_a_full_disk_at_any_write_leaves_the_files_whole_and_the_next_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused, writes = 1, 0
    while refused:
        folder = tmp_path / f"{writes}"
        folder.mkdir()
        project(folder)
        before = files(folder)
        with monkeypatch.context() as patch:
            disk = FullDisk(patch, writes)
            try:
                deploy(folder, MODELS[1])
            except (OSError, MoltghostError):
                assert {
                    name: text for name, text in files(folder).items() if name in before
                } == before
                assert not list(folder.rglob("*.draft"))
        refused = disk.refused
        deploy(folder, MODELS[1])
        assert read_agent(folder, STACK).model == MODELS[1]
        writes += 1
    assert writes > 1
