"""Ways from little power to much: RBAC and IAM that give more than they seem to, and open trust."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from .identity import AGENT_ROLES, BINDINGS, ROLES, of_one_agent, statements
from .reading import accounts_of, as_list, get, items, labels, mapping, matches
from .rule import CRITICAL, Config, rule, texts
from .subject import Subject

# Resource, verbs, and what they amount to (Kubernetes docs, "RBAC good practices").
_POWERS = (
    ("rbac.authorization.k8s.io", "clusterroles", ("escalate",), "may give roles more than it has"),
    ("rbac.authorization.k8s.io", "roles", ("escalate",), "may give roles more than it has"),
    ("rbac.authorization.k8s.io", "clusterroles", ("bind",), "may bind any role"),
    ("rbac.authorization.k8s.io", "roles", ("bind",), "may bind any role"),
    ("", "serviceaccounts/token", ("create",), "makes tokens of service accounts"),
    ("", "nodes/proxy", ("get", "create"), "runs commands in every pod through the kubelet"),
    ("", "pods/exec", ("create", "get"), "runs commands in pods"),
    ("", "pods/attach", ("create", "get"), "runs commands in pods"),
    ("", "pods/ephemeralcontainers", ("update", "patch"), "puts containers into pods"),
    ("", "secrets", ("get",), "reads secrets without naming them"),
    ("", "persistentvolumes", ("create", "update", "patch"), "makes volumes of nodes' folders"),
    ("certificates.k8s.io", "certificatesigningrequests/approval", ("update", "patch"), "signs"),
    *(
        ("admissionregistration.k8s.io", kind, ("create", "update", "patch", "delete"), "moves")
        for kind in (
            "validatingadmissionpolicies",
            "validatingadmissionpolicybindings",
            "validatingwebhookconfigurations",
            "mutatingwebhookconfigurations",
        )
    ),
)
_SAID = {"signs": "approves certificates of any user", "moves": "changes the admission walls"}
_IMPERSONATED = ("users", "groups", "serviceaccounts", "uids", "userextras/scopes")
_EVERYBODY = {
    *("system:anonymous", "system:unauthenticated", "system:authenticated", "system:masters"),
    "system:serviceaccounts",
}
# What Kubernetes itself binds to everybody.
_FOR_EVERYBODY = ("system:basic-user", "system:discovery", "system:public-info-viewer")
_MIGHTY = (
    *("admin", "edit", "system:kubelet-api-admin", "system:node", "system:aggregate-to-*"),
    *("system:kube-controller-manager", "system:kube-scheduler", "system:controller:*"),
)
_AGGREGATED = "rbac.authorization.k8s.io/aggregate-to-"


@rule(
    why="Each of these is the power of whoever it can become: a cluster's, in the end.",
    fix="take the verb away, or name single objects in resourceNames",
    severity=CRITICAL,
    types=(*ROLES, *BINDINGS),
    sources=("KSV-0041", "KSV-0047", "KSV-0050", "C-0188", "CKV_K8S_157"),
    schema=AGENT_ROLES,
)
def rbac_no_escalation(subject: Subject, config: Config) -> Iterator[str]:
    """Kubernetes roles give no way to more power than they name."""
    if subject.type in BINDINGS:
        yield from _mighty_binding(subject)
        return
    for allowed in items(subject.props, "rules"):
        for group, resource, verbs, what in _POWERS:
            if resource == "secrets" and of_one_agent(subject, config):
                continue
            if _allows(allowed, group, resource, verbs) and not items(allowed, "resourceNames"):
                yield f"it {_SAID.get(what, what)}"
        if any(_allows(allowed, "", kind, ("impersonate",)) for kind in _IMPERSONATED):
            yield "it acts as somebody else (impersonate)"
        if set(items(allowed, "resourceNames")) & {"cluster-admin", "admin", "edit"}:
            yield "it may bind a mighty role"
        if any(path in ("*", "/*") for path in items(allowed, "nonResourceURLs")):
            yield "it reaches every path of the API server"
    if mapping(subject.props, "aggregationRule"):
        yield "it takes over the rules of other roles (aggregationRule)"
    for label in labels(subject.props):
        if label.startswith(_AGGREGATED):
            yield f"it adds its rules to the role {label.removeprefix(_AGGREGATED)} of Kubernetes"


def _allows(allowed: Any, group: str, resource: str, verbs: tuple[str, ...]) -> bool:
    """Whether an RBAC rule allows one of the verbs; * matches as RBAC has it."""
    groups, resources, own = (items(allowed, k) for k in ("apiGroups", "resources", "verbs"))
    return (
        any(each in ("*", group) for each in groups)
        and any(_covers(str(each), resource) for each in resources)
        and any(each == "*" or each in verbs for each in own)
    )


def _covers(given: str, resource: str) -> bool:
    if given.startswith("*/"):
        return resource.endswith(given[1:])
    return given in ("*", resource) or (given.endswith("/*") and resource.startswith(given[:-1]))


def _mighty_binding(binding: Subject) -> Iterator[str]:
    role = str(get(binding.props, "roleRef.name", ""))
    if matches(role, _MIGHTY):
        yield f"it binds {role}"
    for who in items(binding.props, "subjects"):
        name = str(get(who, "name", ""))
        if name in _EVERYBODY and role not in _FOR_EVERYBODY:
            yield f"it binds {role} to {name}"


_POLICIES = (
    *("aws:iam/policy:Policy", "aws:iam/rolePolicy:RolePolicy", "aws:iam/role:Role"),
    *("aws:iam/userPolicy:UserPolicy", "aws:iam/groupPolicy:GroupPolicy"),
)
# Actions that make more of one's own permissions (Rhino Security Labs, "AWS IAM Privilege
# Escalation"; the boundary's are IAM's own).
_ESCALATING = (
    *("iam:PassRole", "iam:CreatePolicyVersion", "iam:SetDefaultPolicyVersion"),
    *("iam:CreateAccessKey", "iam:CreateLoginProfile", "iam:UpdateLoginProfile"),
    *("iam:AttachUserPolicy", "iam:AttachGroupPolicy", "iam:AttachRolePolicy"),
    *("iam:PutUserPolicy", "iam:PutGroupPolicy", "iam:PutRolePolicy", "iam:AddUserToGroup"),
    *("iam:UpdateAssumeRolePolicy", "iam:PutRolePermissionsBoundary", "iam:CreateRole"),
    *("iam:DeleteRolePermissionsBoundary", "iam:DeleteUserPermissionsBoundary", "sts:AssumeRole"),
)
# One of many: a resource that covers it covers strangers'.
_SOME_ACCOUNT = "000000000000"
_STRANGERS = tuple(
    f"arn:aws:iam::{_SOME_ACCOUNT}:{kind}/a-stranger" for kind in ("role", "user", "policy")
)


@rule(
    why="Who may pass or change any role has the power of the mightiest.",
    fix="name the roles, or demand a permissions boundary by a condition",
    severity=CRITICAL,
    types=_POLICIES,
    sources=("CKV_AWS_286", "CKV_AWS_110", "AWS-0342"),
)
def iam_no_escalation(policy: Subject, _config: Config) -> Iterator[str]:
    """IAM policies give no power over roles that they don't name."""
    documents = [get(policy.props, "policy")]
    documents += [get(each, "policy") for each in items(policy.props, "inlinePolicies")]
    for statement in (found for each in documents for found in statements(each)):
        if "NotResource" in statement:
            yield "it allows everything but a few resources (NotResource)"
        resources = [str(each) for each in as_list(statement.get("Resource"))]
        actions = [str(each) for each in as_list(statement.get("Action"))]
        if any(each in ("*", "arn:*", "arn:aws:*") for each in resources):
            for action in actions:
                if action.endswith(":*") or action == "*":
                    yield f"it allows {action} on every resource"
        bounded = "iam:PermissionsBoundary" in str(_plain(statement.get("Condition")))
        if not bounded and any(_is_strangers(each) for each in resources):
            risky = [
                each
                for each in _ESCALATING
                if any(fnmatchcase(each.lower(), action.lower()) for action in actions)
            ]
            if risky:
                yield f"it allows {', '.join(risky[:3])} on roles and users that it doesn't name"


