"""Every check of preflight, in each status that it can have."""

from __future__ import annotations

import socket
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ConnectTimeoutError, NoCredentialsError, ReadTimeoutError

from moltghost.aws.clients import Clients
from moltghost.aws.preflight import PERMISSIONS, PROBES, preflight
from moltghost.aws.request import RequestedSubnet
from moltghost.checks import Check, Status
from tests.aws.requests import ADMIN, AMI, BOUNDARY, holdings, need, request
from tests.aws.simulated import (
    ACCOUNT,
    OFFERED,
    REGION,
    Fault,
    SimulatedAccount,
    cluster_version,
    day,
    iam_role,
    instances,
    offerings,
    reservation,
    reservations,
)

Spoil = Callable[[SimulatedAccount], None]
KEY = "kms-key.moltghost-prod-weights"
BLOCK = "cr-0123456789abcdef0"


def cluster(**changes: Any) -> dict[str, Any]:
    return {"cluster": {"status": "ACTIVE", "version": "1.36", **changes}}


def with_path(params: dict[str, Any]) -> dict[str, Any]:
    """A role of the same name below a path, which is another ARN."""
    found = iam_role(params)["Role"]
    return {"Role": {**found, "Arn": found["Arn"].replace("role/", "role/people/")}}


def run(account: SimulatedAccount, **changes: Any) -> dict[str, Check]:
    checks = preflight(request(**changes), account.clients())
    assert len({check.id for check in checks}) == len(checks)
    return {check.id: check for check in checks}


def test_an_account_where_all_is_well_has_only_ok(account: SimulatedAccount) -> None:
    found = run(account)

    assert {check.id: check.status for check in found.values() if check.status != "ok"} == {}
    assert set(found) >= {
        "credentials",
        "apis",
        "region",
        "zones",
        "offering.l40s",
        "offering.h100",
        "quota.L-DB2E81BA",
        "quota.L-417A185B",
        "quota.L-1216C47A",
        "addresses",
        "kubernetes-version",
        "cluster-version",
        "ami.al2023-x86_64-nvidia-1.36-v20260818",
        "image.ollama",
        "weights-store",
        "kms-key.moltghost-prod-weights",
        "principal.moltghost-admin",
        "permissions-boundary",
        "endpoint",
        "monthly-ceiling",
    }


