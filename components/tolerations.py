"""What lets a pod onto the nodes of its pool."""

from __future__ import annotations

from collections.abc import Iterable

from pulumi_kubernetes.core import v1 as core

from moltghost.planning.pools import Taint


def tolerate(taints: Iterable[Taint]) -> list[core.TolerationArgs] | None:
    """A toleration of each taint, and of nothing else; None where there is nothing to tolerate."""
    return [
        core.TolerationArgs(key=taint.key, operator="Equal", value=taint.value, effect=taint.effect)
        for taint in taints
    ] or None
