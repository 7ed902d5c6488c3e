"""The policies in an update: what its preview didn't know is judged before it is made.

A preview is judged as a whole. Of an update, a resource is judged again if it isn't what the
preview showed, because a value is known by then; and once more everything together at the end, as
the stock CLI does. What the preview has judged already isn't asked about twice.

Why: docs/decisions/0029.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from moltghost.engines.interface import AnalyzedResource, Preview
from moltghost.errors import Failed, Refused


class Analyze(Protocol):
    """Holds a project's policies against resources of a stack."""

    def __call__(
        self,
        project: Path,
        stack: str,
        resources: Sequence[AnalyzedResource],
        *,
        alone: bool = False,
    ) -> list[str]:
        """What should be said; with ``alone`` of each resource by itself only.

        Raises:
            Refused: a mandatory rule is broken.
        """
        ...


class PolicyGate:
    """Judges an update.

    Args:
        analyze: the policies.
        project: the project's folder.
        preview: what was judged already.
    """

    def __init__(self, analyze: Analyze, project: Path, preview: Preview) -> None:
        self._analyze = analyze
        self._project = project
        self._stack = preview.stack
        self._findings = preview.findings
        self._judged = {each.urn: _without_id(each) for each in preview.resources}
        self._differs = False

    def resource(self, resource: AnalyzedResource) -> None:
        """Let a resource be made, or not.

        Raises:
            Refused: a mandatory rule is broken; the resource isn't made.
        """
        if _without_id(resource) == self._judged.get(resource.urn):
            return
        self._differs = True
        self._analyze(self._project, self._stack, [resource], alone=True)

    def everything(self, resources: Sequence[AnalyzedResource]) -> list[str]:
        """What should be said of the stack as it is now.

        Raises:
            Failed: a mandatory rule about several resources is broken; they are made already.
        """
        if not self._differs:
            return list(self._findings)
        try:
            return self._analyze(self._project, self._stack, resources)
        except Refused as error:
            raise Failed(f"{error.message}\nIt was applied", error.hint) from error


def _without_id(resource: AnalyzedResource) -> AnalyzedResource:
    """Without the id of its provider: a new provider gets another in each run."""
    return replace(resource, provider=resource.provider.rpartition("::")[0])


def no_policies(*_arguments: object, **_options: object) -> list[str]:
    """The policies of an engine that was given none."""
    return []
