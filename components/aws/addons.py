"""EKS add-ons by version, with their Pod Identity."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from moltghost.components.aws.options import child_of
from moltghost.components.aws.role import Role
from moltghost.planning.aws.cluster import AddonPlan


class Addons(pulumi.ComponentResource):
    """A set of add-ons that come after the same things."""

    def __init__(
        self,
        name: str,
        plans: Sequence[AddonPlan],
        cluster_name: pulumi.Input[str],
        tags: dict[str, str],
        after: Sequence[pulumi.Resource] = (),
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("moltghost:aws:Addons", name, None, opts)
        self._cluster_name, self._tags, self._after = cluster_name, tags, list(after)
        self.ready = [self._addon(plan) for plan in plans]
        self.register_outputs({})

    def _addon(self, plan: AddonPlan) -> pulumi.Resource:
        role = (
            Role(f"{plan.name}-role", plan.role, self._tags, child_of(self)) if plan.role else None
        )
        return aws.eks.Addon(
            plan.name,
            cluster_name=self._cluster_name,
            addon_name=plan.name,
            addon_version=plan.version,
            configuration_values=plan.configuration,
            pod_identity_associations=[
                aws.eks.AddonPodIdentityAssociationArgs(
                    role_arn=role.arn, service_account=plan.service_account
                )
            ]
            if role
            else None,
            # What somebody changed by hand stays an error; ours wins at the start.
            resolve_conflicts_on_create="OVERWRITE",
            resolve_conflicts_on_update="NONE",
            tags=self._tags,
            opts=child_of(self, after=[*self._after, *(role.ready if role else ())]),
        )
