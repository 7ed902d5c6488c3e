"""Turns the plans of an environment on AWS, and of an agent in it, into what preflight asks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from moltghost.aws.request import (
    CapacityType,
    Holdings,
    NodeNeed,
    PreflightRequest,
    RequestedSubnet,
)
from moltghost.config import AwsCloudSpec
from moltghost.environments.needs import FleetNodes, RuntimeNeed
from moltghost.models import instance_type
from moltghost.planning.agent import AgentPlan
from moltghost.planning.aws.cloud import AwsCloudPlan
from moltghost.planning.aws.nodes import NodeGroupPlan
from moltghost.planning.platform import PlatformPlan, PoolPlan
from moltghost.planning.update import UpdatePlan

# A node holds the addresses of the network interface in use and of a spare one (VPC CNI,
# WARM_ENI_TARGET=1, its default in secondary-IP mode).
_INTERFACES_HELD = 2
# Karpenter's name for a release of the EKS image, al2023@vYYYYMMDD (Karpenter's al2023.go).
_AMI_PARAMETER = (
    "/aws/service/eks/optimized-ami/{version}/amazon-linux-2023/x86_64/{variant}/"
    "amazon-eks-node-al2023-x86_64-{variant}-{version}-v{release}/image_id"
)


@dataclass(frozen=True)
class AwsPlans:
    """All that is planned for an environment on AWS, and what has to be asked for it."""

    spec: AwsCloudSpec
    cloud: AwsCloudPlan
    platform: PlatformPlan

    @property
    def pools(self) -> tuple[PoolPlan, ...]:
        """The pools that can have a node."""
        return tuple(pool for pool in self.platform.pools if pool.max_nodes)

    def reservations(self, pool: str) -> tuple[str, ...]:
        """Ids of the capacity reservations of a pool."""
        classes = self.platform.aws.node_classes if self.platform.aws else ()
        return next((each.reservations for each in classes if each.name == pool), ())

    def environment_request(self) -> PreflightRequest:
        """What has to be asked before the environment comes up."""
        fixed = _fixed_needs(self)
        pools = tuple(_pool_need(self, pool) for pool in self.pools)
        images = list(self.cloud.images.model_dump().values())
        if self.platform.aws:
            images += [self.platform.aws.device_plugin_image, self.platform.aws.dcgm_image]
        asked = _request(self, (*fixed, *pools), images, scope="environment")
        return replace(
            asked,
            principals=tuple(each.principal for each in self.cloud.cluster.access),
            permissions_boundary=self.spec.permissions_boundary or "",
        )

    def agent_request(
        self, plan: AgentPlan, update: UpdatePlan, before: AgentPlan | None = None
    ) -> PreflightRequest:
        """What has to be asked before an agent is deployed or changed.

        Args:
            plan: the agent as it shall be.
            update: what going there does.
            before: the agent as it runs; None for the first deploy.
        """
        needs = tuple(_agent_needs(self, plan, update))
        request = _request(self, needs, plan.images.model_dump().values(), scope="agent")
        # A paused agent has no node to give back.
        runs = before if update.from_pool else None
        frees = (runs.model_server.instance_type,) if runs and update.started_nodes else ()
        return replace(request, frees=frees, frees_first=update.strategy == "in-place")

    def fleet_request(
        self,
        plans: Sequence[AgentPlan],
        servers: Sequence[FleetNodes],
        runtimes: RuntimeNeed | None,
    ) -> PreflightRequest:
        """What has to be asked before a fleet is applied.

        Args:
            plans: the agents as they shall be.
            servers: the nodes of model servers that they need beyond those that run.
            runtimes: the same of their runtimes.
        """
        needs = [
            NodeNeed(
                name=f"pool {each.pool}",
                instance_types=(each.instance_type,),
                nodes=each.kept,
                surge_nodes=each.surge,
                nodes_now=each.nodes,
                reservation_ids=self.reservations(each.pool),
            )
            for each in servers
        ]
        if runtimes and runtimes.most:
            pool = self.platform.pool(runtimes.pool)
            needs.append(
                NodeNeed(
                    name=f"pool {pool.name}",
                    instance_types=pool.instance_types,
                    nodes=runtimes.most,
                    nodes_now=runtimes.fewest,
                )
            )
        images = [image for plan in plans for image in plan.images.model_dump().values()]
        return replace(_request(self, tuple(needs), images, scope="agent"), together=True)


def _request(
    plans: AwsPlans, needs: tuple[NodeNeed, ...], images: Iterable[str], *, scope: str
) -> PreflightRequest:
    cloud, spec = plans.cloud, plans.spec
    return PreflightRequest(
        environment=cloud.environment,
        scope="agent" if scope == "agent" else "environment",
        region=spec.region,
        account_id=spec.account_id,
        zone_ids=spec.zone_ids,
        kubernetes_version=spec.kubernetes_version,
        cluster_name=cloud.cluster_name,
        needs=needs,
        subnets=tuple(
            RequestedSubnet(zone_id=subnet.zone_id, cidr=subnet.cidr)
            for subnet in cloud.network.tier("isolated")
        ),
        addresses_now=sum(need.nodes_now * _addresses(need.instance_types) for need in needs),
        addresses_total=sum(
            pool.max_nodes * _addresses(pool.instance_types) for pool in plans.pools
        ),
        ami_parameters=_ami_parameters(plans),
        images=tuple(dict.fromkeys(images)),
        weights_bucket=cloud.weights_bucket.bucket,
        kms_key_aliases=tuple(key.alias for key in cloud.keys),
        monthly_ceiling_usd=spec.monthly_ceiling_usd,
        holdings=_holdings(plans),
    )


def _addresses(types: Iterable[str]) -> int:
    """Addresses that a node takes at most, of these types."""
    return max(_INTERFACES_HELD * instance_type(each).ipv4_per_eni for each in types)


def _pool_need(plans: AwsPlans, pool: PoolPlan) -> NodeNeed:
    """A pool's nodes; its limit has room for the surge already."""
    return NodeNeed(
        name=f"pool {pool.name}",
        instance_types=pool.instance_types,
        nodes=pool.max_nodes,
        reservation_ids=plans.reservations(pool.name),
    )


