"""The stand-in for the Pulumi CLI, as a test sees it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from .test_events import URN, settings, state

FAKE = Path(__file__).with_name("fake_pulumi.py")
CONFIG = "config:\n  moltghost:spec: {kind: cloud}\n"


class Cli:
    """The stand-in's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def write(self, name: str, value: Any) -> None:
        (self.folder / f"{name}.json").write_text(json.dumps(value))

    def stacks(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "stacks.json").read_text())
        return found

    def calls(self, command: str) -> list[list[str]]:
        lines = (self.folder / "calls.jsonl").read_text().splitlines()
        return [
            call
            for call in map(json.loads, lines)
            if call[: len(command.split())] == command.split()
        ]


def event(kind: str, op: str, urn: str = URN, **states: Any) -> dict[str, Any]:
    return {kind: {"metadata": {"op": op, "urn": urn, "type": urn.split("::")[2], **states}}}


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.setenv("MOLTGHOST_STATE", str(tmp_path / "state"))
    for name in ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"):
        monkeypatch.delenv(name, raising=False)
    program = tmp_path / "bin" / "pulumi"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {FAKE} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setenv("FAKE_PULUMI", str(tmp_path / "fake"))
    found = Cli(tmp_path / "fake")
    created = [event("resourcePreEvent", "create", new=state(inputs=settings(a="1")))]
    done = [*created, event("resOutputsEvent", "create", new=state(inputs=settings(a="1")))]
    found.write("events", {"preview": created, "up": done})
    return found


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "Pulumi.yaml").write_text("name: moltghost\nruntime: python\n")
    (folder / "Pulumi.a.local.yaml").write_text(CONFIG)
    return folder
