"""Karpenter: its definitions, then its controller, each a release by version."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
from pulumi_kubernetes.helm import v3 as helm

from moltghost.components.aws.options import child_of
from moltghost.components.naming import seconds
from moltghost.planning.aws.platform import ReleasePlan

_TIMEOUT_SECONDS = 600


class Karpenter(pulumi.ComponentResource):
    """The definitions are a release of their own, so that an upgrade changes them too."""

    def __init__(
        self,
        name: str,
        crds: ReleasePlan,
        controller: ReleasePlan,
        after: Sequence[pulumi.Resource],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("moltghost:aws:Karpenter", name, None, opts)
        definitions = self._release(crds, after)
        self.controller = self._release(controller, [*after, definitions], skip_crds=True)
        self.register_outputs({})

    def _release(
        self, plan: ReleasePlan, after: Sequence[pulumi.Resource], *, skip_crds: bool = False
    ) -> helm.Release:
        return helm.Release(
            plan.name,
            name=plan.name,
            namespace=plan.namespace,
            chart=plan.chart,
            version=plan.version,
            values=plan.values,
            skip_crds=skip_crds,
            atomic=True,
            timeout=_TIMEOUT_SECONDS,
            opts=pulumi.ResourceOptions.merge(
                child_of(self, after=after),
                pulumi.ResourceOptions(
                    custom_timeouts=pulumi.CustomTimeouts(create=seconds(_TIMEOUT_SECONDS))
                ),
            ),
        )
