"""The Kubernetes version, and the cluster itself where it is there already."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from moltghost.aws.facts import fee
from moltghost.aws.preflight.probe import Context, Probe
from moltghost.aws.preflight.result import Check, blocker, ok, warning
from moltghost.aws.troubles import error_code

_ENDS_SOON = timedelta(days=60)
_CONNECT_SECONDS = 5.0
_HTTPS = 443


def _version(context: Context) -> Sequence[Check]:
    name, version = "kubernetes-version", context.request.kubernetes_version
    listed = (
        context.clients.eks()
        .describe_cluster_versions(clusterVersions=[version], includeAll=True)
        .get("clusterVersions", [])
    )
    newest = f"aws eks describe-cluster-versions --region {context.request.region} lists others"
    status = str(listed[0].get("versionStatus", "")) if listed else ""
    if not listed or status == "UNSUPPORTED":
        return [blocker(name, f"EKS does not support Kubernetes {version}", newest)]
    standard = listed[0].get("endOfStandardSupportDate")
    extended = listed[0].get("endOfExtendedSupportDate")
    if status == "EXTENDED_SUPPORT":
        more = fee("eks_extended_support").usd_per_hour
        found = f"Kubernetes {version} is in extended support until {_day(extended)}"
        return [warning(name, f"{found}: {more} $/h more per cluster", f"plan an update: {newest}")]
    found = f"Kubernetes {version} is in standard support until {_day(standard)}"
    if standard and standard - context.now < _ENDS_SOON:
        return [warning(name, found, f"plan an update: {newest}")]
    return [ok(name, found)]


def _day(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d}" if moment else "a date that EKS doesn't say"


def _endpoint(context: Context) -> Sequence[Check]:
    name, request = "endpoint", context.request
    try:
        cluster = context.clients.eks().describe_cluster(name=request.cluster_name)["cluster"]
    except ClientError as error:
        if error_code(error) != "ResourceNotFoundException":
            raise
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
                "connect to the VPC from a machine of yours (VPN, bastion): it is private",
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


VERSION = Probe("kubernetes-version", ("eks:DescribeClusterVersions",), _version)
ENDPOINT = Probe("endpoint", ("eks:DescribeCluster",), _endpoint)
