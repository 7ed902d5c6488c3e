"""Write the Kubernetes objects of the real programs and of their mutants as YAML, for other tools.

``python -m tests.policies.write_mutants FOLDER``: ``STACK--base.yaml`` and
``STACK--NUMBER--RULE.yaml``. docs/policies/coverage.md compares what other checkers say of them.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from moltghost.engines.interface import AnalyzedResource
from tests.policies.declare import declared
from tests.policies.mutants import AGENT, MUTANTS, PLATFORM, Mutant


def write(folder: Path) -> int:
    """Write all files; returns how many mutants there are."""
    folder.mkdir(parents=True, exist_ok=True)
    written = 0
    for stack in (AGENT, PLATFORM):
        base = [with_known_secret(each) for each in declared(stack)]
        _dump(folder / f"{stack}--base.yaml", base)
        for number, mutant in enumerate(MUTANTS):
            if mutant.base == stack and in_objects(mutant):
                file = folder / f"{stack}--{number:03d}--{mutant.rule}.yaml"
                _dump(file, mutant.applied(base))
                written += 1
    return written


def in_objects(mutant: Mutant) -> bool:
    """Whether objects show it: a resource option is Pulumi's own."""
    return mutant.path != ("protect",)


def with_known_secret(resource: AnalyzedResource) -> AnalyzedResource:
    """As after the first `up`, when the generated tokens are known."""
    if not resource.type.endswith(":Secret"):
        return resource
    inputs: dict[str, Any] = {**resource.inputs, "stringData": {"token": "known-token-" * 2}}
    return replace(resource, inputs=inputs)


def _dump(file: Path, resources: Sequence[AnalyzedResource]) -> None:
    objects = [_plain(each.inputs) for each in resources if each.type.startswith("kubernetes:")]
    file.write_text(yaml.safe_dump_all(objects, sort_keys=False), encoding="utf-8")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value if isinstance(value, (str, int, float, type(None))) else "unknown"


if __name__ == "__main__":
    sys.stdout.write(f"{write(Path(sys.argv[1]))} mutants\n")
