"""Capacity reservations and Capacity Blocks: whether they fit, are free, and until when."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from moltghost.aws.facts import facts
from moltghost.aws.preflight.probe import Context, Probe, guarded, joined
from moltghost.aws.request import NodeNeed
from moltghost.aws_errors import error_code
from moltghost.checks import Check, blocker, ok, warning

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import CapacityReservationTypeDef

_PERMISSIONS = ("ec2:DescribeCapacityReservations",)
_NOT_FOUND = "InvalidCapacityReservationId.NotFound"
_NOT_YET = {"scheduled", "pending", "payment-pending", "assessing", "delayed"}
_ENDS_SOON = timedelta(days=1)
_TYPE_OF = {"reserved": "default", "capacity-block": "capacity-block"}


def _reservations(context: Context) -> Sequence[Check]:
    checks: list[Check] = []
    for need in context.request.needs:
        if not need.reservation_ids:
            continue
        found: list[CapacityReservationTypeDef] = []
        checks += [
            guarded(f"reservation.{each}", _PERMISSIONS, partial(_one, context, need, each, found))
            for each in need.reservation_ids
        ]
        if len(found) == len(need.reservation_ids):
            checks.append(_room(context, need, found))
    return checks


def _one(
    context: Context, need: NodeNeed, identifier: str, found: list[CapacityReservationTypeDef]
) -> Check:
    """The check of one reservation, which is added to ``found`` if it is usable."""
    name, region = f"reservation.{identifier}", context.request.region
    try:
        answer = context.clients.ec2().describe_capacity_reservations(
            CapacityReservationIds=[identifier]
        )
    except ClientError as error:
        if error_code(error) != _NOT_FOUND:
            raise
        return _missing(name, identifier, region)
    if not answer["CapacityReservations"]:
        return _missing(name, identifier, region)
    item = answer["CapacityReservations"][0]
    if misfit := _misfit(context, need, item):
        return blocker(name, *misfit)
    found.append(item)
    return _lasting(context, name, item)


def _missing(name: str, identifier: str, region: str) -> Check:
    return blocker(
        name,
        f"{region} has no reservation {identifier} in this account",
        f"aws ec2 describe-capacity-reservations --region {region} lists them; correct the config",
    )


def _misfit(
    context: Context, need: NodeNeed, item: CapacityReservationTypeDef
) -> tuple[str, str] | None:
    """What is wrong with a reservation for this need, and what to do; None if nothing is."""
    zone, kind = item.get("AvailabilityZoneId", ""), item["InstanceType"]
    purchase = item.get("ReservationType", "default")
    if item["State"] not in {"active", *_NOT_YET}:
        return f"it is {item['State']}", f"take it out of {need.name} in the environment's config"
    if purchase != _TYPE_OF.get(need.capacity, purchase):
        return (
            f"it is of type {purchase}, but {need.name} is planned as {need.capacity}",
            f"correct how {need.name} is bought in the environment's config",
        )
    if kind not in need.instance_types:
        return (
            f"it is for {kind}, but {need.name} takes {joined(need.instance_types)}",
            f"add {kind} to {need.name}, or take the reservation out",
        )
    zones = context.request.zones_of(need)
    if zone not in zones:
        return (
            f"it is in zone {zone}, but {need.name} is in {joined(zones)}",
            f"add {zone} to the environment's zones: a reservation can't be moved",
        )
    return None


def _lasting(context: Context, name: str, item: CapacityReservationTypeDef) -> Check:
    free, total = item.get("AvailableInstanceCount", 0), item.get("TotalInstanceCount", 0)
    what = f"{total} x {item['InstanceType']} in {item.get('AvailabilityZoneId')}, {free} free"
    if item["State"] in _NOT_YET:
        start = item.get("StartDate")
        when = f", starts {_date(start)}" if start else ""
        return warning(name, f"{what}: {item['State']}{when}", "wait until it is active")
    end = item.get("EndDate")
    if end is None:
        return ok(name, f"{what}, no end date")
    is_block = item.get("ReservationType") == "capacity-block"
    lead = timedelta(
        minutes=facts()["capacity_blocks"]["minutes_usable_before_end"] if is_block else 0
    )
    usable_until = end - lead
    if usable_until <= context.now:
        return blocker(
            name, f"{what}; it ends {_date(end)}, usable until {_date(usable_until)}", _REPLACE
        )
    if usable_until - context.now < _ENDS_SOON:
        return warning(
            name, f"{what}; it ends {_date(end)}, usable until {_date(usable_until)}", _REPLACE
        )
    return ok(name, f"{what}, until {_date(end)}")


_REPLACE = "move its agents before (moltghost agent move), or put another reservation in the config"


def _date(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _room(context: Context, need: NodeNeed, found: list[CapacityReservationTypeDef]) -> Check:
    name = f"reserved.{need.key}"
    active = [item for item in found if item["State"] == "active"]
    free = sum(item.get("AvailableInstanceCount", 0) for item in active)
    total = sum(item.get("TotalInstanceCount", 0) for item in active)
    text = (
        f"{free} of {total} reserved nodes are free; {need.nodes_now} needed now, "
        f"{need.nodes + need.surge_nodes} with everything full and surging"
    )
    # The environment's own nodes may be what fills them.
    room_now = total if context.request.scope == "environment" else free
    if need.capacity == "on-demand":
        return ok(name, f"{text}; the rest is bought on demand")
    if room_now < need.nodes_now:
        return blocker(name, text, f"free a node, or reserve more for {need.name}")
    if total < need.nodes + need.surge_nodes:
        return warning(name, text, f"lower max_nodes of {need.name}, or reserve more")
    return ok(name, text)


RESERVATIONS = Probe("reservations", _PERMISSIONS, _reservations)
