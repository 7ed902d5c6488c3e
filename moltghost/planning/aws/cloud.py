"""The plan of the cloud layer of an environment on AWS."""

from __future__ import annotations

from moltghost.config_aws import AwsCloudSpec
from moltghost.labels import ENVIRONMENT_LABEL, NAMESPACE_TAG, WEIGHTS_ACCOUNT, WEIGHTS_NAMESPACE
from moltghost.planning.aws.alarms import GuardsPlan, plan_guards
from moltghost.planning.aws.cluster import ClusterPlan, plan_cluster
from moltghost.planning.aws.controllers import (
    disk_driver_statements,
    karpenter_statements,
    node_statements,
)
from moltghost.planning.aws.deployers import (
    PolicyPlan,
    plan_agents_boundary,
    plan_deployers_policy,
)
from moltghost.planning.aws.facts import kubernetes_release
from moltghost.planning.aws.iam import (
    RolePlan,
    Statement,
    aws_managed,
    document,
    trust_of_pods,
    trust_of_service,
)
from moltghost.planning.aws.names import AwsScope, checked_scope
from moltghost.planning.aws.network import NetworkPlan, plan_network
from moltghost.planning.aws.nodes import NodeGroupPlan, plan_fixed_groups, plan_system_nodes
from moltghost.planning.aws.storage import (
    KeyPlan,
    RepositoryPlan,
    WeightsBucketPlan,
    mirrored_images,
    plan_keys,
    plan_repositories,
    plan_weights_bucket,
)
from moltghost.planning.aws.weights import builder_statements, reader_statements
from moltghost.planning.base import Plan
from moltghost.planning.environment import CloudPlan, Kubeconfig, Storage, WeightsStore
from moltghost.planning.images import pinned_images
from moltghost.planning.karpenter import NodeClass
from moltghost.store_layout import STORES, bucket_url

EC2_NODE_CLASS = ("karpenter.k8s.aws", "EC2NodeClass", "v1")
KARPENTER_NAMESPACE, KARPENTER_ACCOUNT = "kube-system", "karpenter"

# What EventBridge hands to Karpenter: its getting-started template, "InterruptionQueue".
_INTERRUPTIONS: dict[str, tuple[str, str]] = {
    "scheduled-change": ("aws.health", "AWS Health Event"),
    "spot-interruption": ("aws.ec2", "EC2 Spot Instance Interruption Warning"),
    "rebalance": ("aws.ec2", "EC2 Instance Rebalance Recommendation"),
    "state-change": ("aws.ec2", "EC2 Instance State-change Notification"),
    "reservation-interruption": (
        "aws.ec2",
        "EC2 Capacity Reservation Instance Interruption Warning",
    ),
}
# Karpenter reads within seconds; an older message is about an instance that is gone.
_QUEUE_RETENTION_SECONDS = 300
# EKS's own images come from registries of several accounts, which this policy knows.
_NODE_POLICIES = ("AmazonEC2ContainerRegistryPullOnly",)


class EventPlan(Plan):
    """An event that Karpenter hears of."""

    name: str
    source: str
    detail_type: str


class KarpenterIdentity(Plan):
    """Who Karpenter is to AWS, and what its nodes are."""

    namespace: str = KARPENTER_NAMESPACE
    service_account: str = KARPENTER_ACCOUNT
    controller: RolePlan
    node: RolePlan
    instance_profile: str
    queue: str
    queue_policy: str
    queue_retention_seconds: int = _QUEUE_RETENTION_SECONDS
    events: tuple[EventPlan, ...]


class AwsCloudPlan(CloudPlan):
    """What AWS provides: everything but the ids that AWS itself gives."""

    scope: AwsScope
    boundary: str | None
    log_retention_days: int
    keys: tuple[KeyPlan, ...]
    network: NetworkPlan
    flow_log_role: RolePlan
    cluster: ClusterPlan
    node_role: RolePlan
    """Of the managed node groups; EKS itself lets it into the cluster."""
    system_nodes: NodeGroupPlan
    fixed_groups: tuple[NodeGroupPlan, ...]
    karpenter: KarpenterIdentity
    weights_bucket: WeightsBucketPlan
    weights_builder: RolePlan
    """Of the jobs that fill the weights store."""
    agents_boundary: PolicyPlan
    deployers_policy: PolicyPlan
    repositories: tuple[RepositoryPlan, ...]
    guards: GuardsPlan

    @property
    def tags(self) -> dict[str, str]:
        """Tags of everything."""
        return self.scope.tags

    def node_class_of(self, pool: str) -> NodeClass:
        """Each pool has a node class of its own."""
        return self.node_class.model_copy(update={"name": pool})


