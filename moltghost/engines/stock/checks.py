"""What the stock engine looks at before the CLI changes anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from moltghost.engines.interface import Op, Step, has_protected
from moltghost.errors import Refused


def managed(deployment: Mapping[str, Any]) -> list[str]:
    """The resources that a checkpoint still has in some cluster or cloud."""
    return [
        each["urn"]
        for each in deployment.get("resources") or ()
        if each.get("custom") and not each["type"].startswith("pulumi:")
    ]


def refuse_protected(stack: str, deployment: Mapping[str, Any]) -> None:
    """Refuse to destroy a stack with protected resources.

    Raises:
        Refused: it has some.
    """
    protected = [
        each.get("id") or each["urn"]
        for each in deployment.get("resources") or ()
        if each.get("protect") and not each.get("delete")
    ]
    if protected:
        raise has_protected(stack, protected)


def refuse_replacements(steps: Sequence[Step]) -> None:
    """A change that would delete an object to make it anew under the same name is refused.

    The provider deletes it first then; an agent's model server would be gone meanwhile. Both
    engines ask for another name instead, so that the new one comes first.

    Raises:
        Refused: there is such a change.
    """
    deleted = {step.title for step in steps if step.op is Op.DELETE and step.custom}
    for step in steps:
        if step.op is Op.REPLACE and step.object_name and step.title in deleted:
            fields = ", ".join(change.path for change in step.diff) or "a field"
            raise Refused(
                f"{step.title} would have to be replaced: {fields} can't change while it exists",
                "give it another name, so that the new one is made before the old one is deleted",
            )
