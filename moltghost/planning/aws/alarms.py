"""The plan of what watches an environment: the budget, alarms, and ends of Capacity Blocks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from moltghost.config_aws import AwsCloudSpec
from moltghost.labels import ENVIRONMENT_LABEL
from moltghost.planning.aws.iam import RolePlan, Statement, document, trust_of_service
from moltghost.planning.aws.names import AwsScope
from moltghost.planning.base import Plan

# Warn when so much of the ceiling is spent; and when a month's forecast is above it.
_SPENT_PERCENT = 80
_FORECAST_PERCENT = 100
# EC2 ends a block's instances from 30 minutes before; these leave time to move the agents.
_BLOCK_WARNINGS = (timedelta(hours=24), timedelta(hours=2))


class BudgetPlan(Plan):
    """A month's ceiling and when to say something."""

    name: str
    limit_usd: Decimal
    tag_filter: str
    """``user:KEY$VALUE``; only what carries the environment's tag is counted."""
    spent_percent: int = _SPENT_PERCENT
    forecast_percent: int = _FORECAST_PERCENT


class AlarmPlan(Plan):
    """A CloudWatch alarm."""

    name: str
    description: str
    namespace: str
    metric: str
    dimensions: dict[str, str]
    statistic: str
    comparison: str
    threshold: int
    period_seconds: int
    periods: int


class WarningPlan(Plan):
    """A message at a time: a Capacity Block is about to end."""

    name: str
    at: str
    """UTC, as EventBridge Scheduler's ``at(...)`` takes it."""
    message: str


class GuardsPlan(Plan):
    """What watches the environment."""

    topic: str
    topic_policy: str
    email: str | None
    budget: BudgetPlan
    alarms: tuple[AlarmPlan, ...]
    warnings: tuple[WarningPlan, ...]
    scheduler_role: RolePlan


def plan_guards(scope: AwsScope, spec: AwsCloudSpec, queue: str) -> GuardsPlan:
    """Decide budget and alarms."""
    topic = f"{scope.name}-alarms"
    topic_arn = scope.arn("sns", topic)
    return GuardsPlan(
        topic=topic,
        topic_policy=document([_publishers(scope, topic_arn)]),
        email=spec.alarm_email,
        budget=BudgetPlan(
            name=f"{scope.name}-monthly",
            limit_usd=spec.monthly_ceiling_usd,
            tag_filter=f"user:{ENVIRONMENT_LABEL}${scope.environment}",
        ),
        alarms=_alarms(scope, queue),
        warnings=tuple(_warnings(scope, spec)),
        scheduler_role=RolePlan(
            name=scope.role_name("block-warnings"),
            trust=(
                trust_of_service(
                    "scheduler", {"StringEquals": {"aws:SourceAccount": (scope.account_id,)}}
                ),
            ),
            statements=(
                Statement(sid="Warn", actions=("sns:Publish",), resources=(topic_arn,)),
                Statement(
                    sid="Encrypt",
                    actions=("kms:GenerateDataKey", "kms:Decrypt"),
                    resources=(scope.arn("kms", "key/*"),),
                    conditions={
                        "ForAnyValue:StringEquals": {"kms:ResourceAliases": (scope.alias("logs"),)}
                    },
                ),
            ),
            boundary=spec.permissions_boundary,
        ),
    )


def _publishers(scope: AwsScope, topic_arn: str) -> Statement:
    return Statement(
        sid="Alarms",
        principals={"Service": ("cloudwatch.amazonaws.com", "budgets.amazonaws.com")},
        actions=("sns:Publish",),
        resources=(topic_arn,),
        conditions={"StringEquals": {"aws:SourceAccount": (scope.account_id,)}},
    )


def _alarms(scope: AwsScope, queue: str) -> tuple[AlarmPlan, ...]:
    cluster = {"ClusterName": scope.name}
    return (
        AlarmPlan(
            name=f"{scope.name}-pods-without-a-node",
            description="Pods have found no node for 30 minutes: no capacity, a quota, or a full "
            "pool. moltghost preflight says which.",
            namespace="AWS/EKS",
            metric="scheduler_pending_pods_UNSCHEDULABLE",
            dimensions=cluster,
            statistic="Minimum",
            comparison="GreaterThanThreshold",
            threshold=0,
            period_seconds=300,
            periods=6,
        ),
        AlarmPlan(
            name=f"{scope.name}-api-errors",
            description="The API server has answered more than 20 requests in 5 minutes with 5xx.",
            namespace="AWS/EKS",
            metric="apiserver_request_total_5XX",
            dimensions=cluster,
            statistic="Sum",
            comparison="GreaterThanThreshold",
            threshold=20,
            period_seconds=300,
            periods=3,
        ),
        AlarmPlan(
            name=f"{scope.name}-interruptions-unread",
            description="Karpenter has not read a warning of EC2 for 10 minutes: it is down, and "
            "pools don't scale.",
            namespace="AWS/SQS",
            metric="ApproximateAgeOfOldestMessage",
            dimensions={"QueueName": queue},
            statistic="Maximum",
            comparison="GreaterThanThreshold",
            threshold=120,
            period_seconds=300,
            periods=2,
        ),
    )


def _warnings(scope: AwsScope, spec: AwsCloudSpec) -> list[WarningPlan]:
    return [
        WarningPlan(
            name=f"{scope.name}-{reservation.id}-{_hours(before)}h",
            at=_utc(reservation.ends - before),
            message=(
                f"Capacity Block {reservation.id} ({reservation.count} x "
                f"{reservation.instance_type}, {reservation.zone_id}) of {scope.name} ends in "
                f"{_hours(before)} h; EC2 ends its instances from 30 minutes before. Move its "
                f"agents: moltghost agent move NAME --env {scope.environment}"
            ),
        )
        for reservation in spec.reservations
        if reservation.ends
        for before in _BLOCK_WARNINGS
    ]


def _hours(span: timedelta) -> int:
    return round(span.total_seconds() / 3600)


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
