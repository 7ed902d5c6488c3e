"""Moves a stack from one engine to the other, and proves that the other one has it all.

The state is taken over whole, generated secrets included; objects in the cluster are handed to the
new owner's field manager and marked as its own. Then the new owner previews: what it finds must be
no change at all. Until then the old owner's state is kept, and a move that fails is undone.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from moltghost import paths
from moltghost.engines.embedded.crypto import Keyring
from moltghost.engines.embedded.engine import EmbeddedEngine
from moltghost.engines.embedded.kubernetes.objects import MANAGER
from moltghost.engines.embedded.project import read_project
from moltghost.engines.embedded.state import StateStore
from moltghost.engines.handover import hand_over
from moltghost.engines.interface import Op, Preview
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

_ASIDE = ".moved"


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
        self._store = StateStore(paths.stacks_home(), Keyring(paths.state_home() / "key"))
        self._backend = Stacks(self._project)
        self._stock = StockEngine(project)
        self._embedded = EmbeddedEngine(project)

    def names(self, engine: EngineName) -> list[str]:
        """The stacks that an engine has, an interrupted move's included."""
        if engine == "stock":
            return [each.name for each in self._stock.stacks()]
        for file in self._store.folder.glob(f"*.json{_ASIDE}"):
            file.rename(file.with_suffix(""))  # a move that was killed
        return self._store.names()

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
        record = self._store.path(stack)
        aside = record.with_name(f"{record.name}{_ASIDE}")
        existing = self._backend.select(stack)
        with self._backend.opened(stack) as target:
            deployment = self._backend.deployment(target)
            deployment["resources"] = to_checkpoint(state)
            self._backend.replace_deployment(stack, deployment)

            def undo() -> None:
                aside.rename(record)
                hand_over(state, "embedded", lambda _resource: (MANAGER, MANAGER))
                if not existing:
                    self._backend.remove(stack, force=True)

            record.rename(aside)
            hand_over(state, "stock", lambda _resource: (MANAGER, MANAGER))
            self._verify(stack, lambda: self._stock.preview(stack, report=self._report), undo)
        aside.unlink()
        return len(state.resources)

    def _to_embedded(self, stack: str) -> int:
        found = self._backend.require(stack)
        deployment = self._backend.deployment(found)
        resources = deployment.get("resources") or []
        doubtful = [each for each in resources if each.get("delete") or each.get("initErrors")]
        _require_complete(stack, [*(deployment.get("pending_operations") or []), *doubtful])
        state = from_checkpoint(deployment, stack=stack, project=self._project.name, clusters={})
        before = field_managers(deployment)
        state.clusters = hand_over(
            state, "embedded", lambda resource: (before.get(resource.urn, MANAGER), MANAGER)
        )
        self._store.save(state)

        def undo() -> None:
            self._store.remove(stack)
            hand_over(state, "stock", lambda resource: (MANAGER, before.get(resource.urn, MANAGER)))

        def preview() -> Preview:
            found = self._embedded.preview(stack, report=self._report)
            if not fill_empties(state, found):
                return found
            self._store.save(state)
            return self._embedded.preview(stack, report=self._report)

        self._verify(stack, preview, undo)
        self._backend.remove(stack, force=True)
        return len(state.resources)

    def _verify(self, stack: str, preview: Callable[[], Preview], undo: Callable[[], None]) -> None:
        """Look whether the new owner finds anything to change.

        Raises:
            Failed: it does; the move was undone.
        """
        try:
            found = preview()
        except BaseException:
            undo()
            raise
        if found.changes:
            undo()
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
