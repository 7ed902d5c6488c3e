"""Where the jobs that fill the weights store run."""

from __future__ import annotations

import pulumi
import pulumi_kubernetes as k8s
from pulumi_kubernetes.core import v1 as core

from moltghost.labels import POD_SECURITY_VERSION, WEIGHTS_ACCOUNT, WEIGHTS_NAMESPACE


class WeightsNamespace(pulumi.ComponentResource):
    """A restricted namespace, and the service account that may write to the store."""

    def __init__(
        self, name: str, labels: dict[str, str], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("moltghost:platform:WeightsNamespace", name, None, opts)
        self.namespace = core.Namespace(
            "weights-namespace",
            metadata=k8s.meta.v1.ObjectMetaArgs(
                name=WEIGHTS_NAMESPACE,
                labels={
                    **labels,
                    **{
                        f"pod-security.kubernetes.io/{mode}{suffix}": value
                        for mode in ("enforce", "audit", "warn")
                        for suffix, value in (
                            ("", "restricted"),
                            ("-version", POD_SECURITY_VERSION),
                        )
                    },
                },
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        core.ServiceAccount(
            "weights-account",
            metadata=k8s.meta.v1.ObjectMetaArgs(
                name=WEIGHTS_ACCOUNT, namespace=WEIGHTS_NAMESPACE, labels=labels
            ),
            automount_service_account_token=False,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self.namespace]),
        )
        self.register_outputs({})
