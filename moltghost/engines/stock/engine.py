"""The stock engine as the command uses it: the Pulumi CLI through the Automation API."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pulumi.automation import CommandError, EngineEvent, Stack
from pulumi.automation.events import StepEventMetadata

from moltghost.engines.interface import (
    SECRET_TEXT,
    Drift,
    Preview,
    Protected,
    Result,
    StackSummary,
)
from moltghost.engines.pulumi.project import read_project
from moltghost.engines.stock.checkpoint import from_checkpoint
from moltghost.engines.stock.checks import managed, refuse_protected, refuse_replacements
from moltghost.engines.stock.drift import find_drift
from moltghost.engines.stock.errors import explained
from moltghost.engines.stock.events import EventLog
from moltghost.engines.stock.stopping import stoppable
from moltghost.engines.stock.workspace import Stacks
from moltghost.errors import Failed, MoltghostError, Refused
from moltghost.ownership import belongs_to, embedded_stacks
from moltghost.policy.config import config_file
from moltghost.policy.gate import judged
from moltghost.policy.pack import FOLDER, has_pack
from moltghost.progress import Event, Report


class StockEngine:
    """Runs the stacks of one project with the Pulumi CLI.

    Args:
        project: the folder of ``Pulumi.yaml``.

    Raises:
        Refused: the folder is no Python project, or there is no CLI that fits.
    """

    name = "stock"

    def __init__(self, project: Path) -> None:
        self._project = read_project(project)
        self._stacks = Stacks(self._project)

    def preview(self, stack: str, *, config: Path | None = None, report: Report) -> Preview:
        """What ``up`` would do. A stack that isn't there yet is made for it, and removed again.

        Raises:
            Refused: ``up`` would not do it.
        """
        self._require_ours(stack)

        def work() -> Preview:
            found = self._stacks.select(stack)
            basis = self._basis(stack, found, config)
            if found:
                return replace(self._preview(found, config, report), basis=basis)
            with self._stacks.created(stack, config, temporary=True) as made:
                return replace(self._preview(made, config, report), basis=basis)

        return stoppable(self._stacks.command, work)

    def up(
        self,
        stack: str,
        *,
        config: Path | None = None,
        report: Report,
        expect: Preview | None = None,
    ) -> Result:
        """Make the cluster what the program says, and wait until it is ready.

        Raises:
            Refused: nothing was changed.
            Failed: some of it didn't succeed; the state has what was done.
        """
        self._require_ours(stack)
        began = time.monotonic()

        def work() -> Result:
            found = self._stacks.select(stack)
            if expect and expect.basis != self._basis(stack, found, config):
                raise Refused(
                    f"stack {stack} or its configuration has changed since the preview",
                    "look at the new preview first",
                )
            if found:
                return self._up(found, config, report, expect, began)
            with self._stacks.created(stack, config) as made:
                return self._up(made, config, report, expect, began)

        return stoppable(self._stacks.command, work)

    def destroy(self, stack: str, *, protected: Protected, report: Report) -> Result:
        """Delete what the state records, as ``pulumi destroy`` does.

        Raises:
            Refused: there is no such stack, it has protected resources that are neither to be
                kept nor deleted, or the CLI can't delete them; nothing was changed.
            Failed: some of it is still there; the state has what is left.
        """
        self._require_ours(stack)
        began = time.monotonic()
        found = self._stacks.require(stack)
        if protected == "refuse":
            refuse_protected(stack, self._stacks.deployment(found))
        if protected == "delete":
            self._stacks.ignore_protection(found)
        log = EventLog(stack, report, dry_run=False)

        def work() -> None:
            with self._failures(stack, log, Failed):
                found.destroy(
                    exclude_protected=protected == "keep" or None,
                    on_event=log.take,
                    suppress_outputs=True,
                    show_secrets=False,
                )

        stoppable(self._stacks.command, work)
        if not managed(self._stacks.deployment(found)):
            self._stacks.remove(stack)
        return Result(
            stack=stack,
            steps=tuple(log.steps),
            outputs={},
            seconds=time.monotonic() - began,
            warnings=log.warnings,
        )

    def drift(self, stack: str, *, report: Report) -> Drift:
        """How clusters and clouds differ from what the last ``up`` applied, by a refresh's preview.

        Raises:
            Refused: there is no such stack, or a provider can't reach what it made.
        """
        self._require_ours(stack)
        found = self._stacks.require(stack)
        log = EventLog(stack, report, dry_run=True)
        refreshed: list[StepEventMetadata] = []

        def take(event: EngineEvent) -> None:
            log.take(event)
            if event.res_outputs_event:
                refreshed.append(event.res_outputs_event.metadata)

        def work() -> Drift:
            with self._failures(stack, log, Refused):
                found.preview_refresh(
                    on_event=take, run_program=False, suppress_outputs=True, show_secrets=False
                )
            state = from_checkpoint(
                self._stacks.deployment(found),
                stack=stack,
                project=self._project.name,
                clusters={},
            )
            return find_drift(refreshed, state)

        task = f"drift {stack}"
        with _told(report, task):
            drift = stoppable(self._stacks.command, work)
        detail = f"{len(drift.objects)} of {drift.checked} objects"
        report(Event(task=task, state="done", detail=detail))
        return drift

    def outputs(self, stack: str, *, show_secrets: bool = False) -> dict[str, Any]:
        """The outputs of the last ``up``.

        Raises:
            Refused: there is no such stack.
        """
        try:
            found = self._stacks.require(stack).outputs()
        except CommandError as error:
            raise explained(Refused, stack, error) from error
        return {
            name: SECRET_TEXT if output.secret and not show_secrets else output.value
            for name, output in found.items()
        }

    def stacks(self) -> list[StackSummary]:
        """The stacks that the backend has of this project and that were applied, by name."""
        return [
            StackSummary(
                name=each.name.rpartition("/")[2],
                engine=self.name,
                updated=each.last_update.replace(tzinfo=UTC) if each.last_update else _NEVER,
                resource_count=each.resource_count,
            )
            for each in sorted(self._stacks.names(), key=lambda each: each.name)
            if each.resource_count
        ]

    def _preview(self, stack: Stack, config: Path | None, report: Report) -> Preview:
        log = EventLog(stack.name, report, dry_run=True)
        task = f"preview {stack.name}"
        with _told(report, task):
            with self._failures(stack.name, log, Refused):
                stack.preview(on_event=log.take, **self._options(stack.name, config))
            found = judged(stack.name, log.findings)
            refuse_replacements(log.steps)
        report(Event(task=task, state="done", detail=f"{len(log.steps)} resources"))
        return Preview(
            stack=stack.name,
            steps=tuple(log.steps),
            outputs=log.outputs,
            warnings=(*log.warnings, *found),
            findings=tuple(found),
        )

    def _up(
        self,
        stack: Stack,
        config: Path | None,
        report: Report,
        expect: Preview | None,
        began: float,
    ) -> Result:
        preview = expect or self._preview(stack, config, report)
        log = EventLog(stack.name, report, dry_run=False)
        with self._failures(stack.name, log, Failed):
            done = stack.up(
                on_event=log.take, show_secrets=False, **self._options(stack.name, config)
            )
        return Result(
            stack=stack.name,
            steps=tuple(log.steps),
            outputs={
                name: SECRET_TEXT if output.secret else output.value
                for name, output in done.outputs.items()
            },
            seconds=time.monotonic() - began,
            warnings=tuple(dict.fromkeys((*preview.warnings, *log.warnings))),
        )

    def _options(self, stack: str, config: Path | None) -> dict[str, Any]:
        """What every preview and update is told, so that both engines do the same."""
        options: dict[str, Any] = {"suppress_outputs": True, "refresh": True}
        if config:
            options["config_file"] = str(config)
        if has_pack(self._project.folder):
            pack = self._project.folder / FOLDER
            options["policy_packs"] = [str(pack)]
            rules = config_file(pack, stack.rpartition(".")[2])
            if rules.is_file():
                options["policy_pack_configs"] = [str(rules)]
        return options

    def _require_ours(self, stack: str) -> None:
        if stack in embedded_stacks(self._project.name):
            raise belongs_to("embedded", stack, "stock")

    def _basis(self, stack: str, found: Stack | None, config: Path | None) -> str:
        path = config or self._project.config_file(stack)
        text = path.read_bytes() if path.exists() else b""
        version = self._stacks.version(found) if found else "never"
        return f"{version}-{hashlib.sha256(text).hexdigest()}"

    @contextmanager
    def _failures(self, stack: str, log: EventLog, raised: type[MoltghostError]) -> Iterator[None]:
        try:
            yield
        except CommandError as error:
            if raised is Refused:
                judged(stack, log.findings)
            raise explained(raised, stack, error, log.errors, log.warnings) from error


@contextmanager
def _told(report: Report, task: str) -> Iterator[None]:
    """Report that a task begins, and its error if it fails."""
    report(Event(task=task, state="started"))
    try:
        yield
    except MoltghostError as error:
        report(Event(task=task, state="failed", detail=error.message))
        raise


_NEVER = datetime.fromtimestamp(0, UTC)
