"""Network policies of system pods. In strict mode a pod without one can talk to nobody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pulumi
import pulumi_kubernetes as k8s
from pulumi_kubernetes.networking import v1 as net

from moltghost.planning.flows import Flow, SystemPolicy


class SystemPolicies(pulumi.ComponentResource):
    """One policy for each system component, with exactly the flows that it needs."""

    def __init__(
        self,
        name: str,
        plans: Sequence[SystemPolicy],
        labels: Mapping[str, str],
        after: Sequence[pulumi.Resource],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("moltghost:platform:SystemPolicies", name, None, opts)
        self.ready: list[pulumi.Resource] = [
            net.NetworkPolicy(
                f"flows-{plan.name}",
                metadata=k8s.meta.v1.ObjectMetaArgs(
                    name=f"moltghost-{plan.name}", namespace=plan.namespace, labels=dict(labels)
                ),
                spec=net.NetworkPolicySpecArgs(
                    pod_selector=k8s.meta.v1.LabelSelectorArgs(match_labels=plan.pods or None),
                    policy_types=["Ingress", "Egress"],
                    ingress=[_ingress(flow) for flow in plan.ingress],
                    egress=[_egress(flow) for flow in plan.egress],
                ),
                opts=pulumi.ResourceOptions(parent=self, depends_on=list(after) or None),
            )
            for plan in plans
        ]
        self.register_outputs({})


def _ingress(flow: Flow) -> net.NetworkPolicyIngressRuleArgs:
    return net.NetworkPolicyIngressRuleArgs(from_=_peers(flow), ports=_ports(flow))


def _egress(flow: Flow) -> net.NetworkPolicyEgressRuleArgs:
    return net.NetworkPolicyEgressRuleArgs(to=_peers(flow), ports=_ports(flow))


def _peers(flow: Flow) -> list[net.NetworkPolicyPeerArgs]:
    if flow.pods is None:
        return [
            net.NetworkPolicyPeerArgs(ip_block=net.IPBlockArgs(cidr=cidr)) for cidr in flow.cidrs
        ]
    return [
        net.NetworkPolicyPeerArgs(
            namespace_selector=k8s.meta.v1.LabelSelectorArgs(match_labels=flow.namespaces or None),
            pod_selector=k8s.meta.v1.LabelSelectorArgs(match_labels=flow.pods or None),
        )
    ]


def _ports(flow: Flow) -> list[net.NetworkPolicyPortArgs]:
    return [
        net.NetworkPolicyPortArgs(protocol=protocol, port=port)
        for port in flow.ports
        for protocol in flow.protocols
    ]
