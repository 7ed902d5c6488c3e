"""How full the pools of an environment are: what there is to ask where there is no account."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moltghost.checks import Check, ok, warning
from moltghost.errors import Refused
from moltghost.kube.karpenter import pool_statuses
from moltghost.kube.pools import PoolStatus

if TYPE_CHECKING:
    from moltghost.environments.environment import Environment


def check_pools(environment: Environment) -> list[Check]:
    """One answer for each pool; a cluster that isn't there yet has none that could be full."""
    name = environment.name
    try:
        client = environment.client
    except Refused as absent:
        return [ok("cluster", f"{absent.message}; moltghost up {name} starts it")]
    return [_check_pool(name, status) for status in pool_statuses(client).values()]


def _check_pool(environment: str, status: PoolStatus) -> Check:
    name = f"pool.{status.name}"
    found = f"{status.nodes} of {status.max_nodes} nodes are in use"
    if status.nodes < status.max_nodes or status.idle_types:
        return ok(name, found)
    return warning(
        name,
        f"{found}: the pool is full",
        f"raise max_nodes in Pulumi.platform.{environment}.yaml, then moltghost up {environment}",
    )
