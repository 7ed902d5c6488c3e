"""The Kubernetes version, and the cluster itself where it is there already."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from moltghost.aws.cost import month
from moltghost.aws.facts import fee
from moltghost.aws.preflight.probe import Context, Probe, guarded
from moltghost.aws_errors import error_code
from moltghost.checks import Check, blocker, ok, warning

if TYPE_CHECKING:
    from mypy_boto3_eks.type_defs import ClusterTypeDef, ClusterVersionInformationTypeDef

EXTENDED_SUPPORT = "EXTENDED_SUPPORT"
SUPPORT_PERMISSIONS = ("eks:DescribeClusterVersions",)
_LIVE, _LIVE_PERMISSIONS = "cluster-version", ("eks:DescribeCluster",)
_NO_CLUSTER = "ResourceNotFoundException"
_ENDS_SOON = timedelta(days=60)
_CONNECT_SECONDS = 5.0
_HTTPS = 443


def _version(context: Context) -> Sequence[Check]:
    return [
        guarded("kubernetes-version", SUPPORT_PERMISSIONS, partial(_support, context)),
        guarded(_LIVE, _LIVE_PERMISSIONS, partial(_live_version, context)),
    ]


def _support(context: Context) -> Check:
    name, version = "kubernetes-version", context.request.kubernetes_version
    listed = support_of(context)
    newest = f"aws eks describe-cluster-versions --region {context.request.region} lists others"
    status = str(listed.get("versionStatus", ""))
    if status in {"", "UNSUPPORTED"}:
        return blocker(name, f"EKS does not support Kubernetes {version}", newest)
    standard = listed.get("endOfStandardSupportDate")
    extended = listed.get("endOfExtendedSupportDate")
    more = fee("eks_extended_support").usd_per_hour
    price = f"{more} $/h more ({month(more)} $/month)"
    if status == EXTENDED_SUPPORT:
        found = (
            f"Kubernetes {version} is in extended support until {_day(extended)}, for {price}; "
            "then AWS upgrades the cluster by itself"
        )
        return warning(name, found, f"plan an update: {newest}")
    found = f"Kubernetes {version} is in standard support until {_day(standard)}; then {price}"
    if standard and standard - context.now < _ENDS_SOON:
        return warning(name, found, f"plan an update: {newest}")
    return ok(name, found)


def support_of(context: Context) -> ClusterVersionInformationTypeDef:
    """What EKS says of the config's Kubernetes version; empty where it doesn't know it.

    Needs `SUPPORT_PERMISSIONS`.
    """
    versions = [context.request.kubernetes_version]
    answer = context.clients.eks().describe_cluster_versions(
        clusterVersions=versions, includeAll=True
    )
    found = answer.get("clusterVersions", [])
    return found[0] if found else {}


def _live_version(context: Context) -> Check:
    """The version that runs, held against the config's: EKS goes up one at a time, never back."""
    request = context.request
    file = f"Pulumi.{request.environment}.yaml"
    cluster = _cluster(context)
    if cluster is None:
        return ok(_LIVE, f"cluster {request.cluster_name} isn't there yet")
    live, wanted = cluster["version"], request.kubernetes_version
    found = f"cluster {request.cluster_name} runs Kubernetes {live}, and {file} says {wanted}"
    # What keeps `up` from working keeps no agent from it.
    report = blocker if request.scope == "environment" else warning
    steps = _minor(wanted) - _minor(live)
    if steps < 0:
        remedy = f'write kubernetes_version: "{live}" into {file}: EKS never goes back'
        return report(_LIVE, found, remedy)
    if steps > 1:
        remedy = f"go up one minor version at a time, to 1.{_minor(live) + 1} first"
        return report(_LIVE, found, remedy)
    return ok(_LIVE, found)


def _cluster(context: Context) -> ClusterTypeDef | None:
    """The cluster as EKS has it; None where it isn't there."""
    name = context.request.cluster_name
    try:
        return context.clients.eks().describe_cluster(name=name)["cluster"]
    except ClientError as error:
        if error_code(error) != _NO_CLUSTER:
            raise
        return None


def _minor(version: str) -> int:
    return int(version.partition(".")[2])


def _day(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d}" if moment else "a date that EKS doesn't say"


def _endpoint(context: Context) -> Sequence[Check]:
    name, request = "endpoint", context.request
    cluster = _cluster(context)
    if cluster is None:
        return [_no_cluster(context)]
    status, endpoint = cluster.get("status", ""), cluster.get("endpoint", "")
    if status not in {"ACTIVE", "UPDATING"} or not endpoint:
        return [
            blocker(
                name,
                f"cluster {request.cluster_name} is {status or 'without an endpoint'}",
                f"aws eks describe-cluster --name {request.cluster_name} --region {request.region} "
                "says why under health",
            )
        ]
    host, port = urlsplit(endpoint).hostname or "", urlsplit(endpoint).port or _HTTPS
    try:
        socket.create_connection((host, port), timeout=_CONNECT_SECONDS).close()
    except OSError as error:
        return [
            blocker(
                name,
                f"the API server {host}:{port} can't be reached from here: {error}",
                f"in Pulumi.{request.environment}.yaml, add your network to endpoint.private_cidrs "
                "(it comes by VPN or peering), or your address to endpoint.public_cidrs; then "
                f"someone with access to AWS's APIs runs moltghost up {request.environment}",
            )
        ]
    return [ok(name, f"the API server {host}:{port} accepts connections")]


def _no_cluster(context: Context) -> Check:
    name, request = "endpoint", context.request
    if request.scope == "environment":
        return ok(name, f"cluster {request.cluster_name} isn't there yet; up creates it")
    return blocker(
        name,
        f"environment {request.environment} has no cluster {request.cluster_name}",
        f"moltghost up {request.environment}",
    )


VERSION = Probe("kubernetes-version", (*SUPPORT_PERMISSIONS, *_LIVE_PERMISSIONS), _version)
ENDPOINT = Probe("endpoint", _LIVE_PERMISSIONS, _endpoint)
