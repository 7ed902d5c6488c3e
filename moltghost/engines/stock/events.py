"""What the CLI tells while it works, as our events, steps, warnings and findings."""

from __future__ import annotations

import re
import threading
from typing import Any

from pulumi.automation import EngineEvent
from pulumi.automation.events import DiagnosticEvent, OpType, PolicyEvent, StepEventMetadata

from moltghost.engines.interface import MADE_ANEW, UNDONE, Change, Op, Step
from moltghost.engines.pulumi.urn import ROOT_TYPE, name_of, qualified_type
from moltghost.engines.stock.steps import by_hand, changes, is_custom, metadata_of, shown, title_of
from moltghost.policy.findings import Findings, Undecided, Violation
from moltghost.policy.pack import finding
from moltghost.progress import Event, Report

# A replacement is told in three steps; the middle one stands for the first two.
_OPS = {
    OpType.SAME: Op.SAME,
    OpType.CREATE: Op.CREATE,
    OpType.UPDATE: Op.UPDATE,
    OpType.DELETE: Op.DELETE,
    OpType.REPLACE: Op.REPLACE,
    OpType.DELETE_REPLACED: Op.DELETE,
    OpType.READ: Op.READ,
    OpType.IMPORT: Op.READ,
}
_COLOR = re.compile(r"<\{%[^%]*%\}>")


class EventLog:
    """Takes the events of one run; called from a server's thread.

    Args:
        stack: the stack's name.
        report: receives progress.
        dry_run: whether the run is a preview, whose steps are only planned.
    """

    def __init__(self, stack: str, report: Report, *, dry_run: bool) -> None:
        self.stack = stack
        self.steps: list[Step] = []
        self.errors: list[str] = []
        self.outputs: dict[str, Any] = {}
        self._report = report
        self._dry_run = dry_run
        self._lock = threading.Lock()
        self._warnings: dict[str, None] = {}
        self._findings: dict[Violation | Undecided, None] = {}
        self._titles: dict[str, str] = {}
        self._by_hand: dict[str, tuple[Change, ...]] = {}  # as the refresh found them, by URN
        self._gone: set[str] = set()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the program and the providers warned of, each once."""
        return tuple(self._warnings)

    @property
    def findings(self) -> Findings:
        """What the policy pack found."""
        found = list(self._findings)
        return Findings(
            violations=tuple(each for each in found if isinstance(each, Violation)),
            undecided=tuple(each for each in found if isinstance(each, Undecided)),
        )

    def take(self, event: EngineEvent) -> None:
        """One event of the CLI."""
        with self._lock:
            if event.resource_pre_event:
                self._begun(event.resource_pre_event.metadata)
            elif event.res_outputs_event:
                self._ended(event.res_outputs_event.metadata)
            elif event.res_op_failed_event:
                self._failed(event.res_op_failed_event.metadata)
            elif event.diagnostic_event:
                self._said(event.diagnostic_event)
            elif event.policy_event:
                self._found(event.policy_event)

    def _begun(self, step: StepEventMetadata) -> None:
        title = self._titles[step.urn] = title_of(step)
        if self._dry_run:
            self._add(step, title)
        elif _is_work(step):
            self._report(Event(task=title, state="started", detail=step.op.value))

    def _ended(self, step: StepEventMetadata) -> None:
        if step.type == ROOT_TYPE and step.new:
            self.outputs = shown(step.new.outputs or {})
        if step.op is OpType.REFRESH:
            self._refreshed(step)
        if self._dry_run:
            return
        title = title_of(step)
        self._add(step, title)
        if _is_work(step):
            self._report(Event(task=title, state="done", detail=step.op.value))
        elif step.op is OpType.SAME and is_custom(step):
            self._report(Event(task=title, state="cached"))

    def _refreshed(self, step: StepEventMetadata) -> None:
        """Note what somebody did by hand, before the program's own changes are looked at."""
        if step.new is None:
            self._gone.add(step.urn)
        else:
            self._by_hand[step.urn] = by_hand(step)

    def _failed(self, step: StepEventMetadata) -> None:
        if not self._dry_run:
            self._report(Event(task=title_of(step), state="failed", detail=self._last_error(step)))

    def _last_error(self, step: StepEventMetadata) -> str:
        title = title_of(step)
        return next((text for text in reversed(self.errors) if text.startswith(title)), "")

    def _said(self, event: DiagnosticEvent) -> None:
        text = _COLOR.sub("", event.message).strip()
        title = self._titles.get(event.urn or "", "")
        if not text or event.severity == "debug":
            return
        if event.severity == "error":
            self.errors.append(f"{title}: {text}" if title else text)
        elif event.severity == "warning":
            self._warnings[f"{title}: {text}" if title else text] = None
        elif not self._dry_run or not title:
            task = title or f"program of {self.stack}"
            self._report(Event(task=task, state="running", detail=text))

    def _found(self, event: PolicyEvent) -> None:
        text = _COLOR.sub("", event.message).strip()
        found = finding(
            text,
            policy=event.policy_name,
            level=event.enforcement_level,
            severity="",
            stack=self.stack,
            urn=event.resource_urn or "",
            title=_analyzed(event.resource_urn or "", text),
        )
        self._findings[found] = None

    def _add(self, step: StepEventMetadata, title: str) -> None:
        op = _OPS.get(step.op)
        if op is None or step.type == ROOT_TYPE:
            return
        state = step.new or step.old
        kubernetes = step.type.startswith("kubernetes:")
        metadata = metadata_of(state) if kubernetes else {}
        diff = changes(step) if op in (Op.UPDATE, Op.REPLACE) else ()
        undone = self._undone(step, diff)
        anew = op is Op.CREATE and step.urn in self._gone
        self.steps.append(
            Step(
                urn=step.urn,
                type=step.type,
                name=name_of(step.urn),
                op=op,
                diff=diff,
                title=title,
                namespace=metadata.get("namespace"),
                object_name=metadata.get("name"),
                custom=is_custom(step),
                protect=bool(state and state.protect),
                note=MADE_ANEW if anew else UNDONE if undone else "",
                undone=undone,
            )
        )

    def _undone(self, step: StepEventMetadata, diff: tuple[Change, ...]) -> tuple[Change, ...]:
        """The part of a step that sets right what was done by hand, from that to as recorded."""
        paths = {each.path for each in diff}
        return tuple(
            Change(each.path, each.after, each.before)
            for each in self._by_hand.get(step.urn, ())
            if each.path in paths
        )


def _analyzed(urn: str, text: str) -> str:
    """How the policy pack calls the resource that it looked at.

    The CLI asks the pack before it tells of the resource; every rule's finding begins with it.
    """
    if not urn:
        return ""
    title, found, _ = text.partition("\n")[2].partition(": ")
    return title if found else f"{qualified_type(urn).rpartition(':')[2]} {name_of(urn)}"


def _is_work(step: StepEventMetadata) -> bool:
    return is_custom(step) and step.op not in (
        OpType.SAME,
        OpType.READ,
        OpType.REFRESH,
        OpType.REPLACE,  # only says that the two others belong together
    )
