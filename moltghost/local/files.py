"""Files of the cluster's home: private to the user, and whole or absent after a kill."""

from __future__ import annotations

import os
from pathlib import Path


def make_private_folder(path: Path) -> Path:
    """A folder with mode 0700, with its parents."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.chmod(0o700)
    return path


def write_private(path: Path, content: bytes | str) -> bool:
    """Write a file with mode 0600 in one step.

    Returns:
        Whether the content differs from what was there.
    """
    data = content.encode() if isinstance(content, str) else content
    if path.exists() and path.read_bytes() == data:
        path.chmod(0o600)
        return False
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    partial.replace(path)
    return True