def plan_aws_cloud(environment: str, spec: AwsCloudSpec) -> AwsCloudPlan:
    """Decide the cloud layer.

    Raises:
        Refused: the environment's name is too long, or the region, the version of Kubernetes or
            an instance type isn't one that this can do.
    """
    scope = checked_scope(environment, spec.account_id, spec.region)
    release = kubernetes_release(spec.kubernetes_version)
    images = pinned_images()
    bucket = plan_weights_bucket(scope)
    cluster = plan_cluster(scope, spec, release)
    karpenter = _karpenter(scope, spec)
    builder = _role(
        scope, spec, "weights-builder", builder_statements(scope, bucket.bucket), WEIGHTS_NAMESPACE
    )
    roles = (karpenter.controller, builder, *(each.role for each in cluster.addons if each.role))
    used = [statement for role in roles for statement in role.statements]
    used += node_statements(scope)
    used += disk_driver_statements(scope)  # the driver itself comes with the platform layer
    used += reader_statements(scope, bucket.bucket, STORES)
    network = plan_network(scope, spec, bucket.bucket, used)
    group, kind, version = EC2_NODE_CLASS
    return AwsCloudPlan(
        environment=environment,
        provider=spec.provider,
        simulated_nodes=False,
        cluster_name=scope.name,
        kubeconfig=Kubeconfig(written_to=f"kubeconfigs/{environment}.yaml"),
        region=spec.region,
        zones=spec.zone_ids,
        zone_label="topology.k8s.aws/zone-id",
        node_class=NodeClass(group=group, kind=kind, version=version, name=scope.name),
        storage=_volumes(scope),
        weights_store=WeightsStore(
            url=bucket_url(bucket.bucket),
            egress_cidrs=network.public_cidrs,
        ),
        images=mirrored_images(scope, images, spec.image_digests),
        scope=scope,
        boundary=spec.permissions_boundary,
        log_retention_days=spec.log_retention_days,
        keys=plan_keys(scope),
        network=network,
        flow_log_role=_flow_logs(scope, spec),
        cluster=cluster,
        node_role=_nodes(scope, spec, "node"),
        system_nodes=plan_system_nodes(spec, release),
        fixed_groups=plan_fixed_groups(spec),
        karpenter=karpenter,
        weights_bucket=bucket,
        weights_builder=builder,
        agents_boundary=plan_agents_boundary(scope, bucket.bucket),
        deployers_policy=plan_deployers_policy(scope, bucket.bucket),
        repositories=plan_repositories(scope, images, spec.image_digests),
        guards=plan_guards(scope, spec, karpenter.queue),
    )


def _volumes(scope: AwsScope) -> Storage:
    """Encrypted gp3, tagged with what it belongs to, so that its cost can be told apart."""
    return Storage(
        provisioner="ebs.csi.aws.com",
        parameters={
            "type": "gp3",
            "encrypted": "true",
            "kmsKeyId": scope.arn("kms", scope.alias("disks")),
            "tagSpecification_1": f"{ENVIRONMENT_LABEL}={scope.environment}",
            "tagSpecification_2": f"{NAMESPACE_TAG}={{{{ .PVCNamespace }}}}",
        },
    )


def _role(
    scope: AwsScope,
    spec: AwsCloudSpec,
    what: str,
    statements: tuple[Statement, ...],
    namespace: str,
    account: str = WEIGHTS_ACCOUNT,
) -> RolePlan:
    return RolePlan(
        name=scope.role_name(what),
        trust=(trust_of_pods(scope, namespace, account),),
        statements=statements,
        boundary=spec.permissions_boundary,
    )


def _nodes(scope: AwsScope, spec: AwsCloudSpec, what: str) -> RolePlan:
    return RolePlan(
        name=scope.role_name(what),
        trust=(trust_of_service("ec2"),),
        statements=node_statements(scope),
        managed_policies=aws_managed(*_NODE_POLICIES),
        boundary=spec.permissions_boundary,
    )


def _karpenter(scope: AwsScope, spec: AwsCloudSpec) -> KarpenterIdentity:
    profile = scope.role_name("karpenter-node")
    queue = f"{scope.name}-interruptions"
    return KarpenterIdentity(
        controller=_role(
            scope,
            spec,
            "karpenter",
            karpenter_statements(scope, "karpenter-node", profile),
            KARPENTER_NAMESPACE,
            KARPENTER_ACCOUNT,
        ),
        node=_nodes(scope, spec, "karpenter-node"),
        instance_profile=profile,
        queue=queue,
        queue_policy=_queue_policy(scope, queue),
        events=tuple(
            EventPlan(name=name, source=source, detail_type=detail)
            for name, (source, detail) in _INTERRUPTIONS.items()
        ),
    )


def _queue_policy(scope: AwsScope, queue: str) -> str:
    arn = scope.arn("sqs", queue)
    return document(
        [
            Statement(
                sid="Events",
                principals={"Service": ("events.amazonaws.com",)},
                actions=("sqs:SendMessage",),
                resources=(arn,),
                conditions={
                    "ArnLike": {"aws:SourceArn": (scope.arn("events", f"rule/{scope.name}-*"),)}
                },
            ),
            Statement(
                sid="OnlyTls",
                effect="Deny",
                principals={"AWS": ("*",)},
                actions=("sqs:*",),
                resources=(arn,),
                conditions={"Bool": {"aws:SecureTransport": ("false",)}},
            ),
        ]
    )


def _flow_logs(scope: AwsScope, spec: AwsCloudSpec) -> RolePlan:
    group = scope.arn("logs", f"log-group:/{scope.name}/flow-logs")
    return RolePlan(
        name=scope.role_name("flow-logs"),
        trust=(
            trust_of_service(
                "vpc-flow-logs", {"StringEquals": {"aws:SourceAccount": (scope.account_id,)}}
            ),
        ),
        statements=(
            Statement(
                sid="Write",
                actions=("logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"),
                resources=(group, f"{group}:*"),
            ),
        ),
        boundary=spec.permissions_boundary,
    )
