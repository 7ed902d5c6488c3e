"""The plan of an environment's network: subnets by zone id, what leaves it and by which door.

Three tiers. ``isolated`` nodes (GPUs, runtimes) have no route to the internet: S3 and AWS's APIs
are reached by endpoints alone. ``private`` nodes (system, weights jobs) go out by NAT. ``edge``
subnets hold the NAT gateways, ``control`` subnets the control plane and the endpoints.

Why: docs/decisions/0018.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, collapse_addresses
from typing import Literal

from moltghost.config_aws import AwsCloudSpec
from moltghost.planning.aws.facts import eks_registry_account
from moltghost.planning.aws.iam import ANYTHING, Statement, document
from moltghost.planning.aws.names import AwsScope
from moltghost.planning.base import Plan

Tier = Literal["isolated", "private", "edge", "control"]

# Prefix lengths beyond the VPC's own: half of it for the isolated nodes of four zones, a quarter
# for the private ones, and small subnets for gateways and interfaces.
_TIER_BITS: dict[Tier, int] = {"isolated": 3, "private": 4, "edge": 8, "control": 8}

# Space that no public service has: IANA special-purpose address registry.
_NOT_PUBLIC = (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "224.0.0.0/3",
)

# AWS's APIs by what nodes and controllers call; private_dns makes the usual names lead here.
_INTERFACE_SERVICES = (
    "ecr.api",
    "ecr.dkr",
    "sts",
    "ec2",
    "eks",
    "eks-auth",
    "logs",
    "ssm",
    "kms",
    "sqs",
)

# Where the weights jobs download from: the model hubs of the catalogue and their object stores.
_MODEL_SOURCES = (
    "huggingface.co",
    "*.huggingface.co",
    "*.hf.co",
    "registry.ollama.ai",
    "*.r2.cloudflarestorage.com",
)


class SubnetPlan(Plan):
    """One subnet of one zone."""

    tier: Tier
    zone_id: str
    cidr: str

    @property
    def name(self) -> str:
        """``isolated-use1-az4``."""
        return f"{self.tier}-{self.zone_id}"


class EndpointPlan(Plan):
    """A door to a service of AWS."""

    service: str
    kind: Literal["Gateway", "Interface"]
    policy: str


class NetworkPlan(Plan):
    """Everything about the network that is decided before it exists."""

    cidr: str
    subnets: tuple[SubnetPlan, ...]
    nat_zones: tuple[str, ...]
    """Zones with a NAT gateway; the private subnets of the others use the first one's."""
    endpoints: tuple[EndpointPlan, ...]
    dns_allowed: tuple[str, ...]
    """Names that the VPC's resolver answers; it answers no other."""
    flow_log_group: str
    public_cidrs: tuple[str, ...]
    """All public addresses: where S3 lies. Isolated nodes reach none but S3's, by its endpoint."""

    def tier(self, tier: Tier) -> tuple[SubnetPlan, ...]:
        """The subnets of a tier, one for each zone."""
        return tuple(subnet for subnet in self.subnets if subnet.tier == tier)

    def nat_zone(self, zone_id: str) -> str:
        """The zone whose NAT gateway a zone's private subnet uses."""
        return zone_id if zone_id in self.nat_zones else self.nat_zones[0]


def plan_network(
    scope: AwsScope, spec: AwsCloudSpec, bucket: str, used: Iterable[Statement]
) -> NetworkPlan:
    """Lay out the network.

    Args:
        scope: where it lies.
        spec: the environment's config.
        bucket: the weights store's bucket.
        used: all statements of the environment's roles; an endpoint lets through what they allow.

    Raises:
        Refused: the region's registry of EKS's own images isn't known.
    """
    return NetworkPlan(
        cidr=spec.vpc_cidr,
        subnets=tuple(_subnets(IPv4Network(spec.vpc_cidr), spec.zone_ids)),
        nat_zones=spec.zone_ids if spec.nat == "per-zone" else spec.zone_ids[:1],
        endpoints=(
            EndpointPlan(service="s3", kind="Gateway", policy=_s3_policy(scope, bucket)),
            *_interface_endpoints(scope, tuple(used)),
        ),
        dns_allowed=_dns_allowed(scope, bucket),
        flow_log_group=f"/{scope.name}/flow-logs",
        public_cidrs=public_cidrs(),
    )


def public_cidrs() -> tuple[str, ...]:
    """IPv4 without the space that is private or has a special meaning."""
    left = [IPv4Network("0.0.0.0/0")]
    for text in _NOT_PUBLIC:
        hole = IPv4Network(text)
        left = [
            part
            for network in left
            for part in (network.address_exclude(hole) if hole.subnet_of(network) else [network])
        ]
    return tuple(str(network) for network in collapse_addresses(left))


