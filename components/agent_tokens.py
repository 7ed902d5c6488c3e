"""The secrets of one agent: the gate's token and the runtime's. Generated once, never shown."""

from __future__ import annotations

import pulumi
import pulumi_kubernetes as k8s
import pulumi_random as random
from pulumi_kubernetes.core import v1 as core

from moltghost.labels import TOKEN_KEY
from moltghost.planning.agent import AgentPlan

# 43 characters of 62 are 256 bits.
_TOKEN_LENGTH = 43


class AgentTokens(pulumi.ComponentResource):
    """Two tokens, each in a Secret named by its rotation number, so that a rotation rolls pods."""

    def __init__(
        self, name: str, plan: AgentPlan, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("moltghost:agent:Tokens", name, None, opts)
        self._plan = plan
        self.gate = self._token("gate-token")
        self.gateway = self._token("gateway-token")
        self.register_outputs({})

    def _token(self, what: str) -> core.Secret:
        name = f"{what}-{self._plan.rotation}"
        token = random.RandomPassword(
            name,
            length=_TOKEN_LENGTH,
            special=False,
            opts=pulumi.ResourceOptions(parent=self),
        )
        return core.Secret(
            f"{name}-secret",
            metadata=k8s.meta.v1.ObjectMetaArgs(
                name=name, namespace=self._plan.namespace, labels=self._plan.labels
            ),
            immutable=True,
            string_data={TOKEN_KEY: token.result},
            opts=pulumi.ResourceOptions(parent=self),
        )
