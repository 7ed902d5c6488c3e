"""Which resources a ``destroy`` leaves."""

from __future__ import annotations

from moltghost.engines.interface import Protected, has_protected
from moltghost.engines.pulumi.state import StackState


def kept_resources(state: StackState, protected: Protected) -> set[str]:
    """URNs of the protected resources, if they are to be kept, and of everything that they need.

    Raises:
        Refused: there are protected resources, and they are to be refused.
    """
    if protected == "delete":
        return set()
    by_urn = {item.urn: item for item in state.resources if not item.delete}
    found = [item for item in by_urn.values() if item.protect]
    if found and protected == "refuse":
        raise has_protected(state.stack, [item.id or item.urn for item in found])
    kept: set[str] = set()
    waiting = [item.urn for item in found]
    while waiting:
        urn = waiting.pop()
        if urn not in kept and urn in by_urn:
            kept.add(urn)
            waiting.extend(by_urn[urn].needs())
    return kept