def _subnets(vpc: IPv4Network, zone_ids: tuple[str, ...]) -> Iterable[SubnetPlan]:
    """Lower half: isolated; third quarter: private; the rest: edge, then control."""
    half, rest = vpc.subnets(prefixlen_diff=1)
    quarter, small = rest.subnets(prefixlen_diff=1)
    edge, control = small.subnets(prefixlen_diff=1)
    areas: dict[Tier, IPv4Network] = {
        "isolated": half,
        "private": quarter,
        "edge": edge,
        "control": control,
    }
    for tier, area in areas.items():
        blocks = area.subnets(new_prefix=vpc.prefixlen + _TIER_BITS[tier])
        for zone_id, block in zip(zone_ids, blocks, strict=False):
            yield SubnetPlan(tier=tier, zone_id=zone_id, cidr=str(block))


def _s3_policy(scope: AwsScope, bucket: str) -> str:
    """The weights of the environment and the layers of images; no other bucket, whoever asks."""
    weights = scope.bucket_arn(bucket)
    layers = scope.bucket_arn(f"prod-{scope.region}-starport-layer-bucket")
    return document(
        [
            Statement(
                sid="Weights",
                principals={"AWS": (ANYTHING,)},
                actions=(
                    "s3:GetObject",
                    "s3:PutObject",
                    "s3:ListBucket",
                    "s3:ListBucketMultipartUploads",
                    "s3:ListMultipartUploadParts",
                ),
                resources=(weights, f"{weights}/*"),
                conditions={"StringEquals": {"aws:PrincipalAccount": (scope.account_id,)}},
            ),
            # ECR signs these requests itself, with no principal of the account.
            Statement(
                sid="ImageLayers",
                principals={"AWS": (ANYTHING,)},
                actions=("s3:GetObject",),
                resources=(f"{layers}/*",),
            ),
        ]
    )


def _interface_endpoints(scope: AwsScope, used: tuple[Statement, ...]) -> list[EndpointPlan]:
    return [
        EndpointPlan(service=service, kind="Interface", policy=_api_policy(scope, service, used))
        for service in _INTERFACE_SERVICES
    ]


def _api_policy(scope: AwsScope, service: str, used: tuple[Statement, ...]) -> str:
    """What the environment's roles may do at a service, for principals of the account."""
    prefix = service.partition(".")[0] + ":"
    actions = {action for each in used for action in each.actions if action.startswith(prefix)}
    actions |= set(_NODE_ACTIONS.get(prefix, ()))
    return document(
        [
            Statement(
                sid="Used",
                principals={"AWS": (ANYTHING,)},
                actions=tuple(sorted(actions)),
                resources=_api_resources(scope, prefix),
                conditions=_of_account(scope, prefix),
                why_any_resource="the roles' own policies narrow the resource",
            )
        ]
    )


def _of_account(scope: AwsScope, prefix: str) -> dict[str, dict[str, tuple[str, ...]]]:
    """A pod asks `eks-auth` and a role session `sts` before there is a principal to tell apart."""
    if prefix == "eks-auth:":
        return {}
    return {"StringEquals": {"aws:PrincipalAccount": (scope.account_id,)}}


def _api_resources(scope: AwsScope, prefix: str) -> tuple[str, ...]:
    if prefix == "eks-auth:":
        return (scope.cluster_arn,)
    return (ANYTHING,)


# What nodes do beyond the statements of their role: pull images by a policy of AWS's own
# (AmazonEC2ContainerRegistryPullOnly), take roles on, write logs, open what is encrypted.
_NODE_ACTIONS: dict[str, tuple[str, ...]] = {
    "ecr:": (
        "ecr:GetAuthorizationToken",
        "ecr:BatchCheckLayerAvailability",
        "ecr:GetDownloadUrlForLayer",
        "ecr:BatchGetImage",
    ),
    "sts:": ("sts:AssumeRole", "sts:TagSession", "sts:GetCallerIdentity"),
    "kms:": ("kms:Decrypt", "kms:GenerateDataKey", "kms:DescribeKey"),
    "logs:": ("logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"),
}


def _dns_allowed(scope: AwsScope, bucket: str) -> tuple[str, ...]:
    """Names of what the environment uses: AWS's APIs, images, and sources of models."""
    region = scope.region
    services = ("api.ecr", "sts", "ec2", "eks", "logs", "ssm", "kms", "sqs", "monitoring")
    return (
        *(f"{service}.{region}.amazonaws.com" for service in services),
        f"eks-auth.{region}.api.aws",
        f"*.{region}.eks.amazonaws.com",
        f"{scope.account_id}.dkr.ecr.{region}.amazonaws.com",
        f"{eks_registry_account(region)}.dkr.ecr.{region}.amazonaws.com",
        f"{bucket}.s3.{region}.amazonaws.com",
        f"prod-{region}-starport-layer-bucket.s3.{region}.amazonaws.com",
        "iam.amazonaws.com",
        "api.pricing.us-east-1.amazonaws.com",
        "public.ecr.aws",
        "*.cloudfront.net",  # layers of public.ecr.aws
        "*.compute.internal",
        "*.ec2.internal",
        *_MODEL_SOURCES,
    )