# check, status, what spoils it, what the finding says, what the remedy says
CASES: list[tuple[str, str, Spoil, str, str]] = [
    (
        "credentials",
        "blocker",
        lambda a: a.fail("GetCallerIdentity", Fault("ExpiredToken", "the token has expired")),
        "the token has expired",
        "aws sso login",
    ),
    (
        "credentials",
        "blocker",
        lambda a: a.fail("GetCallerIdentity", NoCredentialsError()),
        "Unable to locate credentials",
        "aws sso login",
    ),
    (
        "credentials",
        "blocker",
        lambda a: a.answer(
            "GetCallerIdentity",
            {"Account": "999900001111", "Arn": "arn:aws:iam::999900001111:user/x"},
        ),
        f"the environment is in account {ACCOUNT}",
        "AWS_PROFILE",
    ),
    (
        "credentials",
        "warning",
        lambda a: a.answer(
            "GetCallerIdentity", {"Account": ACCOUNT, "Arn": f"arn:aws:iam::{ACCOUNT}:root"}
        ),
        ":root",
        "assume a role",
    ),
    (
        "credentials",
        "unknown",
        lambda a: a.fail("GetCallerIdentity", Fault("Throttling")),
        "throttled GetCallerIdentity",
        "wait a minute",
    ),
    (
        "region",
        "blocker",
        lambda a: a.answer(
            "DescribeRegions",
            {"Regions": [{"RegionName": REGION, "OptInStatus": "not-opted-in"}]},
        ),
        "switched off",
        f"aws account enable-region --region-name {REGION}",
    ),
    (
        "region",
        "blocker",
        lambda a: a.fail("DescribeRegions", Fault("InvalidParameterValue")),
        "there is no region",
        "correct the region",
    ),
    (
        "region",
        "unknown",
        lambda a: a.fail("DescribeRegions", Fault("UnauthorizedOperation", status=403)),
        "ec2:DescribeRegions was denied",
        "have ec2:DescribeRegions granted",
    ),
    (
        "zones",
        "blocker",
        lambda a: a.answer(
            "DescribeAvailabilityZones",
            {"AvailabilityZones": [{"ZoneId": "use1-az1", "State": "available"}]},
        ),
        "no zone use1-az2",
        "usable are use1-az1",
    ),
    (
        "zones",
        "warning",
        lambda a: a.answer(
            "DescribeAvailabilityZones",
            {
                "AvailabilityZones": [
                    {"ZoneId": "use1-az1", "State": "impaired"},
                    {"ZoneId": "use1-az2", "State": "available"},
                ]
            },
        ),
        "use1-az1 is impaired",
        "health.aws.amazon.com",
    ),
    (
        "zones",
        "unknown",
        lambda a: a.fail("DescribeAvailabilityZones", ReadTimeoutError(endpoint_url="https://ec2")),
        "no answer in time",
        "network",
    ),
    (
        "offering.h100",
        "blocker",
        lambda a: a.answer(
            "DescribeInstanceTypeOfferings", offerings({**OFFERED, "p5.4xlarge": ("use1-az6",)})
        ),
        "not offered in use1-az1, use1-az2; it is offered in use1-az6",
        "add one of use1-az6",
    ),
    (
        "offering.h100",
        "blocker",
        lambda a: a.answer(
            "DescribeInstanceTypeOfferings", offerings({**OFFERED, "p5.4xlarge": ()})
        ),
        "nor anywhere else",
        "describe-instance-type-offerings",
    ),
    (
        "offerings",
        "unknown",
        lambda a: a.deny("DescribeInstanceTypeOfferings"),
        "ec2:DescribeInstanceTypeOfferings was denied",
        "granted",
    ),
    (
        "quota.L-417A185B",
        "blocker",
        lambda a: a.quotas.update({"L-417A185B": 0.0}),
        "limit 0 vCPU, 0 in use; 16 vCPU needed now, 64 with everything full",
        "request-service-quota-increase --service-code ec2 --quota-code L-417A185B "
        "--desired-value 64",
    ),
    (
        "quota.L-417A185B",
        "warning",
        lambda a: a.quotas.update({"L-417A185B": 16.0}),
        "limit 16 vCPU",
        "--desired-value 64",
    ),
    (
        "quota.L-417A185B",
        "unknown",
        lambda a: a.deny("GetServiceQuota", "servicequotas:GetServiceQuota"),
        "servicequotas:GetServiceQuota was denied",
        "have servicequotas:GetServiceQuota granted",
    ),
    (
        "quota.L-417A185B",
        "unknown",
        lambda a: a.fail("DescribeInstances", Fault("RequestLimitExceeded", status=503)),
        "use unknown",
        "wait a minute",
    ),
    (
        "kubernetes-version",
        "blocker",
        lambda a: a.answer("DescribeClusterVersions", {"clusterVersions": []}),
        "does not support Kubernetes 1.36",
        "describe-cluster-versions",
    ),
    (
        "kubernetes-version",
        "blocker",
        lambda a: a.answer(
            "DescribeClusterVersions", cluster_version("UNSUPPORTED", day(-500), day(-1))
        ),
        "does not support Kubernetes 1.36",
        "describe-cluster-versions",
    ),
    (
        "kubernetes-version",
        "warning",
        lambda a: a.answer(
            "DescribeClusterVersions", cluster_version("EXTENDED_SUPPORT", day(-5), day(300))
        ),
        "0.50 $/h more (365.00 $/month)",
        "plan an update",
    ),
    (
        "kubernetes-version",
        "warning",
        lambda a: a.answer(
            "DescribeClusterVersions", cluster_version("STANDARD_SUPPORT", day(20), day(300))
        ),
        "standard support until",
        "plan an update",
    ),
    (
        "kubernetes-version",
        "unknown",
        lambda a: a.deny("DescribeClusterVersions"),
        "eks:DescribeClusterVersions was denied",
        "granted",
    ),
    (
        "cluster-version",
        "blocker",
        lambda a: a.answer("DescribeCluster", cluster(version="1.37")),
        "runs Kubernetes 1.37, and Pulumi.prod.yaml says 1.36",
        'write kubernetes_version: "1.37" into Pulumi.prod.yaml',
    ),
    (
        "cluster-version",
        "blocker",
        lambda a: a.answer("DescribeCluster", cluster(version="1.34")),
        "runs Kubernetes 1.34, and Pulumi.prod.yaml says 1.36",
        "to 1.35 first",
    ),
    (
        "cluster-version",
        "unknown",
        lambda a: a.deny("DescribeCluster"),
        "eks:DescribeCluster was denied",
        "granted",
    ),
    (
        "image.ollama",
        "unknown",
        lambda a: a.deny("DescribeImages", "ecr:DescribeImages"),
        "ecr:DescribeImages was denied",
        "granted",
    ),
    (
        "weights-store",
        "blocker",
        lambda a: a.answer("HeadBucket", {"BucketRegion": "eu-west-1"}),
        "is in eu-west-1",
        "another name",
    ),
    (
        "weights-store",
        "blocker",
        lambda a: a.fail("HeadBucket", Fault("301", status=301)),
        "is in another region",
        "another name",
    ),
    (
        "weights-store",
        "unknown",
        lambda a: a.fail("HeadBucket", Fault("403", status=403)),
        "s3:ListBucket was denied, or another account",
        "s3:ListBucket",
    ),
    (
        "weights-store",
        "unknown",
        lambda a: a.fail("HeadBucket", Fault("SlowDown", status=503)),
        "throttled HeadBucket",
        "wait a minute",
    ),
    (
        KEY,
        "blocker",
        lambda a: a.answer(
            "DescribeKey", {"KeyMetadata": {"KeyId": "key-1", "KeyState": "PendingDeletion"}}
        ),
        "is PendingDeletion",
        f"aws kms cancel-key-deletion --key-id key-1 --region {REGION}",
    ),
    (
        KEY,
        "blocker",
        lambda a: a.answer(
            "DescribeKey", {"KeyMetadata": {"KeyId": "key-1", "KeyState": "Disabled"}}
        ),
        "is Disabled",
        "aws kms enable-key --key-id key-1",
    ),
    (
        KEY,
        "unknown",
        lambda a: a.deny("DescribeKey"),
        "kms:DescribeKey was denied",
        "granted",
    ),
    (
        "endpoint",
        "blocker",
        lambda a: a.answer("DescribeCluster", cluster(status="FAILED")),
        "is FAILED",
        "aws eks describe-cluster",
    ),
    (
        "endpoint",
        "unknown",
        lambda a: a.fail("DescribeCluster", ConnectTimeoutError(endpoint_url="https://eks")),
        "no answer in time",
        "network",
    ),
    (
        "principal.moltghost-admin",
        "blocker",
        lambda a: a.fail("GetRole", Fault("NoSuchEntity", status=404)),
        f"there is no {ADMIN}",
        "aws iam get-role --role-name moltghost-admin",
    ),
    (
        "principal.moltghost-admin",
        "blocker",
        lambda a: a.answer("GetRole", with_path),
        f"is arn:aws:iam::{ACCOUNT}:role/people/moltghost-admin, not {ADMIN}",
        "correct it in Pulumi.prod.yaml",
    ),
    (
        "principal.moltghost-admin",
        "unknown",
        lambda a: a.deny("GetRole"),
        "iam:GetRole was denied",
        "granted",
    ),
    (
        "permissions-boundary",
        "blocker",
        lambda a: a.fail("GetPolicy", Fault("NoSuchEntity", status=404)),
        f"there is no policy {BOUNDARY}",
        "leave permissions_boundary out of Pulumi.prod.yaml",
    ),
    (
        "permissions-boundary",
        "unknown",
        lambda a: a.deny("GetPolicy"),
        "iam:GetPolicy was denied",
        "granted",
    ),
    (
        "addresses",
        "unknown",
        lambda a: a.deny("DescribeSubnets"),
        "ec2:DescribeSubnets was denied",
        "granted",
    ),
]


