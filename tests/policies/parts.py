"""Good resources of the real SDK types; each argument that is given replaces the good one."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pulumi_kubernetes as k8s
from pulumi_aws import cloudwatch, ec2, ecr, eks, iam, kms, s3, vpc
from pulumi_kubernetes.apps import v1 as apps
from pulumi_kubernetes.core import v1 as core
from pulumi_kubernetes.networking import v1 as net
from pulumi_kubernetes.rbac import v1 as rbac

Opts = pulumi.ResourceOptions
TAGS = {"moltghost.dev/environment": "prod"}
SPACE = "agent-x"
OWN = {"moltghost.dev/agent": "x", "moltghost.dev/owner": "team-a"}
GPU = "nvidia.com/gpu"


def protected(opts: Opts, protect: bool = True) -> Opts:
    return Opts.merge(opts, Opts(protect=protect))


def cluster(opts: Opts, *, protect: bool = True, **over: Any) -> eks.Cluster:
    given: dict[str, Any] = {
        "role_arn": "arn:aws:iam::1:role/cluster",
        "version": "1.36",
        "deletion_protection": True,
        "enabled_cluster_log_types": [
            *("api", "audit", "authenticator", "controllerManager", "scheduler")
        ],
        "access_config": eks.ClusterAccessConfigArgs(
            authentication_mode="API", bootstrap_cluster_creator_admin_permissions=False
        ),
        "encryption_config": eks.ClusterEncryptionConfigArgs(
            provider=eks.ClusterEncryptionConfigProviderArgs(key_arn="arn:aws:kms:key"),
            resources=["secrets"],
        ),
        "vpc_config": network(),
        "tags": TAGS,
    }
    return eks.Cluster("main", **{**given, **over}, opts=protected(opts, protect))


def network(**over: Any) -> eks.ClusterVpcConfigArgs:
    given: dict[str, Any] = {
        "subnet_ids": ["subnet-1"],
        "endpoint_private_access": True,
        "endpoint_public_access": False,
    }
    return eks.ClusterVpcConfigArgs(**{**given, **over})


def addon(opts: Opts, values: dict[str, Any], name: str = "vpc-cni") -> None:
    eks.Addon(
        "cni",
        cluster_name="main",
        addon_name=name,
        configuration_values=json.dumps(values),
        tags=TAGS,
        opts=opts,
    )


def access(opts: Opts, policy: str, scope: str) -> None:
    eks.AccessPolicyAssociation(
        "access",
        cluster_name="main",
        principal_arn="arn:aws:iam::1:role/someone",
        policy_arn=f"arn:aws:eks::aws:cluster-access-policy/{policy}",
        access_scope=eks.AccessPolicyAssociationAccessScopeArgs(type=scope),
        opts=opts,
    )


def node_group(opts: Opts, **over: Any) -> None:
    given: dict[str, Any] = {
        "cluster_name": "main",
        "node_role_arn": "arn:aws:iam::1:role/node",
        "subnet_ids": ["subnet-1"],
        "instance_types": ["p5.48xlarge"],
        "ami_type": "AL2023_x86_64_NVIDIA",
        "capacity_type": "ON_DEMAND",
        "labels": {"nvidia.com/gpu.present": "true"},
        "taints": [eks.NodeGroupTaintArgs(key=GPU, value="present", effect="NO_SCHEDULE")],
        "scaling_config": eks.NodeGroupScalingConfigArgs(min_size=0, max_size=1, desired_size=0),
        "tags": TAGS,
    }
    eks.NodeGroup("gpus", **{**given, **over}, opts=opts)


def templated_group(opts: Opts, **over: Any) -> None:
    """A node group whose instance type is in its launch template, as a Capacity Block needs it."""
    template = launch_template(opts, instance_type="p5.4xlarge")
    version = eks.NodeGroupLaunchTemplateArgs(id=template.id, version="1")
    node_group(opts, instance_types=None, launch_template=version, **over)


def launch_template(opts: Opts, **over: Any) -> ec2.LaunchTemplate:
    given: dict[str, Any] = {
        "instance_type": "g6e.xlarge",
        "metadata_options": ec2.LaunchTemplateMetadataOptionsArgs(
            http_tokens="required", http_put_response_hop_limit=1
        ),
        "block_device_mappings": [
            ec2.LaunchTemplateBlockDeviceMappingArgs(
                device_name="/dev/xvda",
                ebs=ec2.LaunchTemplateBlockDeviceMappingEbsArgs(encrypted="true", volume_size=20),
            )
        ],
        "tags": TAGS,
        "tag_specifications": [
            ec2.LaunchTemplateTagSpecificationArgs(resource_type=kind, tags=TAGS)
            for kind in ("instance", "volume")
        ],
    }
    return ec2.LaunchTemplate("nodes", **{**given, **over}, opts=opts)


def node_pool(
    opts: Opts,
    *,
    types: tuple[str, ...] = ("g6e.xlarge",),
    capacity: tuple[str, ...] = ("reserved", "on-demand"),
    taints: bool = True,
    labels: bool = True,
    limits: dict[str, str] | None = None,
    requirements: list[dict[str, Any]] | None = None,
) -> None:
    named = [_requirement("node.kubernetes.io/instance-type", types)] if types else []
    if capacity:
        named.append(_requirement("karpenter.sh/capacity-type", capacity))
    k8s.apiextensions.CustomResource(
        "l40s",
        api_version="karpenter.sh/v1",
        kind="NodePool",
        metadata={"name": "l40s"},
        spec={
            "template": {
                "metadata": {"labels": {"nvidia.com/gpu.present": "true"} if labels else {}},
                "spec": {
                    "nodeClassRef": {
                        "group": "karpenter.k8s.aws",
                        "kind": "EC2NodeClass",
                        "name": "gpu",
                    },
                    "requirements": named + (requirements or []),
                    "taints": [{"key": GPU, "value": "present", "effect": "NoSchedule"}]
                    if taints
                    else [],
                },
            },
            "limits": {"nodes": "2"} if limits is None else limits,
        },
        opts=opts,
    )


def _requirement(key: str, values: tuple[str, ...]) -> dict[str, Any]:
    return {"key": key, "operator": "In", "values": list(values)}


def node_class(opts: Opts, **over: Any) -> None:
    given: dict[str, Any] = {
        "amiSelectorTerms": [{"alias": "al2023@v20260701"}],
        "instanceStorePolicy": "RAID0",
        "subnetSelectorTerms": [{"tags": {"moltghost.dev/tier": "isolated"}}],
        "metadataOptions": {"httpTokens": "required", "httpPutResponseHopLimit": 1},
        "blockDeviceMappings": [{"deviceName": "/dev/xvda", "ebs": {"encrypted": True}}],
        "associatePublicIPAddress": False,
        "tags": TAGS,
    }
    k8s.apiextensions.CustomResource(
        "gpu-class",
        api_version="karpenter.k8s.aws/v1",
        kind="EC2NodeClass",
        metadata={"name": "gpu"},
        spec={**given, **over},
        opts=opts,
    )


def security_group(opts: Opts, cidr: str) -> None:
    ec2.SecurityGroup(
        "nodes",
        ingress=[
            ec2.SecurityGroupIngressArgs(
                protocol="tcp", from_port=443, to_port=443, cidr_blocks=[cidr]
            )
        ],
        tags=TAGS,
        opts=opts,
    )


def ingress_rule(opts: Opts, cidr: str) -> None:
    vpc.SecurityGroupIngressRule(
        "https", security_group_id="sg-1", ip_protocol="tcp", cidr_ipv6=cidr, tags=TAGS, opts=opts
    )


def subnet(opts: Opts, public: bool) -> None:
    ec2.Subnet("private", vpc_id="vpc-1", map_public_ip_on_launch=public, tags=TAGS, opts=opts)


def policy(opts: Opts, actions: list[str], resource: str) -> None:
    statement = {"Effect": "Allow", "Action": actions, "Resource": resource}
    iam.Policy(
        "agent",
        policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
        tags=TAGS,
        opts=opts,
    )


def attachment(opts: Opts, name: str) -> None:
    iam.RolePolicyAttachment(
        "node", role="node", policy_arn=f"arn:aws:iam::aws:policy/{name}", opts=opts
    )


def pod_identities(opts: Opts, *spaces: str, trust: bool = True) -> None:
    """Pod identities of the spaces, all with one role."""
    tags = ("kubernetes-namespace", "kubernetes-service-account", "eks-cluster-arn")
    conditions = {f"aws:RequestTag/{tag}": "x" for tag in tags} if trust else {}
    role = iam.Role(
        "agent",
        assume_role_policy=json.dumps(
            {
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Action": ["sts:AssumeRole", "sts:TagSession"],
                        "Principal": {"Service": "pods.eks.amazonaws.com"},
                        "Condition": {"StringEquals": conditions},
                    }
                ]
            }
        ),
        tags=TAGS,
        opts=opts,
    )
    for space in spaces:
        eks.PodIdentityAssociation(
            f"{space}-identity",
            cluster_name="main",
            namespace=space,
            service_account="model-server",
            role_arn=role.arn,
            tags=TAGS,
            opts=opts,
        )


def key(opts: Opts, *, rotation: bool = True, protect: bool = True, **over: Any) -> None:
    given = {"enable_key_rotation": rotation, "tags": TAGS, **over}
    kms.Key("secrets", **given, opts=protected(opts, protect))


def bucket(
    opts: Opts, *, block: bool | None = True, encrypted: bool = True, protect: bool = True
) -> None:
    made = s3.Bucket("weights", tags=TAGS, opts=protected(opts, protect))
    if block is not None:
        s3.BucketPublicAccessBlock(
            "weights-block",
            bucket=made.id,
            block_public_acls=True,
            block_public_policy=block,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=opts,
        )
    if encrypted:
        s3.BucketServerSideEncryptionConfiguration(
            "weights-encryption",
            bucket=made.id,
            rules=[s3.BucketServerSideEncryptionConfigurationRuleArgs(bucket_key_enabled=True)],
            opts=opts,
        )


def repository(opts: Opts, *, immutable: bool = True, scanned: bool = True) -> None:
    ecr.Repository(
        "images",
        image_tag_mutability="IMMUTABLE" if immutable else "MUTABLE",
        image_scanning_configuration=ecr.RepositoryImageScanningConfigurationArgs(
            scan_on_push=scanned
        ),
        tags=TAGS,
        opts=opts,
    )


def log_group(opts: Opts, days: int | None) -> None:
    cloudwatch.LogGroup("cluster", retention_in_days=days, tags=TAGS, opts=opts)


def meta(name: str, **over: Any) -> k8s.meta.v1.ObjectMetaArgs:
    return k8s.meta.v1.ObjectMetaArgs(**{"name": name, "namespace": SPACE, "labels": OWN, **over})


_PSS = "pod-security.kubernetes.io/enforce"


def namespace(opts: Opts, pools: str = "h100,cpu", **labels: str | None) -> None:
    """An agent's namespace; a label of None is left out."""
    given: dict[str, str | None] = {
        **OWN,
        _PSS: "restricted",
        f"{_PSS}-version": "v1.36",
        **{key.replace("__", _PSS): value for key, value in labels.items()},
    }
    core.Namespace(
        "space",
        metadata=k8s.meta.v1.ObjectMetaArgs(
            name=SPACE,
            annotations={"moltghost.dev/pools": pools},
            labels={key: value for key, value in given.items() if value is not None},
        ),
        opts=opts,
    )


