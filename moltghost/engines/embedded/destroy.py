"""Which resources a ``destroy`` leaves."""

from __future__ import annotations

from moltghost.engines.embedded.state import StackState
from moltghost.errors import Refused


def kept_resources(state: StackState, *, keep_protected: bool) -> set[str]:
    """URNs of the protected resources and of everything that they need.

    Args:
        state: the stack's state.
        keep_protected: leave them, as ``pulumi destroy --exclude-protected`` does.

    Raises:
        Refused: there are protected resources and they are not to be kept.
    """
    by_urn = {item.urn: item for item in state.resources if not item.delete}
    protected = [item for item in by_urn.values() if item.protect]
    if protected and not keep_protected:
        names = ", ".join(item.id or item.urn for item in protected)
        raise Refused(
            f"stack {state.stack} has protected resources: {names}",
            "keep them (agent destroy does), or unprotect them first (agent destroy --delete-data)",
        )
    kept: set[str] = set()
    waiting = [item.urn for item in protected]
    while waiting:
        urn = waiting.pop()
        if urn not in kept and urn in by_urn:
            kept.add(urn)
            waiting.extend(by_urn[urn].needs())
    return kept