@pytest.mark.parametrize(
    ("check", "status", "spoil", "found", "remedy"),
    CASES,
    ids=[f"{row[0]}-{row[1]}-{index}" for index, row in enumerate(CASES)],
)
def test_what_is_wrong_in_the_account_is_found_with_its_remedy(
    account: SimulatedAccount, check: str, status: str, spoil: Spoil, found: str, remedy: str
) -> None:
    spoil(account)

    result = run(account)[check]

    assert result.status == status
    assert found in result.found
    assert remedy in result.remedy


# check, status, what differs in the request, what the finding says
REQUESTS: list[tuple[str, str, dict[str, Any], str]] = [
    ("zones", "blocker", {"zone_ids": ("use1-az1", "use1-az3")}, "no control plane in use1-az3"),
    ("zones", "blocker", {"zone_ids": ("use1-az1",)}, "EKS needs 2"),
    (
        "offering.a100-80",
        "warning",
        {"needs": (need("pool a100-80", instance_types=("g6e.2xlarge", "p4de.24xlarge")),)},
        "not offered in these zones: p4de.24xlarge",
    ),
    (
        "offering.h100",
        "ok",
        {"needs": (need(zone_ids=("use1-az6",)),)},
        "p5.4xlarge in use1-az6",
    ),
    ("quota.x99.large", "unknown", {"needs": (need(kind="x99.large"),)}, "which quota x99.large"),
    ("addresses", "ok", {"subnets": ()}, "no subnets"),
    ("addresses", "blocker", {"addresses_total": 5000}, "have 4091 addresses; 5000 with"),
    ("monthly-ceiling", "ok", {}, "319.07 of 50000.00 $/month at the rate of what runs"),
    ("monthly-ceiling", "ok", {}, "10363.87 with every pool full; prices: pricing-api"),
    ("monthly-ceiling", "blocker", {"monthly_ceiling_usd": Decimal(300)}, "319.07 of 300.00"),
    ("monthly-ceiling", "warning", {"monthly_ceiling_usd": Decimal(9_000)}, "10363.87 with every"),
    ("monthly-ceiling", "warning", {"monthly_ceiling_usd": None}, "no monthly ceiling"),
    (
        "monthly-ceiling",
        "unknown",
        {"holdings": holdings(need(kind="x99.large"))},
        "no price of x99.large",
    ),
    # The h100 node of 6.88 $/h that is asked for: 5022.40 $/month more.
    (
        "monthly-ceiling",
        "blocker",
        {"scope": "agent", "needs": (need(),), "monthly_ceiling_usd": Decimal(5_000)},
        "5341.47 of 5000.00",
    ),
    (
        "monthly-ceiling",
        "ok",
        {
            "scope": "agent",
            "needs": (need(),),
            "monthly_ceiling_usd": Decimal(4_000),
            "frees": ("g6e.2xlarge",),
        },
        "3704.75 of 4000.00",
    ),
    ("endpoint", "ok", {}, "up creates it"),
    ("endpoint", "blocker", {"scope": "agent"}, "has no cluster moltghost-prod"),
    ("ami", "ok", {"ami_parameters": ()}, "no node image"),
    ("image", "ok", {"images": ("docker.io/library/caddy:2",)}, "no image from ECR"),
    ("weights-store", "ok", {"weights_bucket": ""}, "no bucket"),
    ("kms-key", "ok", {"kms_key_aliases": ()}, "no key"),
    ("principal.b", "ok", {"principals": (f"arn:aws:iam::{ACCOUNT}:user/b",)}, "user/b is there"),
    ("principal.b", "unknown", {"principals": ("arn:aws:iam::444455556666:role/b",)}, "of account"),
    ("quotas", "ok", {"needs": ()}, "nothing on demand"),
]