def quota(opts: Opts, without: str = "", **hard: str) -> None:
    names = ("pods", "requests.cpu", "requests.memory", "limits.memory", f"requests.{GPU}")
    given = {
        **dict.fromkeys(names, "4"),
        "services.loadbalancers": "0",
        "services.nodeports": "0",
        **hard,
    }
    given.pop(without, None)
    core.ResourceQuota(
        "quota", metadata=meta("agent"), spec=core.ResourceQuotaSpecArgs(hard=given), opts=opts
    )


def limits(opts: Opts) -> None:
    core.LimitRange(
        "limits",
        metadata=meta("agent"),
        spec=core.LimitRangeSpecArgs(
            limits=[core.LimitRangeItemArgs(type="Container", max={"memory": "64Gi"})]
        ),
        opts=opts,
    )


def deny(opts: Opts, *directions: str) -> None:
    network_policy(opts, "default-deny", policy_types=list(directions or ("Ingress", "Egress")))


def network_policy(opts: Opts, name: str, **spec: Any) -> None:
    spec = {"pod_selector": k8s.meta.v1.LabelSelectorArgs(), **spec}
    net.NetworkPolicy(name, metadata=meta(name), spec=net.NetworkPolicySpecArgs(**spec), opts=opts)


def from_namespace(name: str) -> list[net.NetworkPolicyIngressRuleArgs]:
    peer = net.NetworkPolicyPeerArgs(
        namespace_selector=k8s.meta.v1.LabelSelectorArgs(
            match_labels={"kubernetes.io/metadata.name": name}
        )
    )
    return [net.NetworkPolicyIngressRuleArgs(from_=[peer])]


