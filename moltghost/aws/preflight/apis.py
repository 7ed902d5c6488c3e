"""Whether AWS's own endpoints can be reached from where the command runs.

The API server of the cluster is another question: `moltghost.aws.preflight.cluster`.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from functools import partial
from urllib.parse import urlsplit

from botocore.exceptions import EndpointConnectionError, ProxyConnectionError, SSLError

from moltghost.aws.preflight.probe import Context, Probe
from moltghost.aws.preflight.runner import run_probes
from moltghost.checks import Check, Status, blocker, ok, warning

# By boto3's names: what the stacks' resources are made by, and STS, which tells the account.
CALLED_BY_UP: dict[str, tuple[str, ...]] = {
    "environment": (
        "budgets",
        "cloudwatch",
        "ec2",
        "ecr",
        "eks",
        "events",
        "iam",
        "kms",
        "logs",
        "route53resolver",
        "s3",
        "scheduler",
        "sns",
        "sqs",
        "sts",
    ),
    "agent": ("eks", "iam", "sts"),
}
CALLED_BY_PREFLIGHT = (
    "ec2",
    "ecr",
    "eks",
    "iam",
    "kms",
    "pricing",
    "s3",
    "service-quotas",
    "ssm",
    "sts",
)
_HTTPS = 443
# Connection and answer have 5 s each; the rest is for the resolver.
_SECONDS = 15.0


def _apis(context: Context) -> Sequence[Check]:
    needed = CALLED_BY_UP[context.request.scope]
    services = sorted({*needed, *CALLED_BY_PREFLIGHT})
    probes = [
        Probe(f"api.{each}", (), partial(_api, each, each in needed), _SECONDS) for each in services
    ]
    found = run_probes(probes, context, _SECONDS)
    there = sum(check.status is Status.OK for check in found)
    if there == 0:
        # The same fault as many times as there are services is said once, the gravest of them.
        gravest = next((each for each in found if each.status is Status.BLOCKER), found[0])
        none = f"none of AWS's {len(found)} endpoints answers here: {gravest.found}"
        return [Check(id="apis", status=gravest.status, found=none, remedy=gravest.remedy)]
    answer = ok("apis", f"{there} of AWS's {len(found)} endpoints answer here")
    return [answer, *(check for check in found if check.status is not Status.OK)]


def _api(service: str, needed: bool, context: Context) -> Sequence[Check]:
    """One service; without one that only preflight asks, `up` does its work all the same."""
    name, fault = f"api.{service}", blocker if needed else warning
    url = context.clients.address(service)
    host = urlsplit(url).hostname or url
    try:
        context.clients.knock(url)
    except SSLError as error:
        found = f"TLS with {host} fails: {error.kwargs['error']}"
        trust = "if a proxy opens TLS on the way, trust it: export AWS_CA_BUNDLE=FILE"
        return [fault(name, found, f"{trust}; else look at this machine's clock")]
    except ProxyConnectionError as error:
        found = f"{error}, on the way to {host}"
        around = "or add it to NO_PROXY"
        return [fault(name, found, f"have the proxy let HTTPS to {host} through, {around}")]
    except EndpointConnectionError as error:
        if _for_now(error):
            raise
        reason = str(error.kwargs["error"]).partition(": ")[2]
        way = "its resolver and firewall, or by a proxy: export HTTPS_PROXY=URL"
        found = f"{host} can't be reached from here: {reason}"
        port = urlsplit(url).port or _HTTPS
        return [fault(name, found, f"let this machine reach {host}:{port}, by {way}")]
    return [ok(name, f"{host} answers")]


def _for_now(error: EndpointConnectionError) -> bool:
    """The resolver had no answer this time, which says nothing about the name."""
    cause = error.kwargs["error"].__cause__
    return isinstance(cause, socket.gaierror) and cause.errno == socket.EAI_AGAIN


# It needs no permission: nothing is called.
APIS = Probe("apis", (), _apis)