@pytest.mark.parametrize(
    ("check", "status", "changes", "found"),
    REQUESTS,
    ids=[f"{row[0]}-{row[1]}-{index}" for index, row in enumerate(REQUESTS)],
)
def test_what_is_wrong_in_the_plan_is_found(
    account: SimulatedAccount, check: str, status: str, changes: dict[str, Any], found: str
) -> None:
    account.answer("DescribeInstanceTypeOfferings", offerings({**OFFERED, "x99.large": ()}))

    result = run(account, **changes)[check]

    assert result.status == status
    assert found in result.found


ABSENT = [
    ("weights-store", "HeadBucket", Fault("404", status=404)),
    (KEY, "DescribeKey", Fault("NotFoundException")),
    ("endpoint", "DescribeCluster", Fault("ResourceNotFoundException", status=404)),
]


@pytest.mark.parametrize(("check", "operation", "fault"), ABSENT)
def test_what_up_creates_may_be_missing_for_an_environment_but_not_for_an_agent(
    account: SimulatedAccount, check: str, operation: str, fault: Fault
) -> None:
    account.fail(operation, fault)

    assert run(account)[check].status == "ok"
    missing = run(account, scope="agent")[check]
    assert missing.status == "blocker"
    assert missing.remedy == "moltghost up prod"


