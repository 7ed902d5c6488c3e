"""Logins to registries, in the file that Docker's tools read them from.

A secret is in no argument and no variable: both can be read from ``/proc``. The folder is private,
in memory where the machine has such a place for its users, and gone when its block is left, also
by Ctrl-C. Only a process that is killed leaves it.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from moltghost.errors import Refused


@dataclass(frozen=True)
class Login:
    """User and password of a registry."""

    user: str
    password: str = field(repr=False)

    @property
    def auth(self) -> str:
        """As Docker's config has it."""
        return base64.b64encode(f"{self.user}:{self.password}".encode()).decode()


@contextmanager
def docker_config(logins: Mapping[str, Login]) -> Iterator[Path]:
    """Write a Docker config for the time of the block.

    The user's own logins are in it too: they raise the limits of public registries.

    Args:
        logins: by the registry's host, with its port where it has one.

    Yields:
        The folder, for ``DOCKER_CONFIG``.

    Raises:
        Refused: the user's own config can't be read.
    """
    document = _with_logins(_users_config(), logins)
    with TemporaryDirectory(prefix="moltghost-", dir=_memory()) as folder:
        file = Path(folder) / "config.json"
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            json.dump(document, stream)
        yield Path(folder)


def _with_logins(user: Mapping[str, Any], logins: Mapping[str, Login]) -> dict[str, Any]:
    auths: dict[str, Any] = dict(user.get("auths") or {})
    helpers: dict[str, Any] = dict(user.get("credHelpers") or {})
    # A store answers for every registry, ours too: name it for those that it has a login for.
    if store := user.get("credsStore"):
        helpers = {**dict.fromkeys((host for host in auths if not auths[host]), store), **helpers}
    for host, login in logins.items():
        helpers.pop(host, None)
        auths[host] = {"auth": login.auth}
    return {"auths": auths, "credHelpers": helpers}


def _users_config() -> Mapping[str, Any]:
    file = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "config.json"
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise Refused(
            f"your Docker config {file} can't be read: {error}", "repair it, or move it away"
        ) from error
    return document if isinstance(document, dict) else {}


def _memory() -> str | None:
    folder = os.environ.get("XDG_RUNTIME_DIR", "")
    return folder if folder and Path(folder).is_dir() else None
