"""Whether EC2 has the instance types in the plan's zones at all. Offered is not obtainable."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from moltghost.aws.preflight.probe import Context, Probe, joined
from moltghost.aws.request import NodeNeed
from moltghost.checks import Check, blocker, ok, warning
from moltghost.config_aws import ZONES_WITHOUT_CONTROL_PLANE


def _offerings(context: Context) -> Sequence[Check]:
    wanted = sorted({kind for need in context.request.needs for kind in need.instance_types})
    offered = _zones_of(context, wanted)
    return [_check(context, need, offered) for need in context.request.needs]


def _zones_of(context: Context, wanted: Sequence[str]) -> dict[str, set[str]]:
    """Type -> zone ids that offer it."""
    pages = (
        context.clients.ec2()
        .get_paginator("describe_instance_type_offerings")
        .paginate(
            LocationType="availability-zone-id",
            Filters=[{"Name": "instance-type", "Values": list(wanted)}],
        )
    )
    offered: dict[str, set[str]] = {kind: set() for kind in wanted}
    for page in pages:
        for item in page["InstanceTypeOfferings"]:
            offered[item["InstanceType"]].add(item["Location"])
    return offered


def _check(context: Context, need: NodeNeed, offered: dict[str, set[str]]) -> Check:
    name = f"offering.{need.key}"
    zones = [
        zone for zone in context.request.zones_of(need) if zone not in ZONES_WITHOUT_CONTROL_PLANE
    ]
    here = {kind: [zone for zone in zones if zone in offered[kind]] for kind in need.instance_types}
    missing = [kind for kind in need.instance_types if not here[kind]]
    elsewhere = sorted(set().union(*(offered[kind] for kind in need.instance_types)) - set(zones))
    if len(missing) == len(need.instance_types):
        where = f"it is offered in {joined(elsewhere)}" if elsewhere else "nor anywhere else here"
        return blocker(
            name,
            f"{joined(missing)} for {need.name} is not offered in {joined(zones)}; {where}",
            _remedy(context, elsewhere, missing),
        )
    by_zones: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for kind, its_zones in here.items():
        if its_zones:
            by_zones[tuple(its_zones)].append(kind)
    found = "; ".join(f"{joined(kinds)} in {joined(each)}" for each, kinds in by_zones.items())
    if missing:
        return warning(
            name,
            f"{found}; not offered in these zones: {joined(missing)}",
            f"leave {joined(missing)} out of {need.name}, or add a zone that has it",
        )
    return ok(name, found)


def _remedy(context: Context, elsewhere: Sequence[str], missing: Sequence[str]) -> str:
    region = context.request.region
    if elsewhere:
        return f"add one of {joined(elsewhere)} to the environment's zones"
    return (
        "choose another type or region; where a type is offered: aws ec2 "
        f"describe-instance-type-offerings --location-type availability-zone-id --region {region} "
        f"--filters Name=instance-type,Values={','.join(missing)}"
    )


OFFERINGS = Probe("offerings", ("ec2:DescribeInstanceTypeOfferings",), _offerings)
