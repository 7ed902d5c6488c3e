"""The walls around one agent: namespace, quota, limits, network policies, service accounts."""

from __future__ import annotations

import pulumi
import pulumi_kubernetes as k8s
from pulumi_kubernetes.core import v1 as core
from pulumi_kubernetes.networking import v1 as net

from moltghost.labels import (
    ENGINE_ANNOTATION,
    MODEL_SERVER,
    NAMESPACE_NAME_LABEL,
    POD_SECURITY_VERSION,
    POOLS_ANNOTATION,
    PROJECT_ANNOTATION,
    RUNTIME,
    SHARING_LABEL,
    TYPES_ANNOTATION,
    selector,
)
from moltghost.ownership import EngineName
from moltghost.planning.agent import AgentPlan
from moltghost.planning.model_server import GATE_PORT


class AgentNamespace(pulumi.ComponentResource):
    """Namespace of an agent, marked with the engine that owns the stack.

    It is protected: the agent's memory lies in it.
    """

    def __init__(
        self,
        name: str,
        plan: AgentPlan,
        engine: EngineName,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("moltghost:agent:Namespace", name, None, opts)
        self._plan = plan
        self.namespace = core.Namespace(
            "namespace",
            metadata=k8s.meta.v1.ObjectMetaArgs(
                name=plan.namespace,
                labels={
                    **plan.labels,
                    SHARING_LABEL: plan.sharing,
                    **{
                        f"pod-security.kubernetes.io/{mode}{suffix}": value
                        for mode in ("enforce", "audit", "warn")
                        for suffix, value in (
                            ("", "restricted"),
                            ("-version", POD_SECURITY_VERSION),
                        )
                    },
                },
                annotations={
                    POOLS_ANNOTATION: ",".join(plan.isolation.pools),
                    TYPES_ANNOTATION: ",".join(plan.isolation.instance_types),
                    ENGINE_ANNOTATION: engine,
                    PROJECT_ANNOTATION: pulumi.get_project(),
                },
            ),
            opts=pulumi.ResourceOptions(parent=self, protect=True),
        )
        self._inside = pulumi.ResourceOptions(parent=self, depends_on=[self.namespace])
        self.ready: list[pulumi.Resource] = [
            self.namespace,
            self._quota(),
            self._limits(),
            *self._network_policies(),
            *(self._service_account(each) for each in (MODEL_SERVER, RUNTIME)),
        ]
        self.register_outputs({})

    def _meta(self, name: str) -> k8s.meta.v1.ObjectMetaArgs:
        return k8s.meta.v1.ObjectMetaArgs(
            name=name, namespace=self._plan.namespace, labels=self._plan.labels
        )

    def _quota(self) -> pulumi.Resource:
        return core.ResourceQuota(
            "quota",
            metadata=self._meta("agent"),
            spec=core.ResourceQuotaSpecArgs(hard=self._plan.isolation.quota),
            opts=self._inside,
        )

    def _limits(self) -> pulumi.Resource:
        isolation = self._plan.isolation
        return core.LimitRange(
            "limits",
            metadata=self._meta("agent"),
            spec=core.LimitRangeSpecArgs(
                limits=[
                    core.LimitRangeItemArgs(
                        type="Container",
                        max=isolation.container_max,
                        # No CPU limit by default: it would hold for containers that ask for more.
                        default={
                            name: amount
                            for name, amount in isolation.container_default.items()
                            if name != "cpu"
                        },
                        default_request=isolation.container_default,
                    ),
                    core.LimitRangeItemArgs(
                        type="PersistentVolumeClaim",
                        max={"storage": str(isolation.volume_max_bytes)},
                    ),
                ]
            ),
            opts=self._inside,
        )

    def _service_account(self, name: str) -> pulumi.Resource:
        return core.ServiceAccount(
            f"{name}-account",
            metadata=self._meta(name),
            automount_service_account_token=False,
            opts=self._inside,
        )

    def _network_policies(self) -> list[pulumi.Resource]:
        """Nothing in or out, then exactly the flows that are needed."""
        server, runtime = (self._pods(each) for each in (MODEL_SERVER, RUNTIME))
        gate = [net.NetworkPolicyPortArgs(protocol="TCP", port=GATE_PORT)]
        dns = [net.NetworkPolicyPortArgs(protocol=protocol, port=53) for protocol in ("UDP", "TCP")]
        dns_pods = net.NetworkPolicyPeerArgs(
            namespace_selector=k8s.meta.v1.LabelSelectorArgs(
                match_labels={NAMESPACE_NAME_LABEL: "kube-system"}
            ),
            pod_selector=k8s.meta.v1.LabelSelectorArgs(match_labels={"k8s-app": "kube-dns"}),
        )
        policies = [
            self._policy("default-deny", k8s.meta.v1.LabelSelectorArgs()),
            self._policy(
                "dns",
                k8s.meta.v1.LabelSelectorArgs(),
                egress=[net.NetworkPolicyEgressRuleArgs(to=[dns_pods], ports=dns)],
            ),
            self._policy(
                "model-server-from-runtime",
                server,
                ingress=[
                    net.NetworkPolicyIngressRuleArgs(
                        from_=[net.NetworkPolicyPeerArgs(pod_selector=runtime)], ports=gate
                    )
                ],
            ),
            self._policy(
                "runtime-to-model-server",
                runtime,
                egress=[
                    net.NetworkPolicyEgressRuleArgs(
                        to=[net.NetworkPolicyPeerArgs(pod_selector=server)], ports=gate
                    )
                ],
            ),
        ]
        if self._plan.isolation.weights_egress_cidrs:
            policies.append(self._weights_policy(server))
        return policies

    def _weights_policy(self, server: k8s.meta.v1.LabelSelectorArgs) -> pulumi.Resource:
        return self._policy(
            "model-server-to-weights",
            server,
            egress=[
                net.NetworkPolicyEgressRuleArgs(
                    to=[
                        net.NetworkPolicyPeerArgs(ip_block=net.IPBlockArgs(cidr=cidr))
                        for cidr in self._plan.isolation.weights_egress_cidrs
                    ],
                    ports=[
                        net.NetworkPolicyPortArgs(
                            protocol="TCP", port=self._plan.isolation.weights_port
                        )
                    ],
                )
            ],
        )

    def _pods(self, name: str) -> k8s.meta.v1.LabelSelectorArgs:
        return k8s.meta.v1.LabelSelectorArgs(match_labels=selector(name, self._plan.agent))

    def _policy(
        self,
        name: str,
        pods: k8s.meta.v1.LabelSelectorArgs,
        ingress: list[net.NetworkPolicyIngressRuleArgs] | None = None,
        egress: list[net.NetworkPolicyEgressRuleArgs] | None = None,
    ) -> pulumi.Resource:
        """A policy over ``pods``; both directions are named, so neither is open by omission."""
        return net.NetworkPolicy(
            name,
            metadata=self._meta(name),
            spec=net.NetworkPolicySpecArgs(
                pod_selector=pods,
                policy_types=["Ingress", "Egress"],
                ingress=ingress,
                egress=egress,
            ),
            opts=self._inside,
        )
