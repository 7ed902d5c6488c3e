"""The embedded cluster's beginning and end: images come with it, records go with it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from moltghost import paths
from moltghost.engines.pulumi.passphrase import Keyring
from moltghost.engines.pulumi.state import StateStore
from moltghost.errors import Refused
from moltghost.images import store
from moltghost.local.build import builder, programs
from moltghost.local.cluster.cluster import ClusterStatus, EmbeddedCluster
from moltghost.local.node.requirements import unavailable
from moltghost.ownership import embedded_projects
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
        _build(report)
    cluster = EmbeddedCluster(report=report, machine=wanted)
    status = cluster.up()
    if status.node_address:
        _bring_images(cluster, report)
    return status


def _build(report: Report) -> None:
    """Build the programs, and beside them the images that need none, which are mostly downloads."""
    apart = [recipe.name for recipe in store.RECIPES if not recipe.programs]
    with ThreadPoolExecutor(1) as pool:
        images = pool.submit(store.ensure_built, report, apart)
        # In one go: Go and the caches of its builds are set up once.
        builder.ensure_built(
            report, [*programs.CONTROL_PLANE, *programs.NODE, *store.needed_programs()]
        )
        images.result()


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


def recorded_stacks() -> list[tuple[str, str]]:
    """The stacks of the embedded engine that are in the embedded cluster: project and name."""
    return [
        (project, stack)
        for project in embedded_projects()
        for stack in _store(project).names_in(paths.kubeconfig())
    ]


def remove_cluster(cluster: EmbeddedCluster) -> list[str]:
    """Stop the cluster, remove its data and the records of the stacks in it; returns what went.

    A stack's record without its cluster would only say what no longer exists. Records of stacks in
    other clusters stay, and stack config files: they are the user's.

    Raises:
        Refused: a stack in the cluster is being changed; nothing was removed.
    """
    stacks = recorded_stacks()
    with ExitStack() as locks:
        for project, stack in stacks:
            locks.enter_context(_store(project).locked(stack, "local down"))
        removed = cluster.down()
        for project, stack in stacks:
            _store(project).remove(stack)
    return [*removed, *(f"record of stack {stack} of {project}" for project, stack in stacks)]


def _store(project: str) -> StateStore:
    return StateStore(paths.stacks_home(project), Keyring(paths.key_file(project)))