def test_an_image_may_be_pushed_after_the_environment_but_not_after_the_agent(
    account: SimulatedAccount,
) -> None:
    account.fail("DescribeImages", Fault("RepositoryNotFoundException"))
    name = "image.ollama"

    assert run(account, ami_parameters=())[name].status == "warning"
    missing = run(account, ami_parameters=(), scope="agent")[name]
    assert missing.status == "blocker"
    assert missing.remedy == "moltghost images publish prod brings it there"


@pytest.mark.parametrize(
    ("operation", "answer", "status", "found"),
    [
        ("GetParameter", Fault("ParameterNotFound"), "blocker", f"no node image {AMI}"),
        ("GetParameter", Fault("ThrottlingException"), "unknown", "throttled"),
        ("DescribeImages", Fault("InvalidAMIID.NotFound"), "blocker", "is gone"),
        ("DescribeImages", {"Images": []}, "blocker", "is not available"),
        (
            "DescribeImages",
            {"Images": [{"State": "available", "DeprecationTime": "2020-01-01T00:00:00.000Z"}]},
            "warning",
            "is deprecated from 2020-01-01",
        ),
    ],
)
def test_a_node_image_is_found_available_or_not(
    account: SimulatedAccount, operation: str, answer: Any, status: str, found: str
) -> None:
    if isinstance(answer, Fault):
        account.fail(operation, answer)
    else:
        account.answer(operation, answer)

    result = run(account, images=())["ami.al2023-x86_64-nvidia-1.36-v20260818"]

    assert result.status == status
    assert found in result.found


def test_the_endpoint_is_reached_by_tcp_or_the_way_there_is_said(account: SimulatedAccount) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        account.answer("DescribeCluster", cluster(endpoint=f"https://127.0.0.1:{port}"))
        assert run(account)["endpoint"].status == "ok"

    refused = run(account)["endpoint"]
    assert refused.status == "blocker"
    # From inside the VPC it can't be reached either: the cluster's security group has members.
    assert "to endpoint.private_cidrs" in refused.remedy
    assert "to endpoint.public_cidrs" in refused.remedy


def test_a_version_that_goes_up_is_well_and_one_that_is_ahead_stops_no_agent(
    account: SimulatedAccount,
) -> None:
    account.answer("DescribeCluster", cluster(version="1.35"))
    assert run(account)["cluster-version"].status == "ok"
    account.answer("DescribeCluster", cluster(version="1.37"))
    assert run(account, scope="agent")["cluster-version"].status == "warning"


def test_extended_support_is_counted_against_the_ceiling(account: SimulatedAccount) -> None:
    account.answer("DescribeClusterVersions", cluster_version("EXTENDED_SUPPORT", day(-5), day(9)))
    assert "684.07 of 50000.00" in run(account)["monthly-ceiling"].found


def test_the_end_of_standard_support_is_said_with_what_it_costs(account: SimulatedAccount) -> None:
    found = run(account)["kubernetes-version"].found
    assert f"until {day(300):%Y-%m-%d}; then 0.50 $/h more" in found


