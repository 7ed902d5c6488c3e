"""The embedded cluster's beginning and end: images come with it, records go with it."""

from __future__ import annotations

import shutil

from moltghost import paths
from moltghost.errors import Refused
from moltghost.images import store
from moltghost.local import builder, programs
from moltghost.local.cluster import ClusterStatus, EmbeddedCluster
from moltghost.local.node.requirements import unavailable
from moltghost.progress import Event, Report


def bring_up(report: Report, *, machine: bool) -> ClusterStatus:
    """Start the environment's cluster; with the machine's own node, bring that one its images.

    Args:
        report: told what is built and started.
        machine: whether the environment's config has that node. A machine that can't have one goes
            without, and says why.

    Raises:
        Refused: the machine can't have the cluster.
        Failed: a build failed, or a process did not become healthy.
    """
    reason = unavailable() if machine else ""
    if reason:
        detail = f"left out, pods are only simulated: {reason}"
        report(Event(task="the machine's own node", state="cached", detail=detail))
    wanted = machine and not reason
    if wanted:
        # In one go: Go and the caches of its builds are set up once.
        builder.ensure_built(
            report, [*programs.CONTROL_PLANE, *programs.NODE, *store.needed_programs()]
        )
    cluster = EmbeddedCluster(report=report, machine=wanted)
    status = cluster.up()
    if status.node_address:
        _bring_images(cluster, report)
    return status


def _bring_images(cluster: EmbeddedCluster, report: Report) -> None:
    """Build the images that aren't built, and import those that the node hasn't."""
    images = cluster.machine.images
    for archive in store.ensure_built(report):
        if images.digest(archive.reference) == archive.digest:
            continue
        task = f"import {archive.reference}"
        report(Event(task=task, state="started"))
        images.import_image(archive.file)
        if images.digest(archive.reference) != archive.digest:
            raise Refused(
                f"the node has another image under the name {archive.reference}",
                "moltghost local down, then up, starts with an empty node",
            )
        report(Event(task=task, state="done"))


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
