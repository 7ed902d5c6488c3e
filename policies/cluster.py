"""The EKS cluster: who reaches its API, how its secrets are kept, what it records."""

from __future__ import annotations

from collections.abc import Iterator

from .networks import internet_in
from .reading import document, get, has, is_true, items, matches
from .rule import ADVISORY, CRITICAL, HIGH, MEDIUM, Config, rule, texts
from .subject import Subject

CLUSTER = "aws:eks/cluster:Cluster"
ADDON = "aws:eks/addon:Addon"
ACCESS = "aws:eks/accessPolicyAssociation:AccessPolicyAssociation"
_LOG_TYPES = ("api", "audit", "authenticator", "controllerManager", "scheduler")


@rule(
    why="A public endpoint is one stolen credential or one API server bug from everything.",
    fix="set endpointPublicAccess to false, or publicAccessCidrs to your own networks",
    severity=CRITICAL,
    types=(CLUSTER,),
    sources=("CKV_AWS_38", "CKV_AWS_39", "AWS-0040", "AWS-0041", "C-0227", "C-0228"),
)
def eks_endpoint_not_public(cluster: Subject, _config: Config) -> Iterator[str]:
    # EKS opens the endpoint to the world if nothing is said.
    """The API endpoint of a cluster is not open to the internet."""
    if get(cluster.props, "vpcConfig.endpointPublicAccess", True) is False:
        return
    if not has(cluster.props, "vpcConfig.publicAccessCidrs"):
        yield "its API endpoint is public and names no publicAccessCidrs"
    for cidr in internet_in(items(cluster.props, "vpcConfig.publicAccessCidrs")):
        yield f"its API endpoint is open to {cidr}"


@rule(
    why="Without the private endpoint, the traffic of nodes leaves the VPC.",
    fix="set vpcConfig.endpointPrivateAccess to true",
    severity=HIGH,
    types=(CLUSTER,),
    sources=("prowler eks_cluster_private_nodes_enabled",),
)
def eks_private_endpoint(cluster: Subject, _config: Config) -> Iterator[str]:
    """Nodes reach the API server inside the VPC."""
    if get(cluster.props, "vpcConfig.endpointPrivateAccess") is not True:
        yield "nodes reach its API over the internet: endpointPrivateAccess is not true"


@rule(
    why="The gates' tokens lie in etcd; a key of one's own can be revoked and audited.",
    fix="set encryptionConfig with a KMS key and resources [secrets]",
    severity=HIGH,
    types=(CLUSTER,),
    sources=("CKV_AWS_58", "AWS-0039", "C-0066"),
)
def eks_secrets_kms(cluster: Subject, _config: Config) -> Iterator[str]:
    """Kubernetes secrets are encrypted with a KMS key."""
    if not has(cluster.props, "encryptionConfig.provider.keyArn"):
        yield "its secrets are not encrypted with a KMS key of yours"
    elif "secrets" not in items(cluster.props, "encryptionConfig.resources"):
        yield "its encryptionConfig doesn't name the resource secrets"


@rule(
    why="Without audit logs nobody can tell afterwards who did what.",
    fix="set enabledClusterLogTypes to " + ", ".join(_LOG_TYPES),
    severity=MEDIUM,
    types=(CLUSTER,),
    sources=("CKV_AWS_37", "AWS-0038"),
)
def eks_control_plane_logs(cluster: Subject, _config: Config) -> Iterator[str]:
    """The control plane logs all five types."""
    on = items(cluster.props, "enabledClusterLogTypes")
    if missing := [each for each in _LOG_TYPES if each not in on]:
        yield f"the control plane doesn't log {', '.join(missing)}"


