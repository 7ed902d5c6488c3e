"""Who Karpenter is to AWS: its role, its nodes' role, and the queue of EC2's warnings."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from moltghost.components.aws.options import child_of
from moltghost.components.aws.role import Role
from moltghost.planning.aws.cloud import AwsCloudPlan, EventPlan


class KarpenterIdentity(pulumi.ComponentResource):
    """Roles, queue and events. Karpenter itself runs in the platform layer."""

    def __init__(
        self,
        name: str,
        plan: AwsCloudPlan,
        cluster_name: pulumi.Input[str],
        after: Sequence[pulumi.Resource],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("moltghost:aws:KarpenterIdentity", name, None, opts)
        self._plan, self._tags = plan, plan.tags
        karpenter = plan.karpenter
        nodes = Role("karpenter-node-role", karpenter.node, self._tags, child_of(self))
        aws.iam.InstanceProfile(
            "karpenter-node-profile",
            name=karpenter.instance_profile,
            role=nodes.role.name,
            tags=self._tags,
            opts=child_of(self),
        )
        aws.eks.AccessEntry(
            "karpenter-nodes",
            cluster_name=cluster_name,
            principal_arn=nodes.arn,
            type="EC2_LINUX",
            tags=self._tags,
            opts=child_of(self, after=after),
        )
        controller = Role("karpenter-role", karpenter.controller, self._tags, child_of(self))
        aws.eks.PodIdentityAssociation(
            "karpenter-identity",
            cluster_name=cluster_name,
            namespace=karpenter.namespace,
            service_account=karpenter.service_account,
            role_arn=controller.arn,
            tags=self._tags,
            opts=child_of(self, after=[*after, *controller.ready]),
        )
        queue = self._queue()
        for event in karpenter.events:
            self._event(event, queue)
        self.register_outputs({})

    def _queue(self) -> aws.sqs.Queue:
        karpenter = self._plan.karpenter
        queue = aws.sqs.Queue(
            "interruptions",
            name=karpenter.queue,
            message_retention_seconds=karpenter.queue_retention_seconds,
            sqs_managed_sse_enabled=True,
            tags=self._tags,
            opts=child_of(self),
        )
        aws.sqs.QueuePolicy(
            "interruptions-policy",
            queue_url=queue.id,
            policy=karpenter.queue_policy,
            opts=child_of(self),
        )
        return queue

    def _event(self, plan: EventPlan, queue: aws.sqs.Queue) -> None:
        name = f"{self._plan.cluster_name}-{plan.name}"
        rule = aws.cloudwatch.EventRule(
            f"event-{plan.name}",
            name=name,
            description=f"{plan.detail_type}: Karpenter moves what it can",
            event_pattern=json.dumps(
                {"source": [plan.source], "detail-type": [plan.detail_type]}, sort_keys=True
            ),
            tags=self._tags,
            opts=child_of(self),
        )
        aws.cloudwatch.EventTarget(
            f"event-{plan.name}-to-queue",
            rule=rule.name,
            target_id="karpenter",
            arn=queue.arn,
            opts=child_of(self),
        )