def _fixed_needs(plans: AwsPlans) -> tuple[NodeNeed, ...]:
    groups = [_group_need(group) for group in plans.cloud.fixed_groups if group.nodes]
    return (_group_need(plans.cloud.system_nodes), *groups)


def _group_need(group: NodeGroupPlan) -> NodeNeed:
    held = group.reservation
    ways: dict[str, CapacityType] = {"on-demand": "reserved", "capacity-block": "capacity-block"}
    return NodeNeed(
        name=f"{group.name} nodes",
        instance_types=(group.instance_type,),
        nodes=group.nodes,
        surge_nodes=group.max_nodes - group.nodes,
        nodes_now=group.nodes,
        capacity=ways[held.kind] if held else "on-demand",
        reservation_ids=(held.id,) if held else (),
        zone_ids=group.zone_ids,
    )


def _agent_needs(plans: AwsPlans, plan: AgentPlan, update: UpdatePlan) -> Iterable[NodeNeed]:
    """The model server's new node, and on the first deploy perhaps one for the runtime."""
    server, first = plan.model_server, update.action == "create"
    added = update.started_nodes
    there = any(
        group.nodes and group.instance_type == server.instance_type
        for group in plans.cloud.fixed_groups
    )
    if added and not there:
        yield NodeNeed(
            name=f"pool {server.pool}",
            instance_types=(server.instance_type,),
            nodes=added,
            nodes_now=added,
            reservation_ids=plans.reservations(server.pool),
        )
    if first:
        # Runtimes share nodes, so that there may be room for one more.
        pool = plans.platform.pool(plan.runtime.pool)
        yield NodeNeed(
            name=f"pool {pool.name}", instance_types=pool.instance_types, nodes=1, nodes_now=0
        )


def _ami_parameters(plans: AwsPlans) -> tuple[str, ...]:
    classes = plans.platform.aws.node_classes if plans.platform.aws else ()
    gpu = {pool.name for pool in plans.pools if pool.gpu}
    version = plans.spec.kubernetes_version
    images = {
        (version, "nvidia" if each.name in gpu else "standard", each.ami_alias.partition("@v")[2])
        for each in classes
    }
    images |= {
        (each.kubernetes_version, "nvidia", each.release_version.partition("-")[2])
        for each in plans.cloud.fixed_groups
    }
    return tuple(
        _AMI_PARAMETER.format(version=version, variant=variant, release=release)
        for version, variant, release in sorted(images)
    )


def _holdings(plans: AwsPlans) -> Holdings:
    doors = sum(endpoint.kind == "Interface" for endpoint in plans.cloud.network.endpoints)
    return Holdings(
        fixed=_fixed_needs(plans),
        pools=tuple(_pool_need(plans, pool) for pool in plans.pools),
        nat_gateways=len(plans.cloud.network.nat_zones),
        interface_endpoints=doors * len(plans.spec.zone_ids),
        keys=len(plans.cloud.keys),
    )
