"""What watches an environment: its budget, its alarms, and the ends of Capacity Blocks."""

from __future__ import annotations

import json

import pulumi
import pulumi_aws as aws

from moltghost.components.aws.options import child_of
from moltghost.components.aws.role import Role
from moltghost.planning.aws.alarms import AlarmPlan, BudgetPlan, GuardsPlan, WarningPlan


class Guards(pulumi.ComponentResource):
    """All of it speaks through one topic."""

    def __init__(
        self,
        name: str,
        plan: GuardsPlan,
        key: pulumi.Input[str],
        tags: dict[str, str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("moltghost:aws:Guards", name, None, opts)
        self._tags = tags
        self._topic = aws.sns.Topic(
            "alarms", name=plan.topic, kms_master_key_id=key, tags=tags, opts=child_of(self)
        )
        policy = aws.sns.TopicPolicy(
            "alarms-policy", arn=self._topic.arn, policy=plan.topic_policy, opts=child_of(self)
        )
        if plan.email:
            aws.sns.TopicSubscription(
                "alarms-email",
                topic=self._topic.arn,
                protocol="email",
                endpoint=plan.email,
                opts=child_of(self),
            )
        self._budget(plan.budget, policy)
        for alarm in plan.alarms:
            self._alarm(alarm)
        if plan.warnings:
            role = Role("block-warnings-role", plan.scheduler_role, tags, child_of(self))
            for warning in plan.warnings:
                self._warning(warning, role)
        self.register_outputs({})

    def _budget(self, plan: BudgetPlan, after: pulumi.Resource) -> None:
        conditions = (("ACTUAL", plan.spent_percent), ("FORECASTED", plan.forecast_percent))
        aws.budgets.Budget(
            "budget",
            name=plan.name,
            budget_type="COST",
            time_unit="MONTHLY",
            limit_amount=str(plan.limit_usd),
            limit_unit="USD",
            cost_filters=[
                aws.budgets.BudgetCostFilterArgs(name="TagKeyValue", values=[plan.tag_filter])
            ],
            notifications=[
                aws.budgets.BudgetNotificationArgs(
                    comparison_operator="GREATER_THAN",
                    notification_type=kind,
                    threshold=percent,
                    threshold_type="PERCENTAGE",
                    subscriber_sns_topic_arns=[self._topic.arn],
                )
                for kind, percent in conditions
            ],
            tags=self._tags,
            opts=child_of(self, after=[after]),
        )

    def _alarm(self, plan: AlarmPlan) -> None:
        aws.cloudwatch.MetricAlarm(
            plan.name,
            name=plan.name,
            alarm_description=plan.description,
            namespace=plan.namespace,
            metric_name=plan.metric,
            dimensions=plan.dimensions,
            statistic=plan.statistic,
            comparison_operator=plan.comparison,
            threshold=plan.threshold,
            period=plan.period_seconds,
            evaluation_periods=plan.periods,
            treat_missing_data="notBreaching",
            alarm_actions=[self._topic.arn],
            ok_actions=[self._topic.arn],
            tags=self._tags,
            opts=child_of(self),
        )

    def _warning(self, plan: WarningPlan, role: Role) -> None:
        aws.scheduler.Schedule(
            plan.name,
            name=plan.name,
            schedule_expression=f"at({plan.at})",
            schedule_expression_timezone="UTC",
            flexible_time_window=aws.scheduler.ScheduleFlexibleTimeWindowArgs(mode="OFF"),
            target=aws.scheduler.ScheduleTargetArgs(
                arn=self._topic.arn, role_arn=role.arn, input=json.dumps(plan.message)
            ),
            opts=child_of(self, after=role.ready),
        )
