"""A corpus of changed resources: what a reviewer tried, and neighbours of each.

``corpus/ROW.json`` has an object per case: what it is, where it starts (a stack of the repository,
or nothing), what is added, changed or removed, and what must come of it. ``{"use": NAME}`` anywhere
in it stands for the value of that name in ``corpus/parts.json``; ``{"join": [...]}`` and
``{"base64": [...]}`` for a text in pieces, so that no scanner takes a made-up token for a leak.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from moltghost.engines.interface import AnalyzedResource
from moltghost.policy.wire import title_of
from tests.policies.mutants import REMOVE, Mutant
from tests.policy.resources import resource

FOLDER = Path(__file__).with_name("corpus")
PARTS: dict[str, Any] = json.loads((FOLDER / "parts.json").read_text())


@dataclass(frozen=True)
class Entry:
    """One case.

    Args:
        row: the row of the review, which is the file's name.
        case: what is done, as a phrase.
        origin: ``review`` for what the reviewer tried, ``neighbour`` for what is like it.
        steps: what is done to the resources of ``stack``.
        stack: where it starts; empty for nothing.
        rules: the rules that must find something new, or that stay undecided.
        verdict: ``caught``, ``undecided``, ``fine`` (nothing new) or ``out of scope``.
        reason: why it is out of scope.
    """

    row: str
    case: str
    origin: str
    steps: Sequence[dict[str, Any]]
    stack: str
    rules: Sequence[str]
    verdict: str
    reason: str

    def __str__(self) -> str:
        return f"{self.row}: {self.case}"

    def applied(self, resources: Sequence[AnalyzedResource]) -> list[AnalyzedResource]:
        """The resources after its steps."""
        changed = list(resources)
        for number, step in enumerate(self.steps):
            if "add" in step:
                added = step["add"]
                made = resource(added["type"], added["inputs"], f"added-{number}")
                provider = next((each for each in resources if _provides(each, added)), None)
                needs = tuple(
                    each.urn for each in resources if title_of(each) in added.get("needs", ())
                )
                own = f"{provider.urn}::id" if provider else ""
                changed.append(replace(made, provider=own, dependencies=needs))
            elif "needs" in step:
                changed = [_needing(each, step) for each in changed]
            else:
                value = step.get("value", REMOVE)
                mutant = Mutant("", self.stack, step["target"], tuple(step.get("path", ())), value)
                changed = mutant.applied(changed)
        return changed


def _needing(resource: AnalyzedResource, step: dict[str, Any]) -> AnalyzedResource:
    """The resource with other dependencies, if it is the target: new names by old ones."""
    if title_of(resource) != step["target"]:
        return resource
    changed = resource.dependencies
    for old, new in step["needs"].items():
        changed = tuple(each.replace(f"::{old}", f"::{new}") for each in changed)
    assert changed != resource.dependencies, "the case is the original"
    return replace(resource, dependencies=changed)


def _provides(resource: AnalyzedResource, added: dict[str, Any]) -> bool:
    return resource.type == f"pulumi:providers:{added['type'].partition(':')[0]}"


def entries() -> list[Entry]:
    """Every case of every file."""
    files = sorted(file for file in FOLDER.glob("*.json") if file.name != "parts.json")
    return [
        _entry(file.stem, _filled(each)) for file in files for each in json.loads(file.read_text())
    ]


def _entry(row: str, raw: dict[str, Any]) -> Entry:
    return Entry(
        row=row,
        case=raw["case"],
        origin=raw["origin"],
        steps=raw.get("steps", []),
        stack=raw.get("stack", ""),
        rules=raw.get("rules", []),
        verdict=raw["verdict"],
        reason=raw.get("reason", ""),
    )


def _filled(value: Any) -> Any:
    """The value with every ``use`` replaced; further keys beside it are put over the part."""
    if isinstance(value, list):
        return [_filled(each) for each in value]
    if not isinstance(value, dict):
        return value
    if "join" in value or "base64" in value:
        text = "".join(_filled(each) for each in value.get("join") or value["base64"])
        return text if "join" in value else b64encode(text.encode()).decode()
    filled = {key: _filled(each) for key, each in value.items() if key != "use"}
    if "use" not in value:
        return filled
    part = _filled(PARTS[value["use"]])
    return {**part, **filled} if filled else part
