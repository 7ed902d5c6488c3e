"""The state while it changes: every step is on disk before the next one builds on it.

Before something is created, the intention is written; after a kill, the next run finds either
nothing, or an object of ours that it takes up. Threads that write at the same time share one
write to the disk.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime

from moltghost.engines.pulumi.state import ResourceState, StackState, StateStore
from moltghost.errors import Failed


class Journal:
    """The resources of one stack during one run; called from many threads.

    Resources already dealt with come first, in the order in which they were done, then what the
    last run left: so each comes after what it needs.

    Args:
        state: the state as the last run left it.
        store: where it is written.
    """

    def __init__(self, state: StackState, store: StateStore) -> None:
        self._state = state
        self._store = store
        self._old = {item.urn: item for item in state.resources if not item.delete}
        self._doomed = [item for item in state.resources if item.delete]
        self._pending = {(item.urn, item.id): item for item in state.pending}
        self._new: dict[str, ResourceState] = {}
        self._lock = threading.Lock()
        self._write_lock = threading.Lock()
        self._version = 0
        self._written = 0

    def old(self, urn: str) -> ResourceState | None:
        """What the last run left of a resource."""
        return self._old.get(urn)

    def current(self, urn: str) -> ResourceState | None:
        """What this run made of a resource."""
        return self._new.get(urn)

    def begun(self, urn: str) -> frozenset[str]:
        """Ids of objects of this resource besides its present one.

        An earlier run was stopped while it created them, or before it deleted them.
        """
        with self._lock:
            doomed = {item.id for item in self._doomed if item.urn == urn}
            return frozenset(doomed | {id_ for key, id_ in self._pending if key == urn})

    def rename(self, old_urn: str, urn: str) -> None:
        """Take up a resource under its new URN."""
        with self._lock:
            old = self._old.pop(old_urn)
            self._old[urn] = replace(old, urn=urn)

    def begin(self, resource: ResourceState) -> None:
        """Write down that a resource is about to be created."""
        with self._lock:
            self._pending[(resource.urn, resource.id)] = resource
        self._commit()

    def keep(self, resource: ResourceState) -> None:
        """Take over a resource that needs no write of its own."""
        with self._lock:
            self._put(resource)
            self._version += 1

    def record(self, resource: ResourceState, *, replaced: ResourceState | None = None) -> None:
        """Write down what became of a resource.

        Args:
            resource: what it is now.
            replaced: the object that it takes the place of, to be deleted at the end.
        """
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        with self._lock:
            self._put(replace(resource, created=resource.created or now, modified=now))
            self._pending.pop((resource.urn, resource.id), None)
            self._doomed = [item for item in self._doomed if not _same_object(item, resource)]
            if replaced:
                self._doomed.append(replace(replaced, delete=True))
        self._commit()

    def drop(self, resource: ResourceState) -> None:
        """Write down that a resource is gone."""
        with self._lock:
            if resource.delete:
                self._doomed = [item for item in self._doomed if item is not resource]
            elif self._pending.pop((resource.urn, resource.id), None) is not resource:
                self._new.pop(resource.urn, None)
                self._old.pop(resource.urn, None)
        self._commit()

    def set_cluster(self, provider_urn: str, uid: str) -> None:
        """Remember which cluster a provider's objects are in; written with the next change."""
        with self._lock:
            self._state.clusters[provider_urn] = uid
            self._version += 1

    def leftovers(self) -> list[ResourceState]:
        """What is in the state and was not asked for in this run; replaced objects included."""
        with self._lock:
            unseen = [item for urn, item in self._old.items() if urn not in self._new]
            return [*unseen, *self._doomed]

    def unfinished(self) -> list[ResourceState]:
        """Creations that were begun by an earlier run and not taken up by this one."""
        with self._lock:
            return list(self._pending.values())

    def finish(self) -> StackState:
        """Write what was not written yet.

        Raises:
            Failed: it couldn't be written.
        """
        if self._written < self._version:
            self._commit()
        return self._snapshot()

    def _put(self, resource: ResourceState) -> None:
        self._new[resource.urn] = resource

    def _commit(self) -> None:
        with self._lock:
            self._version += 1
            mine = self._version
        with self._write_lock:
            if self._written >= mine:
                return
            with self._lock:
                snapshot, version = self._snapshot(), self._version
            try:
                self._store.save(snapshot)
            except OSError as error:
                raise Failed(
                    f"the state of stack {self._state.stack} can't be written: {error}",
                    "the state before this step is intact; make room or correct the folder, "
                    "then run the command again",
                ) from error
            self._state.salt = snapshot.salt
            self._written = version

    def _snapshot(self) -> StackState:
        unseen = [item for urn, item in self._old.items() if urn not in self._new]
        return replace(
            self._state,
            resources=[*self._new.values(), *unseen, *self._doomed],
            pending=list(self._pending.values()),
        )


def _same_object(one: ResourceState, other: ResourceState) -> bool:
    return (one.urn, one.id) == (other.urn, other.id)
