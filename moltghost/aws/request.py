"""What preflight is asked: plain values, taken from an environment's or an agent's plan."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

CapacityType = Literal["on-demand", "spot", "reserved", "capacity-block"]


@dataclass(frozen=True, kw_only=True)
class NodeNeed:
    """Nodes of one kind that a plan may start.

    Attributes:
        name: what they are for, as a person calls it: ``pool l40s``.
        instance_types: the alternatives to choose from, preferred first.
        nodes: the most that may run side by side, without surge.
        surge_nodes: on top of it while an update runs old and new side by side.
        nodes_now: how many have to be obtainable for what was asked; the rest is room to grow.
        capacity: how they are bought. Nodes in reservations and Capacity Blocks need no further
            on-demand quota: it was taken when they were reserved, or isn't used at all.
        reservation_ids: reservations or blocks that they run in; with ``on-demand`` those are
            filled first and the rest is bought on demand.
        zone_ids: where they may run; empty means every zone of the request.
    """

    name: str
    instance_types: tuple[str, ...]
    nodes: int
    surge_nodes: int = 0
    nodes_now: int = 1
    capacity: CapacityType = "on-demand"
    reservation_ids: tuple[str, ...] = ()
    zone_ids: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The name as a part of a check's id: ``l40s`` of ``pool l40s``."""
        return self.name.removeprefix("pool ").replace(" ", "-")


@dataclass(frozen=True, kw_only=True)
class Holdings:
    """What an environment consists of, as far as it has a price by the hour.

    Attributes:
        fixed: nodes that are always there.
        pools: what scales from zero.
        nat_gateways: zonal gateways.
        interface_endpoints: VPC endpoints times their zones.
        keys: KMS keys of the environment's own.
    """

    fixed: tuple[NodeNeed, ...]
    pools: tuple[NodeNeed, ...]
    nat_gateways: int
    interface_endpoints: int
    keys: int

    @property
    def instance_types(self) -> tuple[str, ...]:
        """Every type that it may have."""
        needs = (*self.fixed, *self.pools)
        return tuple(dict.fromkeys(kind for need in needs for kind in need.instance_types))


@dataclass(frozen=True, kw_only=True)
class RequestedSubnet:
    """A subnet for nodes: its zone id and its CIDR, such as ``10.0.0.0/20``."""

    zone_id: str
    cidr: str


@dataclass(frozen=True, kw_only=True)
class PreflightRequest:
    """All that is checked before anything is created.

    Attributes:
        environment: its name, for the commands in remedies.
        scope: ``environment`` asks whether its two layers can come up, so that what they create
            may be missing; ``agent`` asks whether one more agent, or its update, finds all it
            needs in an environment that is there.
        region: such as ``us-east-1``.
        account_id: the account that the plan is for; None takes any.
        zone_ids: zone ids (``use1-az1``), never letters: those differ by account.
        kubernetes_version: such as ``1.34``.
        cluster_name: of the EKS cluster, there or to be created.
        needs: nodes by kind.
        subnets: for nodes and pods.
        addresses_now: addresses that what was asked takes in these subnets.
        addresses_total: addresses with every node there and every surge.
        ami_parameters: SSM parameters that hold image ids of node images.
        images: container images in ECR, with tag or digest.
        weights_bucket: the weights store; empty leaves the check out.
        kms_key_aliases: keys, such as ``alias/moltghost-prod-weights``.
        principals: ARNs of the roles and users that the cluster lets in.
        permissions_boundary: ARN of the policy that the platform's roles carry; empty for none.
        monthly_ceiling_usd: what the environment may cost; None where it has no ceiling.
        holdings: what it consists of; needed for the ceiling only.
        frees: instance types of nodes that a change gives back once it is done.
        frees_first: whether they go before the needs' nodes start, as in a change with a gap.
        together: whether the needs' first nodes are wanted at the same time, as a fleet's are.
    """

    environment: str
    scope: Literal["environment", "agent"]
    region: str
    account_id: str | None = None
    zone_ids: tuple[str, ...]
    kubernetes_version: str
    cluster_name: str
    needs: tuple[NodeNeed, ...]
    subnets: tuple[RequestedSubnet, ...] = ()
    addresses_now: int = 0
    addresses_total: int = 0
    ami_parameters: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    weights_bucket: str = ""
    kms_key_aliases: tuple[str, ...] = ()
    principals: tuple[str, ...] = ()
    permissions_boundary: str = ""
    monthly_ceiling_usd: Decimal | None = None
    holdings: Holdings | None = None
    frees: tuple[str, ...] = ()
    frees_first: bool = False
    together: bool = False

    def zones_of(self, need: NodeNeed) -> tuple[str, ...]:
        """Zone ids in which nodes of ``need`` may run."""
        return need.zone_ids or self.zone_ids