def _is_strangers(resource: str) -> bool:
    """Whether an ARN covers roles, users or policies of any name, in whatever account."""
    parts = resource.split(":")
    if len(parts) > 5 and parts[4].isdigit():
        parts[4] = _SOME_ACCOUNT
    return any(fnmatchcase(each, ":".join(parts)) for each in _STRANGERS)


_TRUSTING = {
    "aws:iam/role:Role": "assumeRolePolicy",
    "aws:kms/key:Key": "policy",
    "aws:kms/keyPolicy:KeyPolicy": "policy",
    "aws:s3/bucketPolicy:BucketPolicy": "policy",
    "aws:ecr/repositoryPolicy:RepositoryPolicy": "policy",
    "aws:sqs/queuePolicy:QueuePolicy": "policy",
    "aws:sns/topicPolicy:TopicPolicy": "policy",
    "aws:secretsmanager/secretPolicy:SecretPolicy": "policy",
}
# Conditions that name who it is, or where it comes from.
_NAMING = (
    *("aws:principalaccount", "aws:principalorgid", "aws:principalarn", "aws:principalorgpaths"),
    *("aws:sourceaccount", "aws:sourcearn", "aws:sourcevpce", "aws:sourcevpc", "kms:calleraccount"),
)
_AGENT_TAG = "moltghost.dev/agent"


