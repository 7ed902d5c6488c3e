"""Preflight: asks an AWS account whether a plan can work there, before anything is created.

Every question ends as ok, warning, blocker or unknown, with what was found and what to do. A
missing permission, throttling or a timeout is unknown and named; it is never ok. What no API tells
is whether capacity is there at the moment: a type that is offered may still be sold out.
"""

from __future__ import annotations

from moltghost.aws.clients import Clients
from moltghost.aws.preflight.account import CREDENTIALS, REGION, ZONES
from moltghost.aws.preflight.apis import APIS
from moltghost.aws.preflight.ceiling import CEILING
from moltghost.aws.preflight.cluster import ENDPOINT, VERSION
from moltghost.aws.preflight.images import AMIS, IMAGES
from moltghost.aws.preflight.network import ADDRESSES
from moltghost.aws.preflight.offerings import OFFERINGS
from moltghost.aws.preflight.principals import PRINCIPALS
from moltghost.aws.preflight.probe import Context, Probe
from moltghost.aws.preflight.quotas import QUOTAS
from moltghost.aws.preflight.reservations import RESERVATIONS
from moltghost.aws.preflight.runner import OVERALL_TIMEOUT_SECONDS, run_probes
from moltghost.aws.preflight.storage import BUCKET, KEYS
from moltghost.aws.request import PreflightRequest
from moltghost.checks import Check, blocked, unknown

PROBES: tuple[Probe, ...] = (
    APIS,
    REGION,
    ZONES,
    OFFERINGS,
    QUOTAS,
    RESERVATIONS,
    ADDRESSES,
    VERSION,
    AMIS,
    IMAGES,
    BUCKET,
    KEYS,
    PRINCIPALS,
    ENDPOINT,
    CEILING,
)

PERMISSIONS: tuple[str, ...] = tuple(
    sorted({action for probe in PROBES for action in probe.permissions})
)
"""IAM actions of all probes; all of them only read."""

__all__ = ["PERMISSIONS", "PROBES", "Context", "Probe", "preflight"]


def preflight(
    request: PreflightRequest,
    clients: Clients | None = None,
    *,
    timeout_seconds: float = OVERALL_TIMEOUT_SECONDS,
) -> list[Check]:
    """Ask everything; credentials first, because without them nothing else has an answer.

    Args:
        request: what is planned.
        clients: of the request's region; by default with the usual credentials.
        timeout_seconds: for the questions after the credentials, all together.
    """
    context = Context(request, clients or Clients(request.region))
    first = run_probes((CREDENTIALS,), context, timeout_seconds)
    if blocked(first):
        return first + [_not_asked(probe) for probe in PROBES]
    return first + run_probes(PROBES, context, timeout_seconds)


def _not_asked(probe: Probe) -> Check:
    return unknown(probe.id, "not asked: the credentials don't work", "see credentials")
