"""The policies of people who deploy agents: what they may do, and what no agent's role exceeds."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from moltghost.components.aws.options import child_of
from moltghost.planning.aws.deployers import PolicyPlan
from moltghost.planning.aws.iam import document


class People(pulumi.ComponentResource):
    """Two policies. Whose they are is not decided here: the roles of people aren't ours.

    They are protected: IAM deletes no policy that somebody has.
    """

    def __init__(
        self,
        name: str,
        boundary: PolicyPlan,
        deployers: PolicyPlan,
        tags: dict[str, str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("moltghost:aws:People", name, None, opts)
        self._tags = tags
        self.boundary = self._policy("agents-boundary", boundary)
        self.deployers = self._policy("deployers-policy", deployers)
        self.register_outputs({})

    def _policy(self, name: str, plan: PolicyPlan) -> aws.iam.Policy:
        return aws.iam.Policy(
            name,
            name=plan.name,
            description=plan.description,
            policy=document(plan.statements),
            tags=self._tags,
            opts=child_of(self, protect=True),
        )
