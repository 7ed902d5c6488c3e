"""Deleting resources side by side, each after everything that needs it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from moltghost.engines.pulumi.state import ResourceState
from moltghost.errors import MoltghostError

_THREADS = 16


@dataclass(frozen=True)
class NotDeleted:
    """A resource that is still there, and why."""

    resource: ResourceState
    error: MoltghostError


def delete_all(
    resources: Sequence[ResourceState],
    delete: Callable[[ResourceState], None],
    cancelled: threading.Event,
) -> list[NotDeleted]:
    """Delete resources in reverse order of dependency, in parallel where there is none.

    Args:
        resources: what to delete.
        delete: deletes one of them; called from several threads.
        cancelled: when set, nothing new is begun.

    Returns:
        What could not be deleted. What those need is left alone and not reported.
    """
    waiting = dependents(resources)
    failed: list[NotDeleted] = []
    running: dict[Future[None], int] = {}
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="delete") as pool:
        while True:
            if not cancelled.is_set():
                for index in [index for index, needed_by in waiting.items() if not needed_by]:
                    del waiting[index]
                    running[pool.submit(delete, resources[index])] = index
            if not running:
                return failed
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                index = running.pop(future)
                try:
                    future.result()
                except MoltghostError as error:
                    failed.append(NotDeleted(resources[index], error))
                else:
                    for needed_by in waiting.values():
                        needed_by.discard(index)


def dependents(resources: Sequence[ResourceState]) -> dict[int, set[int]]:
    """By position: which of the others must be deleted before.

    A namespaced Kubernetes object goes before its namespace even where the program gave the
    namespace as plain text.
    """
    by_urn: dict[str, list[int]] = {}
    for index, resource in enumerate(resources):
        by_urn.setdefault(resource.urn, []).append(index)
    namespaces = {
        (resource.provider, resource.id): index
        for index, resource in enumerate(resources)
        if resource.type == "kubernetes:core/v1:Namespace"
    }
    found: dict[int, set[int]] = {index: set() for index in range(len(resources))}
    for index, resource in enumerate(resources):
        targets = [target for urn in resource.needs() for target in by_urn.get(urn, [])]
        home = namespaces.get((resource.provider, resource.id.partition("/")[0]))
        if home is not None and "/" in resource.id:
            targets.append(home)
        for target in targets:
            if target != index:
                found[target].add(index)
    return found
