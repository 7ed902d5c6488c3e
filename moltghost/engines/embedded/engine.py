"""The embedded engine as the command uses it."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from moltghost import paths
from moltghost.engines.embedded.conversions import Failure
from moltghost.engines.embedded.destroy import kept_resources
from moltghost.engines.embedded.drift import find_drift
from moltghost.engines.embedded.journal import Journal
from moltghost.engines.embedded.monitor import Monitor
from moltghost.engines.embedded.policy_gate import Analyze, PolicyGate, no_policies
from moltghost.engines.embedded.preview_run import PreviewRun
from moltghost.engines.embedded.program import run_program
from moltghost.engines.embedded.references import foreign_outputs
from moltghost.engines.embedded.run import Run
from moltghost.engines.embedded.update_run import UpdateRun
from moltghost.engines.interface import Drift, Preview, Protected, Result, StackSummary
from moltghost.engines.interrupt import interruptible
from moltghost.engines.pulumi.passphrase import Keyring
from moltghost.engines.pulumi.project import read_config, read_project
from moltghost.engines.pulumi.state import ENGINE, ResourceState, StackState, StateStore
from moltghost.engines.pulumi.urn import is_provider, project_of, stack_of
from moltghost.engines.pulumi.values import masked, plain
from moltghost.errors import Failed, Interrupted, MoltghostError, Refused
from moltghost.progress import Event, Report


class EmbeddedEngine:
    """Runs the stacks of one project without the Pulumi CLI.

    Args:
        project: the folder of ``Pulumi.yaml``.
        state: the folder of the state files; by default the project's.
        key: the file of the key that secrets are encrypted with; by default the project's.
        analyze: the policies; none by default.

    Raises:
        Refused: the folder is no Python project.
    """

    name = ENGINE

    def __init__(
        self,
        project: Path,
        *,
        state: Path | None = None,
        key: Path | None = None,
        analyze: Analyze | None = None,
    ) -> None:
        self._project = read_project(project)
        self._keyring = Keyring(key or paths.key_file(self._project.name))
        self._analyze = analyze or no_policies
        self._store = StateStore(state or paths.stacks_home(self._project.name), self._keyring)

    def preview(self, stack: str, *, config: Path | None = None, report: Report) -> Preview:
        """What ``up`` would do.

        Raises:
            Refused: ``up`` would not do it, e.g. because the API server wouldn't accept it.
        """
        state = self._load(stack)
        return interruptible(lambda cancelled: self._preview(state, config, report, cancelled))

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
        began = time.monotonic()
        with self._store.locked(stack, "up"):
            if expect and expect.basis != self._basis(stack, config):
                raise Refused(
                    f"stack {stack} or its configuration has changed since the preview",
                    "look at the new preview first",
                )
            run = interruptible(
                lambda cancelled: self._up(stack, config, report, expect, cancelled)
            )
        return Result(
            stack=stack,
            steps=tuple(run.steps),
            outputs=masked(run.outputs),
            seconds=time.monotonic() - began,
            warnings=run.warnings,
        )

    def destroy(self, stack: str, *, protected: Protected, report: Report) -> Result:
        """Delete what the state records, in reverse order of dependency.

        Raises:
            Refused: there is no such stack, its cluster isn't running, or it has protected
                resources that are neither to be kept nor deleted; nothing was changed.
            Failed: some of it is still there; the state has what is left.
        """
        began = time.monotonic()
        with self._store.locked(stack, "destroy"):
            state = self._existing(stack)
            kept = kept_resources(state, protected)
            run = interruptible(lambda cancelled: self._destroy(state, kept, report, cancelled))
        return Result(
            stack=stack,
            steps=tuple(run.steps),
            outputs={},
            seconds=time.monotonic() - began,
            warnings=run.warnings,
        )

    def drift(self, stack: str, *, report: Report) -> Drift:
        """How the cluster differs from what the last ``up`` applied.

        Raises:
            Refused: there is no such stack, or its cluster isn't running.
        """
        state = self._existing(stack)
        return interruptible(lambda cancelled: find_drift(state, self._store, report, cancelled))

    def outputs(self, stack: str, *, show_secrets: bool = False) -> dict[str, Any]:
        """The outputs of the last ``up``.

        Raises:
            Refused: there is no such stack.
        """
        outputs = self._existing(stack).outputs()
        shown: dict[str, Any] = plain(outputs) if show_secrets else masked(outputs)
        return shown

    def stacks(self) -> list[StackSummary]:
        """The stacks that this engine keeps, by name."""
        found = [state for name in self._store.names() if (state := self._store.load(name))]
        return [
            StackSummary(
                name=state.stack,
                engine=self.name,
                updated=state.updated,
                resource_count=len([item for item in state.resources if _counts(item)]),
            )
            for state in found
        ]

    def forget(self, stack: str) -> int:
        """Drop the state of a stack whose cluster no longer exists. Deletes nothing in any cluster.

        Returns:
            How many resources were forgotten.

        Raises:
            Refused: there is no such stack.
        """
        with self._store.locked(stack, "forget"):
            state = self._existing(stack)
            self._store.remove(stack)
        return len([item for item in state.resources if _counts(item)])

    def _preview(
        self, state: StackState, config: Path | None, report: Report, cancelled: threading.Event
    ) -> Preview:
        run = PreviewRun(state, Journal(state, self._store), self._references, report, cancelled)
        task = f"preview {state.stack}"
        report(Event(task=task, state="started"))
        try:
            with closing(run.providers):
                self._run_program(run, config)
            run.settle_doubts()
            _raise_failures(run.failures, Refused, f"stack {state.stack} can't be applied")
            run.plan_deletions()
            found = self._analyze(self._project.folder, state.stack, run.analyzed)
        except MoltghostError as error:
            report(Event(task=task, state="failed", detail=error.message))
            raise
        report(Event(task=task, state="done", detail=f"{len(run.steps)} resources"))
        return Preview(
            stack=state.stack,
            steps=tuple(run.steps),
            outputs=masked(run.outputs),
            warnings=(*run.warnings, *found),
            needs_stock=tuple(sorted(run.needs_stock)),
            needs_stacks=tuple(sorted(run.needs_stacks)),
            findings=tuple(found),
            resources=tuple(run.analyzed),
            basis=self._basis(state.stack, config),
        )

    def _up(
        self,
        stack: str,
        config: Path | None,
        report: Report,
        expect: Preview | None,
        cancelled: threading.Event,
    ) -> UpdateRun:
        preview = expect or self._preview(self._load(stack), config, report, cancelled)
        for needed in preview.needs_stacks:
            raise self._not_there(needed, "exist yet")
        if preview.needs_stock:
            raise Refused(
                f"stack {stack} has resources that the embedded engine can't make: "
                f"{', '.join(preview.needs_stock)}",
                "install the Pulumi CLI and run: pulumi up",
            )
        state = self._load(stack)
        journal = Journal(state, self._store)
        gate = PolicyGate(self._analyze, self._project.folder, preview)
        run = UpdateRun(state, journal, self._references, report, cancelled, judge=gate.resource)
        for warning in preview.warnings:
            if warning not in preview.findings:
                run.program_message("warning", warning)
        with closing(run.providers), _saved(journal):
            try:
                self._run_program(run, config)
            except Refused as error:
                raise Failed(error.message, error.hint) from error
            if not run.failures:
                for finding in gate.everything(run.analyzed):
                    run.program_message("warning", finding)
                run.delete_leftovers()
        _raise_failures(run.failures, Failed, f"stack {stack} is not complete")
        return run

    def _destroy(
        self,
        state: StackState,
        kept: set[str],
        report: Report,
        cancelled: threading.Event,
    ) -> UpdateRun:
        journal = Journal(state, self._store)
        run = UpdateRun(state, journal, self._references, report, cancelled)
        leaving = [item for item in state.resources if item.delete or item.urn not in kept]
        with closing(run.providers), _saved(journal):
            run.check_clusters(leaving)
            run.delete([*leaving, *journal.unfinished()], also_gone=leaving)
            if cancelled.is_set():
                raise Interrupted("stopped on request")
            _raise_failures(run.failures, Failed, f"stack {state.stack} isn't fully destroyed")
            root = state.root()
            if root and root.urn in kept:
                journal.record(replace(root, outputs={}))
        if not kept:
            self._store.remove(state.stack)
        return run

    def _run_program(self, run: Run, config: Path | None) -> None:
        values = read_config(self._project, run.stack, config, self._keyring)
        monitor = Monitor(run, dry_run=run.dry_run)
        run_program(self._project, run.stack, values, monitor, run, dry_run=run.dry_run)

    def _references(self, name: str) -> dict[str, Any] | None:
        """The outputs of another stack, None if it has a configuration and was never applied."""
        stack, project = stack_of(name), project_of(name) or self._project.name
        if project != self._project.name:
            return foreign_outputs(project, stack)
        state = self._store.load(stack)
        if state and state.root():
            return state.outputs()
        if not self._project.config_file(stack).is_file():
            raise self._not_there(stack, "exist, nor has it a configuration file")
        return None

    def _not_there(self, stack: str, what: str) -> Refused:
        return Refused(
            f"stack {stack} doesn't {what}, and this stack reads its outputs",
            f"create it with: moltghost up {stack.rpartition('.')[2]}",
        )

    def _load(self, stack: str) -> StackState:
        return self._store.load(stack) or StackState(stack=stack, project=self._project.name)

    def _existing(self, stack: str) -> StackState:
        state = self._store.load(stack)
        if state is None:
            known = ", ".join(self._store.names()) or "none"
            raise Refused(f"there is no stack {stack}", f"stacks of this engine: {known}")
        return state

    def _basis(self, stack: str, config: Path | None) -> str:
        path = config or self._project.config_file(stack)
        text = path.read_bytes() if path.exists() else b""
        return f"{self._store.fingerprint(stack)}-{hashlib.sha256(text).hexdigest()}"


@contextmanager
def _saved(journal: Journal) -> Iterator[None]:
    """Write the state at the end, also after an error; the first error is the one that counts."""
    try:
        yield
    except BaseException:
        with suppress(Failed):
            journal.finish()
        raise
    journal.finish()


def _raise_failures(
    failures: Sequence[Failure], raised: type[MoltghostError], headline: str
) -> None:
    if not failures:
        return
    unique = list({failure.error.message: failure.error for failure in failures}.values())
    hints = list({error.hint: None for error in unique if error.hint})
    if len(unique) == 1:
        raise raised(unique[0].message, unique[0].hint) from unique[0]
    lines = "\n".join(f"  {error.message}" for error in unique)
    raise raised(f"{headline}:\n{lines}", "; ".join(hints)) from unique[0]


def _counts(resource: ResourceState) -> bool:
    return resource.custom and not resource.external and not is_provider(resource.type)