@rule(
    why="A default version changes between two runs; an old one costs extended support.",
    fix="set version to one of the rule's versions, or add yours to its config",
    severity=HIGH,
    types=(CLUSTER,),
    sources=("CKV_AWS_339", "C-0273"),
    schema={"versions": texts(["1.34", "1.35", "1.36"], "Versions that may be used.")},
)
def eks_supported_version(cluster: Subject, config: Config) -> Iterator[str]:
    """The Kubernetes version is named, and one of those that were tested."""
    if not has(cluster.props, "version"):
        yield "its Kubernetes version is left to EKS"
    elif (version := str(get(cluster.props, "version"))) not in config["versions"]:
        yield f"its Kubernetes version {version} is none of {', '.join(config['versions'])}"


@rule(
    why="The aws-auth ConfigMap bypasses IAM's audit, and a creator stays administrator.",
    fix="set accessConfig to authenticationMode API and "
    "bootstrapClusterCreatorAdminPermissions false",
    severity=MEDIUM,
    types=(CLUSTER,),
    sources=("EKS BPG iam",),
)
def eks_auth_mode_api(cluster: Subject, _config: Config) -> Iterator[str]:
    """Access is granted by access entries only."""
    if get(cluster.props, "accessConfig.authenticationMode") != "API":
        yield "authenticationMode is not API, so the aws-auth ConfigMap still counts"
    if get(cluster.props, "accessConfig.bootstrapClusterCreatorAdminPermissions") is not False:
        yield "whoever creates it becomes its administrator"


@rule(
    why="With the cluster go all agents' volumes and what they remember.",
    fix="set deletionProtection to true and the resource option protect",
    severity=HIGH,
    level=ADVISORY,
    types=(CLUSTER,),
    sources=("prowler eks_cluster_deletion_protection_enabled",),
)
def eks_deletion_protection(cluster: Subject, _config: Config) -> Iterator[str]:
    """A cluster can't be deleted by mistake."""
    if get(cluster.props, "deletionProtection") is not True:
        yield "deletionProtection is off"
    if not cluster.protect:
        yield "Pulumi may delete it: it is not protected"


@rule(
    why="A cluster administrator reads every agent's secrets and memory.",
    fix="grant a namespace's scope, or list the principal in the rule's config",
    severity=HIGH,
    level=ADVISORY,
    types=(ACCESS,),
    sources=("C-0035", "C-0185"),
    schema={"principals": texts([], "ARNs (* matches) that may administer the cluster.")},
)
def eks_admin_access_limited(access: Subject, config: Config) -> Iterator[str]:
    """Only listed principals administer the whole cluster."""
    if not str(get(access.props, "policyArn", "")).endswith("AmazonEKSClusterAdminPolicy"):
        return
    if get(access.props, "accessScope.type") != "cluster":
        return
    if not config["principals"]:
        yield "it makes a principal administrator of the whole cluster, and none is listed"
    elif not matches(str(get(access.props, "principalArn")), config["principals"]):
        yield "it makes a principal administrator of the whole cluster that is not listed"


@rule(
    why="Otherwise they are only text, and every agent reaches every other one.",
    fix='give the add-on the configurationValues {"enableNetworkPolicy": "true", '
    '"env": {"NETWORK_POLICY_ENFORCING_MODE": "strict"}}',
    severity=HIGH,
    types=(ADDON,),
    sources=("prowler eks_cluster_network_policy_enabled", "C-0205"),
    schema={
        "strict": {
            "type": "boolean",
            "default": True,
            "description": "Deny until the policies of a new pod are in place.",
        }
    },
)
def vpc_cni_network_policy(addon: Subject, config: Config) -> Iterator[str]:
    """The CNI enforces NetworkPolicies."""
    if get(addon.props, "addonName") != "vpc-cni":
        return
    values = document(get(addon.props, "configurationValues"))
    if not is_true(get(values, "enableNetworkPolicy")):
        yield "vpc-cni doesn't enforce NetworkPolicies: enableNetworkPolicy is not true"
    mode = get(values, "env.NETWORK_POLICY_ENFORCING_MODE")
    if config["strict"] and mode != "strict":
        yield "vpc-cni lets a new pod talk until its policies are there: the mode is not strict"
