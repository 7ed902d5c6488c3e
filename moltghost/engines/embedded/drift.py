"""Compares what a stack applied last with its cluster, without running its program."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from moltghost.engines.embedded.conversions import clusters_in_use
from moltghost.engines.embedded.journal import Journal
from moltghost.engines.embedded.kubernetes.provider import KubernetesProvider
from moltghost.engines.embedded.providers import Providers
from moltghost.engines.interface import Drift, DriftedObject
from moltghost.engines.interrupt import stop_if
from moltghost.engines.kubernetes.recorded import recorded
from moltghost.engines.pulumi.state import ResourceState, StackState, StateStore
from moltghost.engines.pulumi.urn import is_provider
from moltghost.progress import Event, Report

_THREADS = 8


def find_drift(
    state: StackState, store: StateStore, report: Report, cancelled: threading.Event
) -> Drift:
    """How the cluster differs from the state. Changes nothing.

    Raises:
        Refused: the cluster isn't running, or is another one than the state's.
    """
    task = f"drift {state.stack}"
    report(Event(task=task, state="started"))
    resources = [each for each in state.resources if _is_object(each)]
    providers = Providers(
        state.stack,
        state.project,
        clusters_in_use(state),
        Journal(state, store),
        lambda _warning: None,
        cancelled,
    )
    with closing(providers), ThreadPoolExecutor(_THREADS, thread_name_prefix="drift") as pool:
        pairs = list(_with_providers(resources, providers))

        def look(pair: tuple[ResourceState, KubernetesProvider]) -> DriftedObject | None:
            stop_if(cancelled)
            return pair[1].drift(pair[0])

        found = [each for each in pool.map(look, pairs) if each]
        gone = {each.title for each in found if each.state == "gone"}
        for resource, provider in pairs:
            who = recorded(resource)
            if who.kind == "Namespace" and who.title not in gone:
                stop_if(cancelled)
                replaced = {each.title for each in found if each.state == "replaced"}
                found += [
                    each for each in provider.strangers(who.name) if each.title not in replaced
                ]
    report(Event(task=task, state="done", detail=f"{len(found)} of {len(resources)} objects"))
    return Drift(
        stack=state.stack,
        objects=tuple(sorted(found, key=lambda each: (each.state == "stranger", each.title))),
        checked=len(resources),
    )


def _with_providers(
    resources: list[ResourceState], providers: Providers
) -> Iterator[tuple[ResourceState, KubernetesProvider]]:
    for resource in resources:
        provider = providers.of_state(resource)
        if isinstance(provider, KubernetesProvider):
            yield resource, provider


def _is_object(resource: ResourceState) -> bool:
    managed = resource.custom and not resource.external and not resource.delete
    return managed and not is_provider(resource.type) and resource.type.startswith("kubernetes:")
