"""How AWS makes the nodes of one pool: an ``EC2NodeClass``."""

from __future__ import annotations

from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from moltghost.components.aws.options import child_of
from moltghost.planning.aws.node_class import Ec2NodeClassPlan


class Ec2NodeClass(pulumi.ComponentResource):
    """Image by version, NVMe under kubelet and containerd, IMDSv2 out of pods' reach."""

    def __init__(
        self,
        name: str,
        plan: Ec2NodeClassPlan,
        labels: dict[str, str],
        after: list[pulumi.Resource],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("moltghost:aws:Ec2NodeClass", name, None, opts)
        self.node_class = k8s.apiextensions.CustomResource(
            f"{name}-node-class",
            api_version="karpenter.k8s.aws/v1",
            kind="EC2NodeClass",
            metadata=k8s.meta.v1.ObjectMetaArgs(name=plan.name, labels=labels),
            spec=_spec(plan),
            opts=child_of(self, after=after),
        )
        self.register_outputs({})


def _spec(plan: Ec2NodeClassPlan) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "amiSelectorTerms": [{"alias": plan.ami_alias}],
        "instanceProfile": plan.instance_profile,
        "subnetSelectorTerms": [{"tags": plan.subnet_tags}],
        "securityGroupSelectorTerms": [{"tags": plan.security_group_tags}],
        "associatePublicIPAddress": False,
        "metadataOptions": {
            "httpEndpoint": "enabled",
            "httpTokens": "required",
            "httpPutResponseHopLimit": 1,
            "httpProtocolIPv6": "disabled",
        },
        "blockDeviceMappings": [
            {
                "deviceName": plan.root_device,
                "rootVolume": True,
                "ebs": {
                    "volumeType": "gp3",
                    "volumeSize": f"{plan.root_gib}Gi",
                    "iops": plan.root_iops,
                    "throughput": plan.root_throughput_mib,
                    "encrypted": True,
                    "kmsKeyID": plan.disk_key,
                    "deleteOnTermination": True,
                },
            }
        ],
        "tags": plan.tags,
    }
    if plan.instance_store_policy:
        spec["instanceStorePolicy"] = plan.instance_store_policy
    if plan.reservations:
        spec["capacityReservationSelectorTerms"] = [{"id": each} for each in plan.reservations]
    return spec
