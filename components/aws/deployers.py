"""What people may do in the cluster who deploy agents and nothing else.

Kubernetes can't limit a role to namespaces by the start of their name, so the role says what, and
an admission policy says where: in namespaces of agents whose owner the person deploys for, which is
a group. Admission doesn't see reading: what may be read of one's own agents only is a second role,
which the stack of each agent binds in its namespace to its owner's group.

Whoever deletes an object has to be able to list and watch its kind: Pulumi's provider waits for the
end by a watch, and without the right to it for ever (pulumi/pulumi-kubernetes#4580).
"""

from __future__ import annotations

import pulumi
import pulumi_kubernetes as k8s
from pulumi_kubernetes.admissionregistration import v1 as admission
from pulumi_kubernetes.rbac import v1 as rbac

from moltghost.components.aws.options import child_of
from moltghost.labels import AGENT_NAMESPACE_PREFIX, OWNER_GROUP_PREFIX, OWNER_LABEL
from moltghost.planning.karpenter import GROUP as KARPENTER

RBAC = "rbac.authorization.k8s.io"
_LOOK = ["get", "list", "watch"]
_CHANGE = [*_LOOK, "create", "update", "patch", "delete"]
# API group -> what an agent's stack has of it.
_CHANGED: dict[str, list[str]] = {
    "": [
        "namespaces",
        "resourcequotas",
        "limitranges",
        "serviceaccounts",
        "configmaps",
        "services",
        "persistentvolumeclaims",
    ],
    "apps": ["deployments"],
    "networking.k8s.io": ["networkpolicies"],
    "policy": ["poddisruptionbudgets"],
    RBAC: ["rolebindings"],
}
_SEEN: dict[str, list[str]] = {
    "": ["nodes", "pods", "events"],
    "apps": ["replicasets"],
    KARPENTER: ["nodepools", "nodeclaims"],
    # The provider waits for no volume whose class says that it comes with its first pod.
    "storage.k8s.io": ["storageclasses"],
}
_NAME = "moltghost-deployers"
IN_AGENTS = "moltghost-deployers-in-agents"
"""Name of the role that is bound in agents' namespaces alone."""


def _is_of_own_owner(space: str) -> str:
    """Whether a namespace names an owner whose group the person is in."""
    return (
        f"has({space}.metadata.labels) && '{OWNER_LABEL}' in {space}.metadata.labels && "
        f"('{OWNER_GROUP_PREFIX}' + {space}.metadata.labels['{OWNER_LABEL}']) in "
        "request.userInfo.groups"
    )


# Whoever gives a namespace to another owner has to be in both groups.
_OF_OWN_OWNER = (
    "request.resource.resource == 'namespaces' ? "
    f"(object == null || {_is_of_own_owner('object')}) && "
    f"(oldObject == null || {_is_of_own_owner('oldObject')}) : "
    f"namespaceObject != null && {_is_of_own_owner('namespaceObject')}"
)
_BINDS_OWNER = (
    "request.resource.resource != 'rolebindings' || object == null || "
    f"object.roleRef.kind == 'ClusterRole' && object.roleRef.name == '{IN_AGENTS}' && "
    "has(object.subjects) && object.subjects.all(s, s.kind == 'Group' && namespaceObject != null "
    f"&& s.name == '{OWNER_GROUP_PREFIX}' + namespaceObject.metadata.labels['{OWNER_LABEL}'])"
)


