"""The StorageClass of agents' volumes; it has the same name in every environment."""

from __future__ import annotations

import pulumi
import pulumi_kubernetes as k8s

from moltghost.planning.platform import PlatformPlan


class AgentStorage(pulumi.ComponentResource):
    """StorageClass ``moltghost``.

    Volumes are made in the zone of the pod that first uses them, can grow, and go with their claim;
    the claim itself is protected by the agent's stack.
    """

    def __init__(
        self, name: str, plan: PlatformPlan, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("moltghost:platform:AgentStorage", name, None, opts)
        self.storage_class = k8s.storage.v1.StorageClass(
            f"{name}-class",
            metadata=k8s.meta.v1.ObjectMetaArgs(name=plan.storage_class, labels=plan.labels),
            provisioner=plan.storage.provisioner,
            parameters=plan.storage.parameters or None,
            volume_binding_mode="WaitForFirstConsumer",
            allow_volume_expansion=True,
            reclaim_policy="Delete",
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})
