"""Which goals the embedded engine carries as Kubernetes objects."""

from __future__ import annotations

from typing import Any

from moltghost.engines.embedded.monitor import Goal
from moltghost.engines.pulumi.values import plain
from moltghost.errors import Refused


def refuse_unsupported(goal: Goal) -> None:
    """Refuse what is a Pulumi resource but no Kubernetes object: charts, lists, patches.

    Raises:
        Refused: the embedded engine doesn't carry it.
    """
    kind: Any = plain(goal.inputs.get("kind"))
    short = goal.type.rsplit(":", 1)[1]
    if not kind or "apiVersion" not in goal.inputs or short.endswith(("Patch", "List")):
        raise Refused(
            f"the embedded engine doesn't carry {goal.type} ({goal.name}); "
            "it carries plain Kubernetes objects",
            "write the objects out, or run this stack with the Pulumi CLI: pulumi up",
        )