class Deployers(pulumi.ComponentResource):
    """A role for a group, held to the namespaces of agents."""

    def __init__(
        self,
        name: str,
        group: str,
        labels: dict[str, str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("moltghost:aws:Deployers", name, None, opts)
        meta = k8s.meta.v1.ObjectMetaArgs(name=_NAME, labels=labels)
        # The wall first: nobody has the role before it stands.
        wall = self._wall(group, meta)
        role = rbac.ClusterRole(
            "deployers-role",
            metadata=meta,
            rules=[
                *(_rule(api, what, _CHANGE) for api, what in _CHANGED.items()),
                # An agent's tokens; they are read in the namespaces of one's own agents alone.
                _rule("", ["secrets"], ["create", "update", "patch", "delete"]),
                *(_rule(api, what, _LOOK) for api, what in _SEEN.items()),
                rbac.PolicyRuleArgs(
                    api_groups=[RBAC],
                    resources=["clusterroles"],
                    resource_names=[IN_AGENTS],
                    verbs=["bind"],
                ),
            ],
            opts=child_of(self),
        )
        rbac.ClusterRole(
            "deployers-in-agents-role",
            metadata=k8s.meta.v1.ObjectMetaArgs(name=IN_AGENTS, labels=labels),
            rules=[
                # To talk to the agent, and to see the end of tokens that are removed.
                _rule("", ["secrets"], _LOOK),
                _rule("", ["pods/log"], ["get"]),
                # `moltghost agent chat` and `connect`. A kubectl of before 1.35 asks for less.
                _rule("", ["pods/portforward"], ["get", "create"]),
            ],
            opts=child_of(self),
        )
        rbac.ClusterRoleBinding(
            "deployers-binding",
            metadata=meta,
            role_ref=rbac.RoleRefArgs(api_group=RBAC, kind="ClusterRole", name=_NAME),
            subjects=[rbac.SubjectArgs(api_group=RBAC, kind="Group", name=group)],
            opts=child_of(self, after=[role, *wall]),
        )
        self.register_outputs({})

    def _wall(self, group: str, meta: k8s.meta.v1.ObjectMetaArgs) -> list[pulumi.Resource]:
        policy = admission.ValidatingAdmissionPolicy(
            "deployers-wall",
            metadata=meta,
            spec=admission.ValidatingAdmissionPolicySpecArgs(
                failure_policy="Fail",
                match_constraints=admission.MatchResourcesArgs(
                    resource_rules=[
                        admission.NamedRuleWithOperationsArgs(
                            api_groups=list(_CHANGED),
                            api_versions=["v1"],
                            operations=["CREATE", "UPDATE", "DELETE"],
                            resources=[
                                "secrets",
                                *(each for what in _CHANGED.values() for each in what),
                            ],
                        )
                    ]
                ),
                match_conditions=[
                    admission.MatchConditionArgs(
                        name="deployer", expression=f"'{group}' in request.userInfo.groups"
                    )
                ],
                validations=[
                    admission.ValidationArgs(
                        # A namespace's own request carries its name as namespace too.
                        expression=f"request.namespace.startsWith('{AGENT_NAMESPACE_PREFIX}')",
                        message="who deploys agents changes only what is in namespaces of agents "
                        "(agent-NAME)",
                    ),
                    admission.ValidationArgs(
                        expression=_OF_OWN_OWNER,
                        message="who deploys agents changes only those of an owner whose group "
                        f"they are in ({OWNER_GROUP_PREFIX}OWNER, by the namespace's label "
                        f"{OWNER_LABEL})",
                    ),
                    admission.ValidationArgs(
                        expression=_BINDS_OWNER,
                        message=f"a RoleBinding of an agent binds {IN_AGENTS} to its owner's "
                        "group and to nobody else",
                    ),
                ],
            ),
            opts=child_of(self),
        )
        binding = admission.ValidatingAdmissionPolicyBinding(
            "deployers-wall-binding",
            metadata=meta,
            spec=admission.ValidatingAdmissionPolicyBindingSpecArgs(
                policy_name=_NAME, validation_actions=["Deny"]
            ),
            opts=child_of(self, after=[policy]),
        )
        return [policy, binding]


def _rule(api: str, resources: list[str], verbs: list[str]) -> rbac.PolicyRuleArgs:
    return rbac.PolicyRuleArgs(api_groups=[api], resources=resources, verbs=verbs)
