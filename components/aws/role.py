"""An IAM role with what it may do."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from moltghost.components.aws.options import child_of
from moltghost.planning.aws.iam import RolePlan, document


class Role(pulumi.ComponentResource):
    """A role, its own policy and those of AWS that it has."""

    def __init__(
        self,
        name: str,
        plan: RolePlan,
        tags: dict[str, str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("moltghost:aws:Role", name, None, opts)
        self.role = aws.iam.Role(
            name,
            name=plan.name,
            assume_role_policy=document(plan.trust),
            permissions_boundary=plan.boundary,
            tags=tags,
            opts=child_of(self),
        )
        self.arn = self.role.arn
        self.ready: list[pulumi.Resource] = [self.role]
        """The role and all that it may do: what takes the role on comes after these."""
        if plan.statements:
            self.ready.append(
                aws.iam.RolePolicy(
                    f"{name}-policy",
                    name=plan.name,
                    role=self.role.name,
                    policy=document(plan.statements),
                    opts=child_of(self),
                )
            )
        for arn in plan.managed_policies:
            self.ready.append(
                aws.iam.RolePolicyAttachment(
                    f"{name}-{arn.rpartition('/')[2]}",
                    role=self.role.name,
                    policy_arn=arn,
                    opts=child_of(self),
                )
            )
        self.register_outputs({})