def test_free_addresses_count_in_the_environments_own_subnets_only(
    account: SimulatedAccount,
) -> None:
    rows = [
        {"SubnetId": "subnet-a", "CidrBlock": "10.40.0.0/20", "AvailableIpAddressCount": 40},
        {"SubnetId": "subnet-b", "CidrBlock": "10.99.0.0/20", "AvailableIpAddressCount": 4000},
    ]
    account.answer("DescribeSubnets", {"Subnets": rows})
    changes = {"subnets": (RequestedSubnet(zone_id="use1-az1", cidr="10.40.0.0/20"),)}

    short = run(account, **changes)["addresses.free"]
    assert short.status == "blocker"
    assert "40 addresses are free in subnet-a; 50 needed" in short.found
    assert run(account, addresses_now=40, **changes)["addresses.free"].status == "ok"


def running(kind: str, **more: Any) -> dict[str, Any]:
    return {"InstanceType": kind, "CpuOptions": {"CoreCount": 2, "ThreadsPerCore": 2}, **more}


OWN = {"Tags": [{"Key": "kubernetes.io/cluster/moltghost-prod", "Value": "owned"}]}


@pytest.mark.parametrize(
    ("scope", "instance", "used"),
    [
        ("environment", running("p5.48xlarge"), 192),
        ("environment", running("p5.48xlarge", **OWN), 0),
        ("agent", running("p5.48xlarge", **OWN), 192),
        ("environment", running("p3.2xlarge"), 4),  # not in the catalogue: by its own options
        ("environment", running("p5.48xlarge", InstanceLifecycle="spot"), 0),
        ("environment", running("p5.48xlarge", InstanceLifecycle="capacity-block"), 0),
        ("environment", running("g6e.2xlarge"), 0),
    ],
)
def test_use_of_a_quota_is_what_runs_on_demand_in_its_families(
    account: SimulatedAccount, scope: str, instance: dict[str, Any], used: int
) -> None:
    account.answer("DescribeInstances", instances(running("m5.large"), instance))

    assert f"{used} in use" in run(account, scope=scope)["quota.L-417A185B"].found


def test_a_change_with_a_gap_gives_its_quota_back_before_it_needs_more(
    account: SimulatedAccount,
) -> None:
    account.quotas["L-417A185B"] = 192.0
    account.answer("DescribeInstances", instances(running("p5.4xlarge")))
    change = {"scope": "agent", "needs": (need(kind="p5.48xlarge", nodes=1, surge_nodes=0),)}

    beside = run(account, **change, frees=("p5.4xlarge",))["quota.L-417A185B"]
    in_place = run(account, **change, frees=("p5.4xlarge",), frees_first=True)["quota.L-417A185B"]

    assert (beside.status, in_place.status) == ("blocker", "ok")
    assert "16 in use, 16 of it given back first" in in_place.found


def test_an_unused_reservation_is_use_of_the_quota_and_an_unused_block_is_none(
    account: SimulatedAccount,
) -> None:
    account.answer(
        "DescribeCapacityReservations",
        reservations(reservation(), reservation("cr-2", ReservationType="capacity-block")),
    )

    assert "32 in use" in run(account)["quota.L-417A185B"].found


def test_reserved_nodes_need_no_further_quota(account: SimulatedAccount) -> None:
    account.quotas["L-417A185B"] = 0.0
    account.answer("DescribeCapacityReservations", reservations(reservation()))
    needs = (need(nodes=1, capacity="reserved", reservation_ids=(BLOCK,)),)

    found = run(account, needs=needs)

    assert "quota.L-417A185B" not in found
    assert found["reserved.h100"].status == "ok"


def test_a_pool_fills_its_reservations_before_it_needs_quota(account: SimulatedAccount) -> None:
    account.quotas["L-417A185B"] = 32.0
    account.answer("DescribeCapacityReservations", reservations(reservation()))
    pool = need(nodes=2, surge_nodes=0, reservation_ids=(BLOCK,))

    found = run(account, needs=(pool,))

    assert found["quota.L-417A185B"].status == "ok"
    assert "0 vCPU needed now" in found["quota.L-417A185B"].found
    assert found["reserved.h100"].status == "ok"
    account.deny("DescribeInstances")
    assert run(account, needs=(pool,))["quota.L-417A185B"].status == "unknown"


