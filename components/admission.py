"""Admission policies: what is declared for agents is also enforced, by the API server itself.

The namespace of an agent carries the pools and instance types of its plan; the policies hold every
pod to them, keep other agents off its nodes, and keep everything else off GPU nodes.
"""

from __future__ import annotations

import pulumi
import pulumi_kubernetes as k8s
from pulumi_kubernetes.admissionregistration import v1 as admission

from moltghost.components.admission_pods import (
    OUTSIDER_CREATION_RULES,
    OUTSIDER_RULES,
    POD_VARIABLES,
    STAY_RULES,
    pod_rules,
)
from moltghost.components.admission_rule import Rule
from moltghost.components.admission_spaces import SECRET_RULES, SERVICE_RULES, namespace_rules
from moltghost.labels import AGENT_LABEL, AGENT_NAMESPACE_PREFIX, NAMESPACE_NAME_LABEL
from moltghost.planning.platform import PlatformPlan


class AdmissionPolicies(pulumi.ComponentResource):
    """The ValidatingAdmissionPolicies of an environment, each with its binding."""

    def __init__(
        self, name: str, plan: PlatformPlan, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("moltghost:platform:AdmissionPolicies", name, None, opts)
        self._labels = plan.labels
        in_agents = k8s.meta.v1.LabelSelectorArgs(
            match_expressions=[
                k8s.meta.v1.LabelSelectorRequirementArgs(key=AGENT_LABEL, operator="Exists")
            ]
        )
        outside = k8s.meta.v1.LabelSelectorArgs(
            match_expressions=[
                k8s.meta.v1.LabelSelectorRequirementArgs(key=AGENT_LABEL, operator="DoesNotExist"),
                k8s.meta.v1.LabelSelectorRequirementArgs(
                    key=NAMESPACE_NAME_LABEL, operator="NotIn", values=["kube-system"]
                ),
            ]
        )
        change = ("CREATE", "UPDATE")
        self._policy("agent-pods", ("CREATE",), "pods", in_agents, pod_rules(plan), POD_VARIABLES)
        self._policy("agent-pods-stay", ("UPDATE",), "pods", in_agents, STAY_RULES, {})
        self._policy("agent-services", change, "services", in_agents, SERVICE_RULES, {})
        self._policy("agent-secrets", change, "secrets", in_agents, SECRET_RULES, {})
        self._policy(
            "agent-namespaces",
            change,
            "namespaces",
            None,
            namespace_rules(plan),
            {},
            only=f"object.metadata.name.startsWith('{AGENT_NAMESPACE_PREFIX}')",
        )
        self._policy("gpu-nodes", ("CREATE",), "pods", outside, OUTSIDER_CREATION_RULES, {})
        self._policy("gpu-nodes-stay", change, "pods", outside, OUTSIDER_RULES, {})
        self.register_outputs({})

    def _policy(
        self,
        what: str,
        operations: tuple[str, ...],
        resource: str,
        namespaces: k8s.meta.v1.LabelSelectorArgs | None,
        rules: list[Rule],
        variables: dict[str, str],
        only: str | None = None,
    ) -> None:
        """One policy and its binding, which denies."""
        name = f"moltghost-{what}"
        policy = admission.ValidatingAdmissionPolicy(
            name,
            metadata=k8s.meta.v1.ObjectMetaArgs(name=name, labels=self._labels),
            spec=admission.ValidatingAdmissionPolicySpecArgs(
                failure_policy="Fail",
                match_constraints=admission.MatchResourcesArgs(
                    namespace_selector=namespaces,
                    resource_rules=[
                        admission.NamedRuleWithOperationsArgs(
                            api_groups=[""],
                            api_versions=["v1"],
                            operations=list(operations),
                            resources=[resource],
                        )
                    ],
                ),
                match_conditions=[admission.MatchConditionArgs(name="only", expression=only)]
                if only
                else None,
                variables=[
                    admission.VariableArgs(name=key, expression=value)
                    for key, value in variables.items()
                ],
                validations=[
                    admission.ValidationArgs(expression=rule.expression, message=rule.message)
                    for rule in rules
                ],
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        admission.ValidatingAdmissionPolicyBinding(
            f"{name}-binding",
            metadata=k8s.meta.v1.ObjectMetaArgs(name=name, labels=self._labels),
            spec=admission.ValidatingAdmissionPolicyBindingSpecArgs(
                policy_name=name, validation_actions=["Deny"]
            ),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
        )
