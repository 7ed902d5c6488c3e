"""Addresses for nodes and pods: as planned, and as free in subnets that are there."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_network

from moltghost.aws.facts import facts
from moltghost.aws.preflight.probe import Context, Probe, joined
from moltghost.aws.request import PreflightRequest
from moltghost.checks import Check, blocker, ok
from moltghost.labels import ENVIRONMENT_LABEL


def _addresses(context: Context) -> Sequence[Check]:
    request = context.request
    if not request.subnets:
        return [ok("addresses", "the plan has no subnets of its own")]
    planned = _planned(request)
    answer = (
        context.clients.ec2()
        .get_paginator("describe_subnets")
        .paginate(Filters=[{"Name": f"tag:{ENVIRONMENT_LABEL}", "Values": [request.environment]}])
    )
    cidrs = {subnet.cidr for subnet in request.subnets}
    free = {
        subnet["SubnetId"]: subnet["AvailableIpAddressCount"]
        for page in answer
        for subnet in page["Subnets"]
        if subnet["CidrBlock"] in cidrs
    }
    return [planned, _free(request, free)] if free else [planned]


def _planned(request: PreflightRequest) -> Check:
    reserved = facts()["subnets"]["reserved_addresses"]
    room = sum(ip_network(each.cidr).num_addresses - reserved for each in request.subnets)
    cidrs = joined([each.cidr for each in request.subnets])
    found = f"{cidrs} have {room} addresses; {request.addresses_total} with everything full"
    if room < request.addresses_total:
        return blocker(
            "addresses",
            found,
            f"widen the network in Pulumi.{request.environment}.yaml, or lower max_nodes: "
            "a subnet can't be widened later",
        )
    return ok("addresses", found)


def _free(request: PreflightRequest, free: dict[str, int]) -> Check:
    name, total = "addresses.free", sum(free.values())
    found = f"{total} addresses are free in {joined(sorted(free))}; {request.addresses_now} needed"
    if total < request.addresses_now:
        return blocker(
            name,
            found,
            "see what holds them: aws ec2 describe-network-interfaces "
            f"--region {request.region} --filters Name=subnet-id,Values={','.join(sorted(free))}",
        )
    return ok(name, found)


ADDRESSES = Probe("addresses", ("ec2:DescribeSubnets",), _addresses)
