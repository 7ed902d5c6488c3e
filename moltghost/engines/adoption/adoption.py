"""Moves a stack from one engine to the other, and proves that the other one has it all.

The state is taken over whole, generated secrets included; objects in the cluster are handed to the
new owner's field manager and marked as its own. Then the new owner previews: what it finds must be
no change at all. Until then the old owner's state is kept, and a move that fails is undone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from moltghost import paths
from moltghost.engines.adoption.handover import connected, hand_over
from moltghost.engines.embedded.engine import EmbeddedEngine
from moltghost.engines.interface import Op, Preview
from moltghost.engines.kubernetes.objects import MANAGER
from moltghost.engines.pulumi.passphrase import Keyring
from moltghost.engines.pulumi.project import read_project
from moltghost.engines.pulumi.state import ResourceState, StateStore
from moltghost.engines.stock.checkpoint import (
    field_managers,
    fill_empties,
    from_checkpoint,
    to_checkpoint,
)
from moltghost.engines.stock.engine import StockEngine
from moltghost.engines.stock.workspace import Stacks
from moltghost.errors import Failed, MoltghostError, Refused
from moltghost.ownership import EngineName
from moltghost.progress import Event, Report


class Adoption:
    """Moves the stacks of one project.

    Args:
        project: the folder of ``Pulumi.yaml``.
        report: receives progress.

    Raises:
        Refused: there is no Pulumi CLI, which one of the two engines needs.
    """

    def __init__(self, project: Path, report: Report) -> None:
        self._project = read_project(project)
        self._report = report
        self._store = StateStore(
            paths.stacks_home(self._project.name), Keyring(paths.key_file(self._project.name))
        )
        self._backend = Stacks(self._project)
        self._stock = StockEngine(project)
        self._embedded = EmbeddedEngine(project)

    def names(self, engine: EngineName) -> list[str]:
        """The stacks that an engine has, an interrupted move's included."""
        if engine == "stock":
            return [each.name for each in self._stock.stacks()]
        return sorted({*self._store.names(), *self._store.names_aside()})

    def adopt(self, stack: str, engine: EngineName) -> int:
        """Give a stack to ``engine``.

        Returns:
            How many resources it has.

        Raises:
            Refused: the other engine doesn't have it, or it isn't complete.
            Failed: the new owner would change something; everything is as it was.
        """
        task = f"adopt {stack}"
        self._report(Event(task=task, state="started"))
        try:
            with self._store.locked(stack, "adopt"):
                self._store.take_back(stack)  # a move was killed
                count = self._to_stock(stack) if engine == "stock" else self._to_embedded(stack)
        except MoltghostError as error:
            self._report(Event(task=task, state="failed", detail=error.message))
            raise
        self._report(Event(task=task, state="done", detail=f"{count} resources"))
        return count

    def _to_stock(self, stack: str) -> int:
        state = self._store.load(stack)
        if state is None:
            raise Refused(f"the embedded engine has no stack {stack}", "nothing is to be moved")
        _require_complete(stack, [*state.pending, *(r for r in state.resources if r.delete)])
        ours = (MANAGER, MANAGER)
        with (
            connected(state) as clients,
            self._backend.opened(stack) as target,
            _undone_if_it_fails() as undo,
        ):
            before = self._backend.deployment(target)
            undo.callback(hand_over, clients, state, "embedded", lambda _resource: ours)
            undo.callback(self._backend.replace_deployment, stack, before)
            undo.callback(self._store.take_back, stack)
            resources = to_checkpoint(state)
            self._backend.replace_deployment(stack, {**before, "resources": resources})
            self._store.put_aside(stack)
            hand_over(clients, state, "stock", lambda _resource: ours)
            _require_no_change(stack, self._stock.preview(stack, report=self._report))
        self._store.aside(stack).unlink()
        return len(state.resources)

    def _to_embedded(self, stack: str) -> int:
        found = self._backend.require(stack)
        deployment = self._backend.deployment(found)
        resources = deployment.get("resources") or []
        doubtful = [each for each in resources if each.get("delete") or each.get("initErrors")]
        _require_complete(stack, [*(deployment.get("pending_operations") or []), *doubtful])
        state = from_checkpoint(deployment, stack=stack, project=self._project.name, clusters={})
        managers = field_managers(deployment)

        def theirs(resource: ResourceState) -> str:
            return managers.get(resource.urn, MANAGER)

        with connected(state) as clients, _undone_if_it_fails() as undo:
            undo.callback(hand_over, clients, state, "stock", lambda each: (MANAGER, theirs(each)))
            undo.callback(self._store.remove, stack)
            hand_over(clients, state, "embedded", lambda each: (theirs(each), MANAGER))
            state.clusters = {urn: client.cluster_uid() for urn, client in clients.items()}
            self._store.save(state)
            preview = self._embedded.preview(stack, report=self._report)
            if fill_empties(state, preview):
                self._store.save(state)
                preview = self._embedded.preview(stack, report=self._report)
            _require_no_change(stack, preview)
        self._backend.remove(stack, force=True)
        return len(state.resources)


@contextmanager
def _undone_if_it_fails() -> Iterator[ExitStack]:
    """Take steps back, the last first and each whatever becomes of the others, on any error.

    Raises:
        Failed: undoing failed as well.
    """
    undo = ExitStack()
    try:
        yield undo
    except BaseException as error:
        try:
            undo.close()
        except MoltghostError as second:
            first = error.message if isinstance(error, MoltghostError) else repr(error)
            raise Failed(
                f"{first}\nUndoing the move failed as well: {second.message}",
                second.hint or "run the same command again",
            ) from error
        raise


def _require_no_change(stack: str, found: Preview) -> None:
    """What a move leaves must be what the new owner would make.

    Raises:
        Failed: it would change something.
    """
    if found.changes:
        changed = "\n".join(
            f"  {step.op} {step.title}: {', '.join(change.path for change in step.diff)}"
            for step in found.steps
            if step.custom and step.op not in (Op.SAME, Op.READ)
        )
        raise Failed(
            f"stack {stack} stays where it is: its new engine would change\n{changed}",
            f"bring it up with the engine that it has first: moltghost up {stack}",
        )


def _require_complete(stack: str, doubtful: list[Any]) -> None:
    if doubtful:
        raise Refused(
            f"the last change of stack {stack} isn't complete, and is not to be moved half-done",
            f"finish it with the engine that it has: moltghost up {stack}",
        )
