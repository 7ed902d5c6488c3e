"""Resource options that several components need."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi


def child_of(
    parent: pulumi.Resource,
    *,
    after: Sequence[pulumi.Resource] = (),
    protect: bool = False,
    ignore: Sequence[str] = (),
) -> pulumi.ResourceOptions:
    """Options of a component's child.

    Args:
        parent: the component.
        after: resources that must exist first.
        protect: neither an `up` nor a `destroy` may delete it.
        ignore: wire names of inputs whose later changes come from elsewhere.
    """
    return pulumi.ResourceOptions(
        parent=parent,
        depends_on=list(after) or None,
        protect=protect or None,
        ignore_changes=list(ignore) or None,
    )
