"""A disk that is full from the n-th durable write on: every such write ends in ``fsync``."""

from __future__ import annotations

import errno
import os

import pytest


class FullDisk:
    """Lets ``left`` writes through and refuses the rest as a full disk does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, left: int) -> None:
        self.refused = 0
        self._left = left
        self._fsync = os.fsync
        monkeypatch.setattr(os, "fsync", self._write)

    def _write(self, descriptor: int) -> None:
        if self._left <= 0:
            self.refused += 1
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._left -= 1
        self._fsync(descriptor)
