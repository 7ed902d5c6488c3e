"""vCPU quotas: what the plan needs, held against the limit and what is in use."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from botocore.exceptions import ClientError

from moltghost.aws.facts import Usage, facts, quota_code
from moltghost.aws.preflight.probe import AwsError, Context, Probe, joined
from moltghost.aws.preflight.usage import PERMISSIONS as USAGE_PERMISSIONS
from moltghost.aws.preflight.usage import Use, use, vcpus
from moltghost.aws.request import NodeNeed, PreflightRequest
from moltghost.aws_errors import Trouble, error_code, trouble
from moltghost.checks import Check, blocker, ok, unknown, warning
from moltghost.models import quotas

_PERMISSIONS = (
    "servicequotas:GetServiceQuota",
    "servicequotas:GetAWSDefaultServiceQuota",
    *USAGE_PERMISSIONS,
)


@dataclass
class _Demand:
    """What the plan needs of one quota, in vCPU.

    Attributes:
        now: for the needs' first nodes; of needs that start one after another, the largest.
        total: with every pool full and every surge running.
    """

    now: int = 0
    total: int = 0
    needs: list[NodeNeed] = field(default_factory=list)

    def add(self, need: NodeNeed, reserved: int, *, together: bool) -> None:
        """Count a need of which ``reserved`` nodes find room in reservations."""
        sizes = [size for kind in need.instance_types if (size := vcpus(kind))]
        now = max(0, need.nodes_now - reserved) * min(sizes)
        self.now = self.now + now if together else max(self.now, now)
        self.total += max(0, need.nodes + need.surge_nodes - reserved) * max(sizes)
        self.needs.append(need)


def _quotas(context: Context) -> Sequence[Check]:
    used = _used(context)
    reserved = used.reserved if isinstance(used, Use) else {}
    demands, strangers = _demands(context.request, reserved)
    checks = [
        unknown(
            f"quota.{kind}",
            f"it isn't known which quota {kind} counts in, or how many vCPU it has",
            "look it up: https://docs.aws.amazon.com/ec2/latest/instancetypes/ec2-instance-quotas.html",
        )
        for kind in strangers
    ]
    if not demands:
        return checks or [ok("quotas", "nothing on demand or spot is needed")]
    checks += [_check(context, code, demand, used) for code, demand in demands.items()]
    return checks


def _demands(
    request: PreflightRequest, reserved: Mapping[str, int]
) -> tuple[dict[str, _Demand], list[str]]:
    """Quota code -> demand; and the types that can't be counted."""
    demands: dict[str, _Demand] = defaultdict(_Demand)
    strangers: list[str] = []
    for need in request.needs:
        if need.capacity in ("reserved", "capacity-block"):
            continue
        usage: Usage = "spot" if need.capacity == "spot" else "on_demand"
        codes = {kind: quota_code(kind, usage) for kind in need.instance_types}
        uncounted = [kind for kind, code in codes.items() if code is None or vcpus(kind) is None]
        strangers += uncounted
        for code in sorted({code for kind, code in codes.items() if code} if not uncounted else ()):
            demands[code].add(
                need,
                sum(reserved.get(each, 0) for each in need.reservation_ids),
                together=request.together,
            )
    return demands, strangers


def _used(context: Context) -> Use | Trouble:
    try:
        return use(context)
    except AwsError as error:
        return trouble(error, USAGE_PERMISSIONS)


def _limit(context: Context, code: str) -> int:
    """The account's limit, which is AWS's default until it was raised once."""
    client = context.clients.service_quotas()
    service = facts()["quota_families"]["service_code"]
    try:
        answer = client.get_service_quota(ServiceCode=service, QuotaCode=code)
    except ClientError as error:
        if error_code(error) != "NoSuchResourceException":
            raise
        return int(
            client.get_aws_default_service_quota(ServiceCode=service, QuotaCode=code)["Quota"][
                "Value"
            ]
        )
    return int(answer["Quota"]["Value"])


def _check(context: Context, code: str, demand: _Demand, used: Use | Trouble) -> Check:
    name, label = f"quota.{code}", quotas()[code].name
    needed = (
        f"{demand.now} vCPU needed now, {demand.total} with everything full and surging "
        f"({joined([need.name for need in demand.needs])})"
    )
    try:
        limit = _limit(context, code)
    except AwsError as error:
        why = trouble(error, _PERMISSIONS)
        return unknown(name, f"{label}: {needed}; {why.found}", why.remedy)
    in_use = used.vcpus[code] if isinstance(used, Use) else 0
    counted = "use unknown" if isinstance(used, Trouble) else f"{in_use} in use"
    freed = _freed(context.request, code)
    given_back = f", {freed} of it given back first" if freed else ""
    found = f"{label}: limit {limit} vCPU, {counted}{given_back}; {needed}"
    # Without knowing the reservations, what they would take in can't be told apart.
    may_be_reserved = any(need.reservation_ids for need in demand.needs)
    if isinstance(used, Trouble) and (demand.now <= limit or may_be_reserved):
        return unknown(name, f"{found}; {used.found}", used.remedy)
    remedy = _raise(context, code, demand, in_use)
    left = limit - in_use + freed
    if demand.now > left:
        return blocker(name, found + _other_quota(context, demand), remedy)
    if demand.total > left:
        return warning(name, found, remedy)
    return ok(name, found)


def _freed(request: PreflightRequest, code: str) -> int:
    """What a change gives back of a quota before its own nodes start, in vCPU."""
    frees = request.frees if request.frees_first else ()
    return sum(vcpus(kind) or 0 for kind in frees if quota_code(kind, "on_demand") == code)


def _raise(context: Context, code: str, demand: _Demand, in_use: int) -> str:
    return (
        "ask for more (AWS decides within hours to days): "
        "aws service-quotas request-service-quota-increase --service-code ec2 "
        f"--quota-code {code} --desired-value {demand.total + in_use} "
        f"--region {context.request.region}"
    )


def _other_quota(context: Context, demand: _Demand) -> str:
    """A remark where the account has quota of the other way to buy, which is no use here."""
    need = demand.needs[0]
    wants_spot = need.capacity == "spot"
    other = quota_code(need.instance_types[0], "on_demand" if wants_spot else "spot")
    if other is None:
        return ""
    try:
        limit = _limit(context, other)
    except AwsError:
        return ""
    way = "on-demand" if wants_spot else "spot"
    own = "spot" if wants_spot else "on-demand"
    return (
        f"; the {limit} vCPU of {way} quota {other} can't be used for {own} nodes" if limit else ""
    )


QUOTAS = Probe("quotas", _PERMISSIONS, _quotas)
