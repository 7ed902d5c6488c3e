"""Who may do what: IAM, pod identities, Kubernetes roles, service accounts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .pods import AGENTS, PODS, pods_of
from .reading import as_list, document, get, items, matches
from .rule import CRITICAL, HIGH, MEDIUM, Config, rule, stack_rule, texts
from .subject import Subject

AGENT_ROLES = {
    "agent_roles": texts(
        ["moltghost-deployers-in-agents"],
        "ClusterRoles that only agents' namespaces bind, and that may read secrets there.",
    ),
}

_POLICY = "aws:iam/policy:Policy"
_ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"
_ATTACHMENT = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
_ROLE = "aws:iam/role:Role"
_POD_IDENTITY = "aws:eks/podIdentityAssociation:PodIdentityAssociation"
_RBAC = "kubernetes:rbac.authorization.k8s.io/v1"
ROLES = (f"{_RBAC}:Role", f"{_RBAC}:ClusterRole")
BINDINGS = (f"{_RBAC}:RoleBinding", f"{_RBAC}:ClusterRoleBinding")
_ACCOUNT = "kubernetes:core/v1:ServiceAccount"
# Session tags of EKS Pod Identity (EKS user guide, "Grant Pods access based on tags").
_SESSION_TAGS = ("kubernetes-namespace", "kubernetes-service-account", "eks-cluster-")


def statements(policy: Any) -> Iterator[Mapping[str, Any]]:
    """The statements of a policy document that allow something."""
    for statement in as_list(document(policy).get("Statement")):
        if get(statement, "Effect") == "Allow":
            yield statement


@rule(
    why="Whoever takes over one pod would have the account.",
    fix="name the actions and the resources",
    severity=CRITICAL,
    types=(_POLICY, _ROLE_POLICY, _ROLE),
    sources=("CKV_AWS_62", "CKV_AWS_63", "AWS-0057"),
)
def iam_no_star(policy: Subject, _config: Config) -> Iterator[str]:
    """No IAM policy allows everything."""
    documents = [get(policy.props, "policy")]
    documents += [get(each, "policy") for each in items(policy.props, "inlinePolicies")]
    for statement in (found for each in documents for found in statements(each)):
        actions = as_list(statement.get("Action"))
        if "*" in as_list(statement.get("Resource")) and {"*", "*:*"} & set(actions):
            yield "it allows every action on every resource"
        if "NotAction" in statement:
            yield "it allows everything but a few actions (NotAction)"


@rule(
    why="AWS's FullAccess policies hold far more than a node or an agent needs.",
    fix="attach a policy with the few actions that are needed",
    severity=HIGH,
    types=(_ATTACHMENT, _ROLE),
    sources=("CKV_AWS_286",),
    schema={
        "policies": texts(
            ["AdministratorAccess", "PowerUserAccess", "*FullAccess"],
            "Names of managed policies that may not be attached, * matches.",
        )
    },
)
def iam_no_admin_attachments(attachment: Subject, config: Config) -> Iterator[str]:
    """Roles have no administrator's policy attached."""
    arns = [get(attachment.props, "policyArn")] if attachment.type == _ATTACHMENT else []
    arns += list(items(attachment.props, "managedPolicyArns"))
    for arn in arns:
        name = str(arn).rpartition("/")[2]
        if matches(name, config["policies"]):
            yield f"it attaches {name}"


