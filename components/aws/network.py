"""The network of an environment: VPC, subnets, routes and NAT."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from moltghost.components.aws.options import child_of
from moltghost.labels import TIER_TAG
from moltghost.planning.aws.network import NetworkPlan, SubnetPlan, Tier

_ANYWHERE = "0.0.0.0/0"


class Network(pulumi.ComponentResource):
    """VPC with four tiers of subnets. Only edge subnets have a route from the internet."""

    def __init__(
        self,
        name: str,
        plan: NetworkPlan,
        place_name: str,
        tags: dict[str, str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("moltghost:aws:Network", name, None, opts)
        self._plan, self._name, self._tags = plan, place_name, tags
        self.vpc = aws.ec2.Vpc(
            "vpc",
            cidr_block=plan.cidr,
            enable_dns_support=True,
            enable_dns_hostnames=True,
            tags=self._named("vpc"),
            opts=child_of(self),
        )
        # No rule at all: whatever names no security group can talk to nobody.
        aws.ec2.DefaultSecurityGroup(
            "default-security-group",
            vpc_id=self.vpc.id,
            ingress=[],
            egress=[],
            tags=self._named("default"),
            opts=child_of(self),
        )
        self._subnets = {each.name: self._subnet(each) for each in plan.subnets}
        self._tables: dict[str, aws.ec2.RouteTable] = {}
        self._routes: list[pulumi.Resource] = []
        self._edge()
        self._private()
        for tier in ("isolated", "control"):
            self._table(tier, self._plan.tier(tier))
        self.register_outputs({})

    def subnet_ids(
        self, tier: Tier, zone_ids: tuple[str, ...] | None = None
    ) -> list[pulumi.Input[str]]:
        """Ids of a tier's subnets, in all zones or in some."""
        return [
            self._subnets[each.name].id
            for each in self._plan.tier(tier)
            if zone_ids is None or each.zone_id in zone_ids
        ]

    @property
    def route_table_ids(self) -> list[pulumi.Input[str]]:
        """Ids of the route tables of nodes."""
        return [table.id for name, table in self._tables.items() if name not in ("edge",)]

    @property
    def ready(self) -> list[pulumi.Resource]:
        """Ways out: a node that starts before them can't join."""
        return self._routes

    def _named(self, what: str) -> dict[str, str]:
        return {**self._tags, "Name": f"{self._name}-{what}"}

    def _subnet(self, plan: SubnetPlan) -> aws.ec2.Subnet:
        return aws.ec2.Subnet(
            f"subnet-{plan.name}",
            vpc_id=self.vpc.id,
            cidr_block=plan.cidr,
            availability_zone_id=plan.zone_id,
            map_public_ip_on_launch=False,
            tags={**self._named(plan.name), TIER_TAG: plan.tier},
            opts=child_of(self),
        )

    def _table(self, name: str, subnets: tuple[SubnetPlan, ...]) -> aws.ec2.RouteTable:
        """A route table without a way out, for these subnets."""
        table = aws.ec2.RouteTable(
            f"routes-{name}", vpc_id=self.vpc.id, tags=self._named(name), opts=child_of(self)
        )
        self._tables[name] = table
        for subnet in subnets:
            self._routes.append(
                aws.ec2.RouteTableAssociation(
                    f"routes-of-{subnet.name}",
                    subnet_id=self._subnets[subnet.name].id,
                    route_table_id=table.id,
                    opts=child_of(self),
                )
            )
        return table

    def _edge(self) -> None:
        gateway = aws.ec2.InternetGateway(
            "internet-gateway",
            vpc_id=self.vpc.id,
            tags=self._named("internet"),
            opts=child_of(self),
        )
        table = self._table("edge", self._plan.tier("edge"))
        route = aws.ec2.Route(
            "route-edge",
            route_table_id=table.id,
            destination_cidr_block=_ANYWHERE,
            gateway_id=gateway.id,
            opts=child_of(self),
        )
        self._routes.append(route)
        self._nat = {zone: self._nat_gateway(zone, route) for zone in self._plan.nat_zones}

    def _nat_gateway(self, zone: str, after: pulumi.Resource) -> aws.ec2.NatGateway:
        address = aws.ec2.Eip(
            f"nat-address-{zone}",
            domain="vpc",
            tags=self._named(f"nat-{zone}"),
            opts=child_of(self),
        )
        return aws.ec2.NatGateway(
            f"nat-{zone}",
            subnet_id=self._subnets[f"edge-{zone}"].id,
            allocation_id=address.id,
            tags=self._named(f"nat-{zone}"),
            opts=child_of(self, after=[after]),
        )

    def _private(self) -> None:
        for subnet in self._plan.tier("private"):
            table = self._table(subnet.name, (subnet,))
            self._routes.append(
                aws.ec2.Route(
                    f"route-{subnet.name}",
                    route_table_id=table.id,
                    destination_cidr_block=_ANYWHERE,
                    nat_gateway_id=self._nat[self._plan.nat_zone(subnet.zone_id)].id,
                    opts=child_of(self),
                )
            )
