"""Runs a program without any cluster or cloud, only to see which resources it declares.

What a preview learns from the API server stays out: inputs are as the program says them, outputs
are the inputs, and everything else is unknown.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from moltghost import paths
from moltghost.engines.embedded.monitor import Answer, Goal, Monitor
from moltghost.engines.embedded.program import run_program
from moltghost.engines.embedded.providers import foreign_answer
from moltghost.engines.interface import AnalyzedResource
from moltghost.engines.pulumi.passphrase import Keyring
from moltghost.engines.pulumi.project import read_config, read_project
from moltghost.engines.pulumi.urn import is_provider
from moltghost.engines.pulumi.values import UNKNOWN, plain, pruned


def declared_resources(project: Path, stack: str) -> tuple[AnalyzedResource, ...]:
    """The resources that the program of a stack declares, providers included, by URN.

    Raises:
        Refused: the project, its config or its program is invalid.
    """
    described = read_project(project)
    config = read_config(described, stack, None, Keyring(paths.key_file(described.name)))
    collector = _Collector(stack, described.name)
    monitor = Monitor(collector, dry_run=True)
    run_program(described, stack, config, monitor, collector, dry_run=True)
    return tuple(sorted(collector.resources, key=lambda each: each.urn))


class _Collector:
    """Takes every resource as it is declared."""

    def __init__(self, stack: str, project: str) -> None:
        self.stack, self.project = stack, project
        self.resources: list[AnalyzedResource] = []
        self._lock = threading.Lock()

    def register(self, goal: Goal) -> Answer:
        """Note a resource down."""
        if not goal.custom:
            return Answer()
        inputs = pruned(goal.inputs)
        resource = AnalyzedResource(
            urn=goal.urn,
            type=goal.type,
            name=goal.name,
            inputs=plain(inputs),
            parent=goal.parent,
            provider=goal.provider,
            protect=goal.protect,
            dependencies=goal.dependencies,
        )
        with self._lock:
            self.resources.append(resource)
        return Answer(id=goal.name if is_provider(goal.type) else "", outputs=inputs)

    def read(self, _goal: Goal, id_: str) -> Answer:
        """Nothing that is looked up is known."""
        return Answer(id=id_, outputs={"outputs": UNKNOWN, "secretOutputNames": UNKNOWN})

    def register_outputs(self, urn: str, outputs: dict[str, Any]) -> None:
        """Outputs are of no interest to policies."""

    def invoke(self, _token: str, _arguments: dict[str, Any]) -> dict[str, Any]:
        """No function of a provider is asked."""
        return foreign_answer()

    def program_message(self, severity: str, text: str) -> None:
        """What the program logs is of no interest either."""
