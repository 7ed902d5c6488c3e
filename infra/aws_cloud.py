"""The cloud layer on AWS: keys, network, cluster, nodes, weights store, registry and guards."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from moltghost.components.aws.addons import Addons
from moltghost.components.aws.cluster import Cluster, ClusterInputs
from moltghost.components.aws.dns_firewall import DnsFirewall
from moltghost.components.aws.endpoints import Endpoints
from moltghost.components.aws.flow_logs import FlowLogs
from moltghost.components.aws.guards import Guards
from moltghost.components.aws.karpenter_identity import KarpenterIdentity
from moltghost.components.aws.keys import Keys
from moltghost.components.aws.network import Network
from moltghost.components.aws.node_group import NodeGroup, NodeGroupInputs
from moltghost.components.aws.people import People
from moltghost.components.aws.repositories import Repositories
from moltghost.components.aws.role import Role
from moltghost.components.aws.weights_store import WeightsStore
from moltghost.infra.aws_access import aws_provider, kubeconfig
from moltghost.planning.aws.cloud import AwsCloudPlan
from moltghost.planning.aws.nodes import NodeGroupPlan


def declare_aws_cloud(plan: AwsCloudPlan) -> None:
    """Declare everything that an environment has in AWS, but for what its pods bring."""
    opts = pulumi.ResourceOptions(provider=aws_provider(plan.scope))
    keys = Keys("keys", plan.keys, plan.tags, opts)
    network, joining = _network(plan, keys, opts)
    cluster = _cluster(plan, keys, network, opts)
    _nodes(plan, keys, network, cluster, joining, opts)
    there: list[pulumi.Resource] = [cluster.cluster]
    name = cluster.cluster.name
    KarpenterIdentity("karpenter-identity", plan, name, there, opts)
    WeightsStore("weights-store", plan, keys.arn("weights"), name, there, opts)
    Repositories("repositories", plan.repositories, keys.arn("weights"), plan.tags, opts)
    people = People("people", plan.agents_boundary, plan.deployers_policy, plan.tags, opts)
    Guards("guards", plan.guards, keys.arn("logs"), plan.tags, opts)
    _export(plan, cluster)
    pulumi.export("vpc_id", network.vpc.id)
    pulumi.export("deployers_policy", people.deployers.arn)


def _network(
    plan: AwsCloudPlan, keys: Keys, opts: pulumi.ResourceOptions
) -> tuple[Network, list[pulumi.Resource]]:
    """The network, and what a node needs of it to join."""
    network = Network("network", plan.network, plan.cluster_name, plan.tags, opts)
    endpoints = Endpoints("endpoints", plan.network, network, plan.scope.region, plan.tags, opts)
    vpc = network.vpc.id
    DnsFirewall("dns", plan.cluster_name, plan.network.dns_allowed, vpc, plan.tags, opts)
    FlowLogs("flow-logs", plan, vpc, keys.arn("logs"), opts)
    return network, [*network.ready, *endpoints.ready]


def _cluster(
    plan: AwsCloudPlan, keys: Keys, network: Network, opts: pulumi.ResourceOptions
) -> Cluster:
    inputs = ClusterInputs(
        subnet_ids=network.subnet_ids("control"),
        secrets_key=keys.arn("cluster"),
        logs_key=keys.arn("logs"),
    )
    return Cluster("cluster", plan.cluster, inputs, plan.tags, opts)


def _nodes(
    plan: AwsCloudPlan,
    keys: Keys,
    network: Network,
    cluster: Cluster,
    joining: list[pulumi.Resource],
    opts: pulumi.ResourceOptions,
) -> None:
    """Add-ons that nodes need to become ready, then the nodes."""
    name = cluster.cluster.name
    addons = Addons("node-addons", plan.cluster.addons, name, plan.tags, [cluster.cluster], opts)
    role = Role("node-role", plan.node_role, plan.tags, opts)
    after = [*joining, *addons.ready, *role.ready]

    def group(each: NodeGroupPlan) -> None:
        NodeGroup(
            each.name,
            each,
            NodeGroupInputs(
                cluster_name=name,
                role_arn=role.arn,
                subnet_ids=network.subnet_ids(each.tier, each.zone_ids),
                disk_key=keys.arn("disks"),
                after=after,
            ),
            plan.tags,
            opts,
        )

    for each in (plan.system_nodes, *plan.fixed_groups):
        group(each)


def _export(plan: AwsCloudPlan, cluster: Cluster) -> None:
    """Facts that the layers above and the command read; no secret is among them."""
    ours: aws.eks.Cluster = cluster.cluster
    pulumi.export("provider", plan.provider)
    pulumi.export("simulated_nodes", plan.simulated_nodes)
    pulumi.export("cluster_name", plan.cluster_name)
    pulumi.export("kubeconfig", kubeconfig(plan.scope, ours))
    pulumi.export("zones", list(plan.zones))
    pulumi.export("weights_store_url", plan.weights_store.url)
    pulumi.export("registry", plan.scope.registry)
    pulumi.export("region", plan.scope.region)
    pulumi.export("account_id", plan.scope.account_id)
