"""Requests for preflight, as a plan of a small production environment makes them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from moltghost.aws.request import Holdings, NodeNeed, PreflightRequest, RequestedSubnet
from tests.aws.simulated import ACCOUNT, REGION

AMI = (
    "/aws/service/eks/optimized-ami/1.36/amazon-linux-2023/x86_64/nvidia/"
    "amazon-eks-node-al2023-x86_64-nvidia-1.36-v20260818/image_id"
)
ADMIN = f"arn:aws:iam::{ACCOUNT}:role/moltghost-admin"
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/moltghost-boundary"
IMAGE = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/moltghost-prod/ollama:0.33"


def need(name: str = "pool h100", kind: str = "p5.4xlarge", **changes: Any) -> NodeNeed:
    return NodeNeed(
        **{"name": name, "instance_types": (kind,), "nodes": 3, "surge_nodes": 1, **changes}
    )


SYSTEM = NodeNeed(
    name="system nodes", instance_types=("m7i.large",), nodes=2, surge_nodes=1, nodes_now=2
)


# Idle: 0.10 + 2 x 0.045 + 4 x 0.01 + 4 x 0.00137 + 2 x 0.1008 = 0.43708 $/h, 319.07 $/month.
# Full: 2 x 6.88 more, 10363.87 $/month.
def holdings(*pools: NodeNeed) -> Holdings:
    return Holdings(
        fixed=(SYSTEM,),
        pools=pools or (need(nodes=1),),
        nat_gateways=2,
        interface_endpoints=4,
        keys=4,
    )


def request(**changes: Any) -> PreflightRequest:
    values: dict[str, Any] = {
        "environment": "prod",
        "scope": "environment",
        "region": REGION,
        "account_id": ACCOUNT,
        "zone_ids": ("use1-az1", "use1-az2"),
        "kubernetes_version": "1.36",
        "cluster_name": "moltghost-prod",
        "needs": (SYSTEM, need("pool l40s", "g6e.2xlarge"), need()),
        "subnets": (RequestedSubnet(zone_id="use1-az1", cidr="10.40.0.0/20"),),
        "addresses_now": 50,
        "addresses_total": 500,
        "ami_parameters": (AMI,),
        "images": (IMAGE,),
        "weights_bucket": f"moltghost-weights-prod-{ACCOUNT}",
        "kms_key_aliases": ("alias/moltghost-prod-weights",),
        "principals": (ADMIN,),
        "permissions_boundary": BOUNDARY,
        "monthly_ceiling_usd": Decimal(50_000),
        "holdings": holdings(),
    }
    return PreflightRequest(**{**values, **changes})