@rule(
    why="Whom a role or a key trusts has what it gives, from any account of the world.",
    fix="name the principals, or their account in a condition, and give agents' roles the boundary",
    severity=CRITICAL,
    types=tuple(_TRUSTING),
    sources=("CKV_AWS_60", "CKV_AWS_33", "CKV_AWS_70", "C-0225"),
    schema={"accounts": texts([], "Accounts that may be trusted beside the provider's own.")},
)
def iam_trust_named(subject: Subject, config: Config) -> Iterator[str]:
    """Roles, keys, buckets, queues and repositories trust those whom they name."""
    own = {*accounts_of(subject.provider), *config["accounts"]}
    for statement in statements(get(subject.props, _TRUSTING[subject.type])):
        named = names_whom(statement)
        principal = statement.get("Principal")
        for each in _principals(principal):
            if each == "*" and not named:
                yield "it trusts everybody"
            elif own and (account := _account(each)) and account not in own:
                yield f"it trusts account {account}"
        if "NotPrincipal" in statement:
            yield "it trusts everybody but a few (NotPrincipal)"
        federated = isinstance(principal, Mapping) and "Federated" in principal
        if federated and not any(key.endswith(":sub") for key in _condition_keys(statement)):
            yield "it trusts every identity of a provider: no condition on :sub"
    tags = mapping(subject.props, "tags")
    if (
        subject.kind == "Role"
        and _AGENT_TAG in tags
        and not get(subject.props, "permissionsBoundary")
    ):
        yield "it is an agent's and has no permissions boundary"


def names_whom(statement: Mapping[str, Any]) -> bool:
    """Whether a condition of a statement names who it is, or where a request comes from."""
    return any(key in _NAMING for key in _condition_keys(statement))


def _condition_keys(statement: Mapping[str, Any]) -> list[str]:
    """What the conditions of a statement test, less those that hold if a key is missing."""
    return [
        key.lower()
        for operator, test in mapping(statement, "Condition").items()
        if not operator.endswith("IfExists") and "Not" not in operator and operator != "Null"
        for key in test
    ]


def _principals(given: Any) -> Iterator[str]:
    if isinstance(given, Mapping):
        for each in as_list(given.get("AWS")):
            yield str(each)
    elif given == "*":
        yield "*"


def _account(principal: str) -> str:
    """The account that an ARN is of, or that is named by its number."""
    found = principal.split(":")[4] if principal.startswith("arn:") else principal
    return found if found.isdigit() else ""


def _plain(value: Any) -> Any:
    """Values of the SDK's proxies as Python's own."""
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    return value if isinstance(value, str) else [str(each) for each in as_list(value)]