def test_the_ceiling_counts_nodes_that_run_beside_those_that_are_always_there(
    account: SimulatedAccount,
) -> None:
    nodes = [running("m7i.large", **OWN)] * 2 + [running("p5.4xlarge", **OWN)]
    block = running("p5.4xlarge", InstanceLifecycle="capacity-block", **OWN)
    account.answer("DescribeInstances", instances(*nodes, block, running("p5.48xlarge")))

    assert "5341.47 of 50000.00" in run(account)["monthly-ceiling"].found


def test_the_ceiling_is_held_without_the_pricing_api_and_says_so(account: SimulatedAccount) -> None:
    account.deny("GetProducts")

    found = run(account)["monthly-ceiling"]

    assert found.status == "ok"
    assert "catalogue of 2026-07-20" in found.found
    assert "pricing:GetProducts was denied" in found.found


def test_the_quota_of_the_other_way_to_buy_is_named_as_no_use(account: SimulatedAccount) -> None:
    account.quotas.update({"L-417A185B": 0.0, "L-C4BD4855": 192.0})

    found = run(account)["quota.L-417A185B"].found

    assert "the 192 vCPU of spot quota L-C4BD4855 can't be used for on-demand nodes" in found


def test_spot_nodes_count_in_the_quota_of_their_generation(account: SimulatedAccount) -> None:
    found = run(account, needs=(need(capacity="spot"), need("pool x", "p4de.24xlarge")))

    assert found["quota.L-C4BD4855"].status == "blocker"
    assert "768 vCPU of on-demand quota L-417A185B" in found["quota.L-C4BD4855"].found
    assert "can't be used for spot nodes" in found["quota.L-C4BD4855"].found
    assert found["quota.L-417A185B"].status == "ok"


def test_credentials_that_expire_on_the_way_leave_what_is_left_unknown(
    account: SimulatedAccount,
) -> None:
    account.fail("DescribeKey", Fault("ExpiredTokenException", "the token has expired"))

    found = run(account)[KEY]

    assert found.status == "unknown"
    assert "aws sso login" in found.remedy


def test_a_quota_that_was_never_raised_has_the_default_of_aws(account: SimulatedAccount) -> None:
    del account.quotas["L-417A185B"]

    assert "limit 0 vCPU" in run(account)["quota.L-417A185B"].found


def test_a_quota_of_zero_blocks_even_where_use_can_not_be_read(account: SimulatedAccount) -> None:
    account.quotas["L-417A185B"] = 0.0
    account.deny("DescribeInstances")

    assert run(account)["quota.L-417A185B"].status == "blocker"


RESERVATIONS: list[tuple[str, dict[str, Any], str, str]] = [
    ("reserved", {}, "ok", "no end date"),
    ("capacity-block", {"EndDate": day(9)}, "ok", "until "),
    ("capacity-block", {"EndDate": day(0.9)}, "warning", "usable until"),
    ("capacity-block", {"EndDate": day(30 / 1440)}, "blocker", "usable until"),
    ("capacity-block", {"State": "scheduled", "StartDate": day(2)}, "warning", "starts "),
    ("capacity-block", {"State": "expired"}, "blocker", "it is expired"),
    ("capacity-block", {"ReservationType": "default"}, "blocker", "planned as capacity-block"),
    ("reserved", {"AvailabilityZoneId": "use1-az6"}, "blocker", "it is in zone use1-az6"),
    ("reserved", {"InstanceType": "p4de.24xlarge"}, "blocker", "it is for p4de.24xlarge"),
    ("reserved", {"CapacityReservationId": "cr-other"}, "blocker", "no reservation cr-0123"),
]


@pytest.mark.parametrize(("capacity", "changes", "status", "found"), RESERVATIONS)
def test_a_reservation_fits_lasts_or_is_refused(
    account: SimulatedAccount, capacity: str, changes: dict[str, Any], status: str, found: str
) -> None:
    purchase = "capacity-block" if capacity == "capacity-block" else "default"
    row = reservation(**{"ReservationType": purchase, **changes})
    account.answer("DescribeCapacityReservations", reservations(row))
    needs = (need(nodes=1, capacity=capacity, reservation_ids=(BLOCK,)),)

    result = run(account, needs=needs)[f"reservation.{BLOCK}"]

    assert result.status == status
    assert found in result.found