def account(opts: Opts, *, token: bool = False) -> None:
    core.ServiceAccount(
        "account", metadata=meta("runtime"), automount_service_account_token=token, opts=opts
    )


def space(opts: Opts, *, skip: str = "") -> None:
    """A whole agent's namespace, without one part."""
    parts = {"quota": quota, "limits": limits, "deny": deny, "account": account}
    namespace(opts)
    for name, part in parts.items():
        if name != skip:
            part(opts)


def role(opts: Opts, verbs: list[str], resources: list[str], name: str = "reader") -> None:
    rbac.Role(
        name,
        metadata=meta(name),
        rules=[rbac.PolicyRuleArgs(api_groups=[""], resources=resources, verbs=verbs)],
        opts=opts,
    )


def binding(opts: Opts, to: str) -> None:
    rbac.ClusterRoleBinding(
        "binding",
        metadata=k8s.meta.v1.ObjectMetaArgs(name="binding"),
        role_ref=rbac.RoleRefArgs(
            api_group="rbac.authorization.k8s.io", kind="ClusterRole", name=to
        ),
        opts=opts,
    )


def service(opts: Opts, **spec: Any) -> None:
    core.Service(
        "door",
        metadata=meta("door"),
        spec=core.ServiceSpecArgs(**{"type": "ClusterIP", "selector": OWN, **spec}),
        opts=opts,
    )


