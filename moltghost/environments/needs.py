"""Nodes that a fleet needs of an environment, beyond those that run."""

from __future__ import annotations

from dataclasses import dataclass

from moltghost.models import instance_type


@dataclass(frozen=True, kw_only=True)
class FleetNodes:
    """Nodes of one type in one pool that are needed beyond what is there.

    Attributes:
        kept: nodes that stay.
        surge: nodes more while updates run, at the most.
    """

    pool: str
    instance_type: str
    kept: int
    surge: int

    @property
    def nodes(self) -> int:
        """At the peak."""
        return self.kept + self.surge

    @property
    def vcpus(self) -> int:
        """At the peak."""
        return self.nodes * instance_type(self.instance_type).vcpu

    @property
    def quota(self) -> str:
        """Code of EC2's on-demand quota that they count in."""
        return instance_type(self.instance_type).quota_on_demand


@dataclass(frozen=True, kw_only=True)
class RuntimeNeed:
    """New nodes for the runtimes of new agents: between `fewest` and `most`.

    Attributes:
        placed: runtimes that find room on the nodes that are there.
    """

    pool: str
    runtimes: int
    placed: int
    fewest: int
    most: int

    @property
    def span(self) -> str:
        """``2`` or ``2 to 5``."""
        return f"{self.fewest}" if self.fewest == self.most else f"{self.fewest} to {self.most}"
