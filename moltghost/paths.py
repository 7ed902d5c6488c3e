"""Where things live outside the repository, by the XDG base directory specification.

``cache`` can be deleted at any time and is rebuilt; ``state`` cannot: it holds the embedded
cluster, and each project's stacks of the embedded engine with their key.
"""

from __future__ import annotations

import os
from pathlib import Path

from moltghost.errors import Refused


def cache_home() -> Path:
    """``$XDG_CACHE_HOME/moltghost``, by default ``~/.cache/moltghost``."""
    return (_given("XDG_CACHE_HOME") or Path.home() / ".cache") / "moltghost"


def state_home() -> Path:
    """``$MOLTGHOST_STATE``, else ``$XDG_STATE_HOME/moltghost`` (``~/.local/state/moltghost``).

    Tests set ``MOLTGHOST_STATE`` to a folder of their own: they never touch a user's cluster.
    """
    if explicit := _given("MOLTGHOST_STATE"):
        return explicit
    return (_given("XDG_STATE_HOME") or Path.home() / ".local/state") / "moltghost"


def _given(variable: str) -> Path | None:
    """The folder that a variable names, None where it isn't set.

    Raises:
        Refused: it is relative: programs run in folders of their own, so it would be several.
    """
    value = os.environ.get(variable)
    if value and not Path(value).is_absolute():
        raise Refused(f"{variable} is {value!r}, a relative path", "give an absolute path")
    return Path(value) if value else None


def cluster_home() -> Path:
    """The embedded cluster's folder: data, certificates, logs, pids, kubeconfig."""
    return state_home() / "cluster"


def projects_home() -> Path:
    """What the embedded engine keeps, a folder for each project."""
    return state_home() / "projects"


def stacks_home(project: str) -> Path:
    """The embedded engine's state files of a project, one per stack."""
    return projects_home() / project / "stacks"


def key_file(project: str) -> Path:
    """The key of a project's secrets; another project has another one."""
    return projects_home() / project / "key"


def kubeconfig() -> Path:
    """The kubeconfig that the embedded cluster writes (mode 0600)."""
    return cluster_home() / "kubeconfig"