@stack_rule(
    why="A shared role lets one agent read another one's weights and state.",
    fix="make one role per agent, whose trust policy names "
    "aws:RequestTag/kubernetes-namespace, kubernetes-service-account and eks-cluster-arn",
    severity=HIGH,
    types=(_POD_IDENTITY,),
    sources=("EKS BPG iam", "C-0225"),
    schema=AGENTS,
)
def pod_identity_scoped(
    subjects: Sequence[Subject], config: Config
) -> Iterator[tuple[Subject, str]]:
    """Every agent has an AWS role of its own, that only its own pods can take."""
    roles = {each.urn: each for each in subjects if each.type == _ROLE}
    users: dict[str, set[str]] = {}
    agents: list[tuple[Subject, Subject | None]] = []
    for each in subjects:
        if each.type != _POD_IDENTITY:
            continue
        namespace = str(get(each.props, "namespace"))
        role = next((roles[urn] for urn in each.needs if urn in roles), None)
        users.setdefault(_role_key(each, role), set()).add(namespace)
        if matches(namespace, config["namespaces"]):
            agents.append((each, role))
    for each, role in agents:
        if len(users[_role_key(each, role)]) > 1:
            yield each, "its role is also that of another namespace"
        if role:
            trust = str(get(role.props, "assumeRolePolicy", ""))
            if missing := [tag for tag in _SESSION_TAGS if tag not in trust]:
                yield each, f"the trust policy of its role doesn't name {', '.join(missing)}"


def _role_key(association: Subject, role: Subject | None) -> str:
    return role.urn if role else str(get(association.props, "roleArn"))


@rule(
    why="Agents never talk to the API server; a token is only of use to an attacker.",
    fix="set automountServiceAccountToken: false on the service account and the pod, "
    "and name a service account of its own",
    severity=MEDIUM,
    types=PODS,
    sources=("CKV_K8S_38", "CKV_K8S_41", "KSV-0036", "C-0190"),
)
def sa_token_off(subject: Subject, _config: Config) -> Iterator[str]:
    """Pods get no API token unless they need one."""
    if subject.type == _ACCOUNT:
        if get(subject.props, "automountServiceAccountToken") is not False:
            yield "pods with it get its API token: automountServiceAccountToken is not false"
        return
    for pod in pods_of(subject):
        if get(pod.spec, "automountServiceAccountToken") is not False:
            yield "its pods get an API token: automountServiceAccountToken is not false"
        for volume in items(pod.spec, "volumes"):
            if any("serviceAccountToken" in each for each in items(volume, "projected.sources")):
                yield f"its volume {get(volume, 'name', '?')} is an API token (projected)"
        if get(pod.spec, "serviceAccountName", "default") == "default":
            yield "its pods use the service account default"


@rule(
    why="A wildcard also allows what is added later; listing secrets reads every token.",
    fix="name verbs, resources and groups; read single secrets by name, or bind the role in "
    "the namespaces of agents alone and name it in agent_roles",
    severity=CRITICAL,
    types=(*ROLES, *BINDINGS),
    sources=("CKV_K8S_49", "CKV_K8S_155", "KSV-0041", "KSV-0044", "KSV-0045", "KSV-0046"),
    schema={**AGENTS, **AGENT_ROLES},
)
def rbac_no_wildcards(subject: Subject, config: Config) -> Iterator[str]:
    """Kubernetes roles name what they allow; nobody lists the secrets of all namespaces."""
    if subject.type in BINDINGS:
        yield from _binding_problems(subject, config)
        return
    for allowed in items(subject.props, "rules"):
        for part in ("verbs", "resources", "apiGroups"):
            if "*" in items(allowed, part):
                yield f"it allows * in {part}"
        listing = {"list", "watch"} & set(items(allowed, "verbs"))
        if (
            listing
            and "secrets" in items(allowed, "resources")
            and not of_one_agent(subject, config)
        ):
            yield "it lists or watches secrets"


def of_one_agent(role: Subject, config: Config) -> bool:
    """Whether a role is bound in agents' namespaces only; `_binding_problems` sees to it."""
    return matches(str(get(role.props, "metadata.name")), config["agent_roles"])


def _binding_problems(binding: Subject, config: Config) -> Iterator[str]:
    if get(binding.props, "roleRef.name") == "cluster-admin":
        yield "it binds cluster-admin"
    own = get(binding.props, "metadata.namespace", "")
    role = str(get(binding.props, "roleRef.name"))
    if matches(role, config["agent_roles"]) and not matches(str(own), config["namespaces"]):
        yield f"it binds {role} outside the namespace of an agent"
    for who in items(binding.props, "subjects"):
        other = str(get(who, "namespace", own))
        if matches(str(own), config["namespaces"]) and other != own:
            yield f"it lets namespace {other} into an agent's namespace"