def config_map(opts: Opts, data: dict[str, str]) -> None:
    core.ConfigMap("settings", metadata=meta("settings"), data=data, opts=opts)


def secret(opts: Opts, value: str) -> None:
    core.Secret("token", metadata=meta("token"), string_data={"token": value}, opts=opts)


def container(name: str = "gate", **over: Any) -> core.ContainerArgs:
    given: dict[str, Any] = {
        "name": name,
        "image": f"ghcr.io/moltghost/{name}:1.0.0",
        "resources": core.ResourceRequirementsArgs(
            requests={"cpu": "1", "memory": "1Gi"}, limits={"memory": "1Gi"}
        ),
        "security_context": security(),
        "readiness_probe": core.ProbeArgs(tcp_socket=core.TCPSocketActionArgs(port="http")),
    }
    return core.ContainerArgs(**{**given, **over})


def security(**over: Any) -> core.SecurityContextArgs:
    given: dict[str, Any] = {
        "allow_privilege_escalation": False,
        "read_only_root_filesystem": True,
        "capabilities": core.CapabilitiesArgs(drop=["ALL"]),
    }
    return core.SecurityContextArgs(**{**given, **over})


def env(**values: str) -> list[core.EnvVarArgs]:
    return [core.EnvVarArgs(name=name, value=value) for name, value in values.items()]


