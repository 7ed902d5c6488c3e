"""The embedded cluster's end: what the engine recorded of it goes with it."""

from __future__ import annotations

import shutil

from moltghost import paths
from moltghost.local.cluster import EmbeddedCluster


def remove_cluster(cluster: EmbeddedCluster) -> list[str]:
    """Stop the cluster, remove its data and the stacks that were in it; returns what went.

    A stack's record without its cluster would only say what no longer exists. Stack config files
    stay: they are the user's.
    """
    removed = cluster.down()
    stacks = paths.stacks_home()
    if stacks.is_dir():
        shutil.rmtree(stacks)
        removed.append(f"records of the embedded engine in {stacks}")
    return removed