def test_a_reservation_that_may_not_be_read_is_unknown(account: SimulatedAccount) -> None:
    account.deny("DescribeCapacityReservations")
    needs = (need(nodes=1, capacity="reserved", reservation_ids=(BLOCK,)),)

    result = run(account, needs=needs)[f"reservation.{BLOCK}"]

    assert result.status == "unknown"
    assert "ec2:DescribeCapacityReservations was denied" in result.found


@pytest.mark.parametrize(
    ("scope", "free", "nodes", "status"),
    [
        ("agent", 2, 1, "ok"),
        ("agent", 0, 1, "blocker"),
        ("environment", 0, 1, "ok"),
        ("environment", 2, 5, "warning"),
    ],
)
def test_reserved_nodes_are_free_or_not(
    account: SimulatedAccount, scope: str, free: int, nodes: int, status: str
) -> None:
    row = reservation(AvailableInstanceCount=free)
    account.answer("DescribeCapacityReservations", reservations(row))
    needs = (need(nodes=nodes, capacity="reserved", reservation_ids=(BLOCK,)),)

    assert run(account, scope=scope, needs=needs)["reserved.h100"].status == status


def test_without_credentials_nothing_else_is_asked_and_nothing_is_ok(
    account: SimulatedAccount,
) -> None:
    account.fail("GetCallerIdentity", Fault("ExpiredToken"))

    found = run(account)

    assert [name for name, _ in account.calls] == ["GetCallerIdentity"]
    assert {check.status for check in found.values()} == {Status.BLOCKER, Status.UNKNOWN}


def test_a_machine_without_any_credentials_is_told_to_sign_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)

    found = preflight(request(), Clients(REGION))

    assert found[0].status == "blocker"
    assert "aws sso login" in found[0].remedy


def test_a_profile_that_is_not_there_is_a_matter_of_credentials(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "missing")

    found = preflight(request(), Clients(REGION))

    assert found[0].status == "blocker"
    assert "missing" in found[0].found


OPERATIONS = {action: action.partition(":")[2] for action in PERMISSIONS}
OPERATIONS["s3:ListBucket"] = "HeadBucket"


# Without the Pricing API the shipped table serves, and the check says so.
MUST_BE_GRANTED = [action for action in PERMISSIONS if action != "pricing:GetProducts"]


@pytest.mark.parametrize("action", MUST_BE_GRANTED)
def test_a_missing_permission_is_unknown_and_named(account: SimulatedAccount, action: str) -> None:
    if action == "servicequotas:GetAWSDefaultServiceQuota":
        account.quotas.clear()
    if action == "ecr:DescribeImages":
        account.deny("DescribeImages", action)
    else:
        account.deny(OPERATIONS[action])
    needs = (need(nodes=1), need("pool x", capacity="reserved", reservation_ids=(BLOCK,)))

    found = run(
        account,
        needs=needs,
        ami_parameters=(AMI,) if action[:3] != "ecr" else (),
        principals=(ADMIN, f"arn:aws:iam::{ACCOUNT}:user/b"),
    )

    named = [check for check in found.values() if f"{action} " in f"{check.found} "]
    assert named
    assert {check.status for check in named} == {Status.UNKNOWN}


def test_every_probe_declares_its_permissions_which_only_read() -> None:
    # To see whether an endpoint is there takes none.
    assert [probe.id for probe in PROBES if not probe.permissions] == ["apis"]
    verbs = {action.partition(":")[2][:3] for action in PERMISSIONS}
    assert verbs == {"Des", "Get", "Lis"}


def test_the_guide_lists_every_permission() -> None:
    guide = Path(__file__).parents[2] / "docs/guide/preflight.md"

    text = guide.read_text(encoding="utf-8")

    assert [action for action in PERMISSIONS if f'"{action}"' not in text] == []
