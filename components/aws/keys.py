"""The KMS keys of an environment. They are protected: without them its data is lost."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from moltghost.components.aws.options import child_of
from moltghost.planning.aws.storage import KEY_DELETION_DAYS, KeyName, KeyPlan


class Keys(pulumi.ComponentResource):
    """One key for each kind of data, each under its alias."""

    def __init__(
        self,
        name: str,
        plans: Sequence[KeyPlan],
        tags: dict[str, str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("moltghost:aws:Keys", name, None, opts)
        self._keys: dict[KeyName, aws.kms.Key] = {}
        self.ready: list[pulumi.Resource] = []
        for plan in plans:
            key = aws.kms.Key(
                f"{plan.name}-key",
                description=plan.description,
                policy=plan.policy,
                enable_key_rotation=True,
                deletion_window_in_days=KEY_DELETION_DAYS,
                tags=tags,
                opts=child_of(self, protect=True),
            )
            alias = aws.kms.Alias(
                f"{plan.name}-key-alias",
                name=plan.alias,
                target_key_id=key.key_id,
                opts=child_of(self, protect=True),
            )
            self._keys[plan.name] = key
            self.ready += [key, alias]
        self.register_outputs({})

    def arn(self, name: KeyName) -> pulumi.Output[str]:
        """ARN of a key."""
        return self._keys[name].arn
