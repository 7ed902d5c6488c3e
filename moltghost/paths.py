"""Where things live outside the repository, by the XDG base directory specification.

``cache`` can be deleted at any time and is rebuilt; ``state`` cannot: it holds the embedded
cluster, the embedded engine's stacks and their key.
"""

from __future__ import annotations

import os
from pathlib import Path


def cache_home() -> Path:
    """``$XDG_CACHE_HOME/moltghost``, by default ``~/.cache/moltghost``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "moltghost"


def state_home() -> Path:
    """``$MOLTGHOST_STATE``, else ``$XDG_STATE_HOME/moltghost`` (``~/.local/state/moltghost``).

    Tests set ``MOLTGHOST_STATE`` to a folder of their own: they never touch a user's cluster.
    """
    if explicit := os.environ.get("MOLTGHOST_STATE"):
        return Path(explicit)
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "moltghost"


def cluster_home() -> Path:
    """The embedded cluster's folder: data, certificates, logs, pids, kubeconfig."""
    return state_home() / "cluster"


def stacks_home() -> Path:
    """The embedded engine's state files, one per stack."""
    return state_home() / "stacks"


def kubeconfig() -> Path:
    """The kubeconfig that the embedded cluster writes (mode 0600)."""
    return cluster_home() / "kubeconfig"
