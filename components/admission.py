"""Admission policies: what is declared for agents is also enforced, by the API server itself.

The namespace of an agent carries the pools and instance types of its plan; the policies hold every
pod to them, keep other agents off its nodes, and keep everything else off GPU nodes.
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s
from pulumi_kubernetes.admissionregistration import v1 as admission

from moltghost.components.admission_nodes import (
    POOLS_OF_SPACE,
    selector_keys,
    selects_a_pool,
    selects_a_type,
    tolerates_other_taints,
)
from moltghost.labels import (
    AGENT_LABEL,
    AGENT_NAMESPACE_PREFIX,
    GPU_RESOURCE,
    HOSTNAME_LABEL,
    NAMESPACE_NAME_LABEL,
    OWNER_LABEL,
    POOL_TAINT_KEY,
    POOLS_ANNOTATION,
    SHARING_LABEL,
    TYPES_ANNOTATION,
)
from moltghost.planning.platform import PlatformPlan

# Tolerations that Kubernetes itself adds to every pod.
_BUILT_IN_TOLERATIONS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")

_GPU = (
    "(has(object.spec.initContainers) ? object.spec.initContainers : [])"
    ".exists(c, has(c.resources) && has(c.resources.limits) && "
    f"'{GPU_RESOURCE}' in c.resources.limits)"
    " || object.spec.containers.exists(c, has(c.resources) && has(c.resources.limits) && "
    f"'{GPU_RESOURCE}' in c.resources.limits)"
)


@dataclass(frozen=True)
class _Rule:
    """One validation: a CEL expression that must hold, and what to say when it doesn't."""

    expression: str
    message: str


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
        self._policy("agent-pods", ("CREATE",), "pods", in_agents, _pod_rules(plan), _POD_VARIABLES)
        self._policy("agent-pods-stay", ("UPDATE",), "pods", in_agents, _STAY_RULES, {})
        self._policy(
            "agent-namespaces",
            ("CREATE", "UPDATE"),
            "namespaces",
            None,
            _NAMESPACE_RULES,
            {},
            only=f"object.metadata.name.startsWith('{AGENT_NAMESPACE_PREFIX}')",
        )
        self._policy("gpu-nodes", ("CREATE",), "pods", outside, _OUTSIDER_RULES, {})
        self.register_outputs({})

    def _policy(
        self,
        what: str,
        operations: tuple[str, ...],
        resource: str,
        namespaces: k8s.meta.v1.LabelSelectorArgs | None,
        rules: list[_Rule],
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


_POD_VARIABLES = {
    "gpu": _GPU,
    "space": "namespaceObject.metadata",
    "selector": "has(object.spec.nodeSelector) ? object.spec.nodeSelector : {}",
    "tolerations": "has(object.spec.tolerations) ? object.spec.tolerations : []",
    "apart": (
        f"has(namespaceObject.metadata.labels) && '{SHARING_LABEL}' in "
        f"namespaceObject.metadata.labels && namespaceObject.metadata.labels['{SHARING_LABEL}'] "
        f"== 'owner' ? '{OWNER_LABEL}' : '{AGENT_LABEL}'"
    ),
    "keep_away": (
        "has(object.spec.affinity) && has(object.spec.affinity.podAntiAffinity) && "
        "has(object.spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution)"
        " ? object.spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution"
        " : []"
    ),
}


def _pod_rules(plan: PlatformPlan) -> list[_Rule]:
    built_in = ", ".join(f"'{key}'" for key in _BUILT_IN_TOLERATIONS)
    return [
        _Rule(
            "has(object.metadata.labels) && "
            + " && ".join(
                f"'{key}' in object.metadata.labels && "
                f"object.metadata.labels['{key}'] == variables.space.labels['{key}']"
                for key in (AGENT_LABEL, OWNER_LABEL)
            ),
            "a pod in an agent's namespace carries the namespace's agent and owner labels",
        ),
        _Rule(
            selects_a_pool(plan.every_pool),
            "a pod in an agent's namespace selects a pool of the agent's plan "
            f"(nodeSelector {', '.join(selector_keys(plan.every_pool))})",
        ),
        _Rule(
            f"!variables.gpu || {selects_a_type(plan.pools)}",
            "a GPU pod in an agent's namespace selects the instance type of the agent's plan",
        ),
        _Rule(
            "!variables.gpu || variables.keep_away.exists(term, "
            f"term.topologyKey == '{HOSTNAME_LABEL}' && has(term.namespaceSelector) && "
            "!has(term.namespaceSelector.matchLabels) && "
            "!has(term.namespaceSelector.matchExpressions) && has(term.labelSelector) && "
            "has(term.labelSelector.matchExpressions) && "
            "term.labelSelector.matchExpressions.exists(e, e.key == variables.apart && "
            "e.operator == 'NotIn' && e.values == [variables.space.labels[variables.apart]]))",
            "a GPU pod of an agent keeps off nodes with another agent's model server "
            "(required pod anti-affinity over all namespaces)",
        ),
        _Rule(
            "variables.tolerations.all(t, has(t.key) && (t.key in "
            f"[{built_in}] || t.key == '{GPU_RESOURCE}' && variables.gpu || "
            f"t.key == '{POOL_TAINT_KEY}' && has(t.value) && t.value in "
            f"{POOLS_OF_SPACE}{tolerates_other_taints(plan.every_pool)}))",
            "a pod in an agent's namespace tolerates the GPU taint only when it asks for a GPU, "
            "the taint of a pool only of the agent's plan, and no other taint",
        ),
        _Rule(
            "!has(object.spec.nodeName) || object.spec.nodeName == ''",
            "a pod in an agent's namespace is placed by the scheduler (no nodeName)",
        ),
        _Rule(
            "!has(object.spec.affinity) || !has(object.spec.affinity.nodeAffinity)",
            "a pod in an agent's namespace names its nodes by nodeSelector (no nodeAffinity)",
        ),
        _Rule(
            "!has(object.spec.priorityClassName) || object.spec.priorityClassName in "
            f"['', '{plan.priority_class}']",
            f"a pod in an agent's namespace has the priority class {plan.priority_class} or none",
        ),
        _Rule(
            "has(object.spec.automountServiceAccountToken) && "
            "!object.spec.automountServiceAccountToken",
            "a pod in an agent's namespace has no service account token "
            "(automountServiceAccountToken: false)",
        ),
    ]


_STAY_RULES = [
    _Rule(
        "(has(object.spec.tolerations) ? object.spec.tolerations : []) == "
        "(has(oldObject.spec.tolerations) ? oldObject.spec.tolerations : [])",
        "the tolerations of an agent's pod don't change",
    ),
    _Rule(
        f"object.metadata.labels['{AGENT_LABEL}'] == oldObject.metadata.labels['{AGENT_LABEL}'] && "
        f"object.metadata.labels['{OWNER_LABEL}'] == oldObject.metadata.labels['{OWNER_LABEL}']",
        "the agent and owner labels of an agent's pod don't change",
    ),
]

_NAMESPACE_RULES = [
    _Rule(
        f"has(object.metadata.labels) && '{AGENT_LABEL}' in object.metadata.labels && "
        f"'{AGENT_NAMESPACE_PREFIX}' + object.metadata.labels['{AGENT_LABEL}'] == "
        "object.metadata.name",
        f"a namespace called agent-NAME carries the label {AGENT_LABEL}=NAME",
    ),
    _Rule(
        f"has(object.metadata.labels) && '{OWNER_LABEL}' in object.metadata.labels",
        f"an agent's namespace names its owner in the label {OWNER_LABEL}",
    ),
    _Rule(
        "has(object.metadata.labels) && 'pod-security.kubernetes.io/enforce' in "
        "object.metadata.labels && object.metadata.labels['pod-security.kubernetes.io/enforce'] "
        "== 'restricted'",
        "an agent's namespace enforces Pod Security 'restricted'",
    ),
    _Rule(
        "has(object.metadata.annotations) && "
        f"'{POOLS_ANNOTATION}' in object.metadata.annotations && "
        f"'{TYPES_ANNOTATION}' in object.metadata.annotations",
        "an agent's namespace names the pools and instance types of its plan in its annotations",
    ),
]

_OUTSIDER_RULES = [
    _Rule(
        f"!({_GPU})",
        "GPUs are for agents: only pods in an agent's namespace may ask for nvidia.com/gpu",
    ),
]
