"""Who asks, in which account, and whether its region and zones are there."""

from __future__ import annotations

from collections.abc import Sequence

from botocore.exceptions import BotoCoreError, ClientError

from moltghost.aws.preflight.probe import Context, Probe, joined, unanswered
from moltghost.aws_errors import error_code, trouble
from moltghost.checks import Check, blocker, ok, warning
from moltghost.config_aws import MIN_ZONES, ZONES_WITHOUT_CONTROL_PLANE

_HAS_REGION = {"opt-in-not-required", "opted-in"}
_NO_SUCH_REGION = "InvalidParameterValue"


def _credentials(context: Context) -> Sequence[Check]:
    name, wanted = "credentials", context.request.account_id
    try:
        who = context.clients.sts_at_home().get_caller_identity()
    except (BotoCoreError, ClientError) as error:
        why = trouble(error, ())
        if why.kind == "credentials":
            return [blocker(name, why.found, why.remedy)]
        return [unanswered(name, why)]
    found = f"{who['Arn']} in account {who['Account']}"
    if wanted and who["Account"] != wanted:
        return [
            blocker(
                name,
                f"signed in as {found}, but the environment is in account {wanted}",
                f"take another profile: export AWS_PROFILE=<profile of account {wanted}>",
            )
        ]
    if who["Arn"].endswith(":root"):
        return [warning(name, found, "don't work as the account's root user; assume a role")]
    return [ok(name, found)]


def _region(context: Context) -> Sequence[Check]:
    name, region = "region", context.request.region
    try:
        answer = context.clients.ec2_at_home().describe_regions(
            RegionNames=[region], AllRegions=True
        )
    except ClientError as error:
        if error_code(error) != _NO_SUCH_REGION:
            raise
        return [_no_such_region(region)]
    if not answer["Regions"]:
        return [_no_such_region(region)]
    status = answer["Regions"][0].get("OptInStatus", "")
    if status in _HAS_REGION:
        return [ok(name, f"{region} is enabled ({status})")]
    return [
        blocker(
            name,
            f"{region} is switched off in this account ({status or 'no opt-in status'})",
            f"aws account enable-region --region-name {region}",
        )
    ]


def _no_such_region(region: str) -> Check:
    return blocker(
        "region", f"there is no region {region}", "correct the region in the environment's config"
    )


def _zones(context: Context) -> Sequence[Check]:
    name, request = "zones", context.request
    answer = context.clients.ec2().describe_availability_zones()
    there = {zone["ZoneId"]: zone.get("State", "") for zone in answer["AvailabilityZones"]}
    usable = sorted(set(there) - ZONES_WITHOUT_CONTROL_PLANE)
    correct = f"correct the zone ids in the environment's config; usable are {joined(usable)}"
    if refused := sorted(ZONES_WITHOUT_CONTROL_PLANE & set(request.zone_ids)):
        return [blocker(name, f"EKS has no control plane in {joined(refused)}", correct)]
    if missing := [zone for zone in request.zone_ids if zone not in there]:
        return [blocker(name, f"{request.region} has no zone {joined(missing)}", correct)]
    if len(set(request.zone_ids)) < MIN_ZONES:
        return [
            blocker(name, f"{len(request.zone_ids)} zone; EKS needs {MIN_ZONES} at least", correct)
        ]
    if ailing := [zone for zone in request.zone_ids if there[zone] != "available"]:
        states = joined([f"{zone} is {there[zone]}" for zone in ailing])
        return [warning(name, states, "see https://health.aws.amazon.com before going on")]
    return [ok(name, f"{joined(request.zone_ids)} are available")]


CREDENTIALS = Probe("credentials", (), _credentials)
REGION = Probe("region", ("ec2:DescribeRegions",), _region)
ZONES = Probe("zones", ("ec2:DescribeAvailabilityZones",), _zones)
