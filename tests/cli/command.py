"""Run the command in this process, as its entry point does: exit code, output and errors."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from moltghost.cli.main import main


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)


class Command:
    """`moltghost` in a project folder, without a terminal."""

    def __init__(
        self, project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.project = project
        self._monkeypatch, self._capsys = monkeypatch, capsys
        monkeypatch.setenv("COLUMNS", "200")

    def __call__(self, *args: str) -> Ran:
        argv = ["moltghost", "-C", str(self.project), *args]
        self._monkeypatch.setattr(sys, "argv", argv)
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = self._capsys.readouterr()
        code = ended.value.code
        assert isinstance(code, int)
        return Ran(code, out, err)
