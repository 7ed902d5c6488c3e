"""A managed node group with its launch template: the system's nodes, or a fixed group of GPUs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws

from moltghost.components.aws.options import child_of
from moltghost.labels import POOL_TAG
from moltghost.planning.aws.nodes import (
    ROOT_DEVICE,
    ROOT_IOPS,
    ROOT_THROUGHPUT_MIB,
    NodeGroupPlan,
)

_TAGGED = ("instance", "volume", "network-interface")


@dataclass(frozen=True, kw_only=True)
class NodeGroupInputs:
    """What a node group needs from other resources."""

    cluster_name: pulumi.Input[str]
    role_arn: pulumi.Input[str]
    subnet_ids: list[pulumi.Input[str]]
    disk_key: pulumi.Input[str]
    after: Sequence[pulumi.Resource] = field(default=())
    """Routes, endpoints, the role's policies and the add-ons: nodes need them to join."""


class NodeGroup(pulumi.ComponentResource):
    """Nodes whose disks are encrypted and whose credentials no pod can get at."""

    def __init__(
        self,
        name: str,
        plan: NodeGroupPlan,
        inputs: NodeGroupInputs,
        tags: dict[str, str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("moltghost:aws:NodeGroup", name, None, opts)
        self._plan, self._inputs = plan, inputs
        self._tags = {**tags, POOL_TAG: plan.name}
        template = self._template(f"{name}-template")
        self.group = aws.eks.NodeGroup(
            name,
            cluster_name=inputs.cluster_name,
            node_group_name=plan.name,
            node_role_arn=inputs.role_arn,
            subnet_ids=inputs.subnet_ids,
            ami_type=plan.ami_type,
            version=plan.kubernetes_version,
            release_version=plan.release_version,
            capacity_type=plan.capacity_type,
            scaling_config=aws.eks.NodeGroupScalingConfigArgs(
                min_size=0 if plan.reservation else plan.nodes,
                desired_size=plan.nodes,
                max_size=plan.max_nodes,
            ),
            labels=plan.labels,
            taints=[aws.eks.NodeGroupTaintArgs(**each) for each in plan.eks_taints],
            update_config=aws.eks.NodeGroupUpdateConfigArgs(max_unavailable=1),
            node_repair_config=aws.eks.NodeGroupNodeRepairConfigArgs(enabled=plan.repair),
            launch_template=aws.eks.NodeGroupLaunchTemplateArgs(
                id=template.id,
                version=template.latest_version.apply(str),
            ),
            tags=self._tags,
            opts=child_of(self, after=inputs.after, ignore=plan.scaled_by_eks),
        )
        self.register_outputs({})

    def _template(self, name: str) -> aws.ec2.LaunchTemplate:
        plan = self._plan
        return aws.ec2.LaunchTemplate(
            name,
            # With a Capacity Block the type must be here and nowhere else; so it always is.
            instance_type=plan.instance_type,
            user_data=plan.node_config.user_data(),
            update_default_version=True,
            metadata_options=aws.ec2.LaunchTemplateMetadataOptionsArgs(
                http_endpoint="enabled", http_tokens="required", http_put_response_hop_limit=1
            ),
            block_device_mappings=[
                aws.ec2.LaunchTemplateBlockDeviceMappingArgs(
                    device_name=ROOT_DEVICE,
                    ebs=aws.ec2.LaunchTemplateBlockDeviceMappingEbsArgs(
                        volume_type="gp3",
                        volume_size=plan.root_gib,
                        iops=ROOT_IOPS,
                        throughput=ROOT_THROUGHPUT_MIB,
                        encrypted="true",
                        kms_key_id=self._inputs.disk_key,
                        delete_on_termination="true",
                    ),
                )
            ],
            instance_market_options=self._market(),
            capacity_reservation_specification=self._reservation(),
            # Tags of the provider don't reach what a scaling group makes.
            tag_specifications=[
                aws.ec2.LaunchTemplateTagSpecificationArgs(resource_type=kind, tags=self._tags)
                for kind in _TAGGED
            ],
            tags=self._tags,
            opts=child_of(self),
        )

    def _market(self) -> aws.ec2.LaunchTemplateInstanceMarketOptionsArgs | None:
        if self._plan.capacity_type != "CAPACITY_BLOCK":
            return None
        return aws.ec2.LaunchTemplateInstanceMarketOptionsArgs(market_type="capacity-block")

    def _reservation(self) -> aws.ec2.LaunchTemplateCapacityReservationSpecificationArgs | None:
        reservation = self._plan.reservation
        if reservation is None:
            return None
        return aws.ec2.LaunchTemplateCapacityReservationSpecificationArgs(
            capacity_reservation_target=aws.ec2.LaunchTemplateCapacityReservationSpecificationCapacityReservationTargetArgs(
                capacity_reservation_id=reservation.id
            )
        )
