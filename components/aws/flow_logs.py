"""A record of every connection in the network, refused ones too."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from moltghost.components.aws.options import child_of
from moltghost.components.aws.role import Role
from moltghost.planning.aws.cloud import AwsCloudPlan

_INTERVAL_SECONDS = 60


class FlowLogs(pulumi.ComponentResource):
    """Flow logs of the VPC, encrypted and kept as long as the environment's other logs."""

    def __init__(
        self,
        name: str,
        plan: AwsCloudPlan,
        vpc_id: pulumi.Input[str],
        key: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("moltghost:aws:FlowLogs", name, None, opts)
        group = aws.cloudwatch.LogGroup(
            "flow-log-group",
            name=plan.network.flow_log_group,
            retention_in_days=plan.log_retention_days,
            kms_key_id=key,
            tags=plan.tags,
            opts=child_of(self),
        )
        role = Role("flow-logs-role", plan.flow_log_role, plan.tags, child_of(self))
        aws.ec2.FlowLog(
            "flow-log",
            vpc_id=vpc_id,
            traffic_type="ALL",
            log_destination_type="cloud-watch-logs",
            log_destination=group.arn,
            iam_role_arn=role.arn,
            max_aggregation_interval=_INTERVAL_SECONDS,
            tags=plan.tags,
            opts=child_of(self, after=role.ready),
        )
        self.register_outputs({})