def gate(**over: Any) -> core.ContainerArgs:
    ports = [core.ContainerPortArgs(name="http", container_port=8080)]
    return container("gate", **{"ports": ports, **over})


OLLAMA = {
    "OLLAMA_HOST": "127.0.0.1:11434",
    "OLLAMA_CONTEXT_LENGTH": "32768",
    "OLLAMA_NO_CLOUD": "1",
}


def ollama(gpus: str = "1", **over: Any) -> core.ContainerArgs:
    resources = core.ResourceRequirementsArgs(
        requests={"cpu": "4", "memory": "32Gi", GPU: gpus}, limits={"memory": "32Gi", GPU: gpus}
    )
    given = {"restart_policy": "Always", "env": env(**OLLAMA), "resources": resources, **over}
    return container("ollama", **given)


def weights(store: str = "s3://moltghost-weights-prod", **over: Any) -> core.ContainerArgs:
    given = {"args": ["weights", "--from", f"{store}/llama", "--to", "/models"], **over}
    return container("weights", **given)


def apart(key: str = "moltghost.dev/agent") -> core.AffinityArgs:
    """Keeps off the nodes of other agents."""
    term = core.PodAffinityTermArgs(
        topology_key="kubernetes.io/hostname",
        namespace_selector=k8s.meta.v1.LabelSelectorArgs(),
        label_selector=k8s.meta.v1.LabelSelectorArgs(
            match_expressions=[
                k8s.meta.v1.LabelSelectorRequirementArgs(key=key, operator="NotIn", values=["x"])
            ]
        ),
    )
    return core.AffinityArgs(
        pod_anti_affinity=core.PodAntiAffinityArgs(
            required_during_scheduling_ignored_during_execution=[term]
        )
    )


def model_server(
    opts: Opts, facts: dict[str, str] | None = None, replicas: int = 1, **over: Any
) -> None:
    """A Deployment with weights, Ollama and gate on a GPU node; ``over`` is of its pod."""
    given: dict[str, Any] = {
        "service_account_name": "model-server",
        "automount_service_account_token": False,
        "security_context": core.PodSecurityContextArgs(
            run_as_non_root=True, seccomp_profile=core.SeccompProfileArgs(type="RuntimeDefault")
        ),
        "init_containers": [weights(), ollama()],
        "containers": [gate()],
        "node_selector": {
            "karpenter.sh/nodepool": "l40s",
            "node.kubernetes.io/instance-type": "g6e.2xlarge",
        },
        "tolerations": [core.TolerationArgs(key=GPU, value="present", effect="NoSchedule")],
        "affinity": apart(),
        "volumes": [
            core.VolumeArgs(name="tmp", empty_dir=core.EmptyDirVolumeSourceArgs(size_limit="1Gi"))
        ],
    }
    labels = {**OWN, "moltghost.dev/environment": "prod"}
    annotations = {
        "moltghost.dev/context": "32768",
        "moltghost.dev/node-usd-per-hour": "2.24208",
        **(facts or {}),
    }
    apps.Deployment(
        "model-server",
        metadata=meta("model-server", labels=labels),
        spec=apps.DeploymentSpecArgs(
            replicas=replicas,
            selector=k8s.meta.v1.LabelSelectorArgs(match_labels=OWN),
            template=core.PodTemplateSpecArgs(
                metadata=k8s.meta.v1.ObjectMetaArgs(labels=labels, annotations=annotations),
                spec=core.PodSpecArgs(**{**given, **over}),
            ),
        ),
        opts=opts,
    )


def openclaw(opts: Opts, context: int) -> None:
    model = {"contextWindow": context, "params": {"num_ctx": context}}
    config = {"models": {"providers": {"ollama": {"models": [model]}}}}
    config_map(opts, {"openclaw.json": json.dumps(config)})
