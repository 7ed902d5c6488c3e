"""For every rule: what passes it, what breaks it, and the words that its message must have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pulumi_kubernetes as k8s
from pulumi_aws import ec2, eks, iam
from pulumi_kubernetes.batch import v1 as batch
from pulumi_kubernetes.core import v1 as core

from tests.policies import parts as p
from tests.policies import wall_parts as w
from tests.policies.declare import Program


@dataclass(frozen=True)
class Broken:
    """A program that breaks a rule: the resource and the words that its message has."""

    program: Program
    resource: str
    words: str


@dataclass(frozen=True)
class Case:
    good: Program
    broken: tuple[Broken, ...]


def case(good: Program, *broken: tuple[Program, str, str]) -> Case:
    return Case(good, tuple(Broken(*each) for each in broken))


def with_(part: Callable[..., Any], *arguments: Any, **named: Any) -> Program:
    return lambda opts: part(opts, *arguments, **named)


def all_(*programs: Program) -> Program:
    def run(opts: p.Opts) -> None:
        for program in programs:
            program(opts)

    return run


def pod(container: core.ContainerArgs, **over: Any) -> Program:
    """The model server with another gate."""
    return with_(p.model_server, containers=[container], **over)


CLUSTER, GROUP, POOL = "Cluster main", "NodeGroup gpus", "NodePool l40s"
TEMPLATE, CLASS = "LaunchTemplate nodes", "EC2NodeClass gpu"
SERVER, SPACE = "Deployment agent-x/model-server", "Namespace agent-x"
STRICT = {"enableNetworkPolicy": "true", "env": {"NETWORK_POLICY_ENFORCING_MODE": "strict"}}
ADMIN = "AmazonEKSClusterAdminPolicy"
ROOT = p.security(run_as_user=0)
KEY_ID = "AKIA" + "ABCDEFGHIJKLMNOP"
TOKEN = "n0t-a-real-token-but-long-enough"


def node_group(**over: Any) -> Program:
    return with_(p.node_group, **over)


def init(*containers: core.ContainerArgs) -> Program:
    return with_(p.model_server, init_containers=list(containers))


def scaling(fewest: int, most: int) -> eks.NodeGroupScalingConfigArgs:
    return eks.NodeGroupScalingConfigArgs(min_size=fewest, max_size=most, desired_size=fewest)


def _resources(requests: dict[str, str], limits: dict[str, str]) -> core.ResourceRequirementsArgs:
    return core.ResourceRequirementsArgs(requests=requests, limits=limits)


def _cron_job(opts: p.Opts) -> None:
    batch.CronJob(
        "nightly",
        metadata=p.meta("nightly"),
        spec=batch.CronJobSpecArgs(
            schedule="0 3 * * *",
            job_template=batch.JobTemplateSpecArgs(
                spec=batch.JobSpecArgs(
                    template=core.PodTemplateSpecArgs(
                        spec=core.PodSpecArgs(containers=[p.container(security_context=None)])
                    )
                )
            ),
        ),
        opts=opts,
    )


def _device(**ebs: Any) -> list[ec2.LaunchTemplateBlockDeviceMappingArgs]:
    return [
        ec2.LaunchTemplateBlockDeviceMappingArgs(
            device_name="/dev/xvda", ebs=ec2.LaunchTemplateBlockDeviceMappingEbsArgs(**ebs)
        )
    ]


def _inline_role(opts: p.Opts) -> None:
    statement = '{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}'
    iam.Role(
        "agent",
        assume_role_policy="{}",
        inline_policies=[iam.RoleInlinePolicyArgs(name="all", policy=statement)],
        tags=p.TAGS,
        opts=opts,
    )


def _ingress(opts: p.Opts) -> None:
    k8s.networking.v1.Ingress("way-in", metadata=p.meta("way-in"), opts=opts)


def _default_namespace(opts: p.Opts) -> None:
    core.ConfigMap("stray", metadata=k8s.meta.v1.ObjectMetaArgs(name="stray"), data={}, opts=opts)


def _system_namespace(opts: p.Opts) -> None:
    core.ConfigMap("stray", metadata=p.meta("stray", namespace="kube-system"), data={}, opts=opts)


GATE_CONFIG = "ConfigMap agent-x/settings"
GATE = """{
    admin off
}
:8080 {
    @in {
        path /api/chat
        header Authorization "Bearer {file./run/token}"
    }
    handle @in {
        reverse_proxy 127.0.0.1:11434
    }
}
"""


def gate_config(text: str) -> Program:
    return with_(p.config_map, {"Caddyfile": text})


def gated_by_it(opts: p.Opts) -> None:
    source = core.ConfigMapVolumeSourceArgs(name="settings")
    p.model_server(opts, volumes=[core.VolumeArgs(name="gate", config_map=source)])


def node_folder(opts: p.Opts, *, csi: bool = False) -> None:
    disk = core.CSIPersistentVolumeSourceArgs(driver="ebs.csi.aws.com", volume_handle="vol-1")
    folder = core.HostPathVolumeSourceArgs(path="/etc")
    core.PersistentVolume(
        "folder",
        metadata=k8s.meta.v1.ObjectMetaArgs(name="folder"),
        spec=core.PersistentVolumeSpecArgs(
            csi=disk if csi else None, host_path=None if csi else folder
        ),
        opts=opts,
    )


def storage_class(opts: p.Opts, encrypted: str) -> None:
    k8s.storage.v1.StorageClass(
        "disks",
        metadata=k8s.meta.v1.ObjectMetaArgs(name="disks"),
        provisioner="ebs.csi.aws.com",
        parameters={"encrypted": encrypted},
        opts=opts,
    )


UNDECIDED = {"pods-seen"}
"""Rules that are never broken, only undecided; the corpus has their examples."""

CASES: dict[str, Case] = {
    "eks-endpoint-not-public": case(
        p.cluster,
        (with_(p.cluster, vpc_config=p.network(endpoint_public_access=None)), CLUSTER, "names no"),
        (
            with_(
                p.cluster,
                vpc_config=p.network(
                    endpoint_public_access=True, public_access_cidrs=["0.0.0.0/0"]
                ),
            ),
            CLUSTER,
            "open to 0.0.0.0/0",
        ),
    ),
    "eks-private-endpoint": case(
        p.cluster,
        (
            with_(p.cluster, vpc_config=p.network(endpoint_private_access=False)),
            CLUSTER,
            "over the internet",
        ),
    ),
    "eks-secrets-kms": case(
        p.cluster, (with_(p.cluster, encryption_config=None), CLUSTER, "not encrypted")
    ),
    "eks-control-plane-logs": case(
        p.cluster,
        (with_(p.cluster, enabled_cluster_log_types=["api"]), CLUSTER, "doesn't log audit"),
    ),
    "eks-supported-version": case(
        p.cluster,
        (with_(p.cluster, version=None), CLUSTER, "left to EKS"),
        (with_(p.cluster, version="1.27"), CLUSTER, "1.27 is none of"),
    ),
    "eks-auth-mode-api": case(
        p.cluster,
        (with_(p.cluster, access_config=None), CLUSTER, "aws-auth"),
        (
            with_(p.cluster, access_config=eks.ClusterAccessConfigArgs(authentication_mode="API")),
            CLUSTER,
            "becomes its administrator",
        ),
    ),
    "eks-deletion-protection": case(
        p.cluster,
        (with_(p.cluster, deletion_protection=False), CLUSTER, "deletionProtection is off"),
        (with_(p.cluster, protect=False), CLUSTER, "not protected"),
    ),
    "eks-admin-access-limited": case(
        with_(p.access, "AmazonEKSViewPolicy", "cluster"),
        (with_(p.access, ADMIN, "cluster"), "AccessPolicyAssociation access", "administrator"),
    ),
    "vpc-cni-network-policy": case(
        with_(p.addon, STRICT),
        (with_(p.addon, {}), "Addon cni", "doesn't enforce"),
        (with_(p.addon, {"enableNetworkPolicy": "true"}), "Addon cni", "not strict"),
    ),
    "node-imdsv2-hop-limit": case(
        all_(p.launch_template, p.node_class),
        (with_(p.launch_template, metadata_options=None), TEMPLATE, "httpTokens"),
        (
            with_(p.node_class, metadataOptions={"httpPutResponseHopLimit": 2}),
            CLASS,
            "hop limit for instance metadata is 2",
        ),
    ),
    "node-ebs-encrypted": case(
        all_(p.launch_template, p.node_class),
        (with_(p.launch_template, block_device_mappings=_device(volume_size=1)), TEMPLATE, "xvda"),
        (with_(p.launch_template, block_device_mappings=None), TEMPLATE, "no block devices"),
        (
            with_(p.node_class, blockDeviceMappings=[{"deviceName": "/dev/a", "ebs": {}}]),
            CLASS,
            "/dev/a is not encrypted",
        ),
    ),
    "node-no-remote-access": case(
        all_(p.node_group, p.launch_template),
        (
            node_group(remote_access=eks.NodeGroupRemoteAccessArgs(ec2_ssh_key="key")),
            GROUP,
            "opens SSH",
        ),
        (with_(p.launch_template, key_name="key"), TEMPLATE, "SSH key"),
    ),
    "node-no-public-ip": case(
        all_(p.launch_template, p.node_class, with_(p.subnet, False)),
        (with_(p.subnet, True), "Subnet private", "every machine"),
        (with_(p.node_class, associatePublicIPAddress=True), CLASS, "public addresses"),
        (
            with_(
                p.launch_template,
                network_interfaces=[
                    ec2.LaunchTemplateNetworkInterfaceArgs(associate_public_ip_address="true")
                ],
            ),
            TEMPLATE,
            "public addresses",
        ),
    ),
    "sg-no-open-ingress": case(
        all_(with_(p.security_group, "10.0.0.0/8"), with_(p.ingress_rule, "fd00::/8")),
        (with_(p.security_group, "0.0.0.0/0"), "SecurityGroup nodes", "lets 0.0.0.0/0 in"),
        (with_(p.ingress_rule, "::/0"), "SecurityGroupIngressRule https", "lets ::/0 in"),
    ),
    "gpu-node-tainted": case(
        all_(p.node_group, p.node_pool),
        (node_group(taints=None), GROUP, "lack the taint"),
        (with_(p.node_pool, taints=False), POOL, "lack the taint"),
        (with_(p.templated_group, taints=None), GROUP, "lack the taint"),
    ),
    "gpu-node-labelled": case(
        all_(p.node_group, p.node_pool),
        (node_group(labels={}), GROUP, "lack the label"),
        (with_(p.node_pool, labels=False), POOL, "lack the label"),
    ),
    "gpu-scale-bounds": case(
        all_(p.node_group, p.node_pool),
        (node_group(scaling_config=scaling(1, 1)), GROUP, "keeps 1 GPU nodes"),
        (node_group(scaling_config=scaling(0, 99)), GROUP, "99 GPU nodes"),
        (with_(p.node_pool, limits={}), POOL, "nothing bounds"),
        (with_(p.node_pool, limits={"nodes": "40"}), POOL, "40 GPU nodes"),
    ),
    "gpu-instance-allowlist": case(
        all_(p.node_group, p.node_pool, p.launch_template),
        (node_group(instance_types=["g4dn.xlarge"]), GROUP, "g4dn.xlarge"),
        (with_(p.launch_template, instance_type="g5.xlarge"), TEMPLATE, "g5.xlarge"),
        (with_(p.node_pool, types=()), POOL, "may buy any"),
    ),
    "gpu-capacity-type": case(
        all_(p.node_group, p.node_pool),
        (node_group(capacity_type="SPOT"), GROUP, "spot"),
        (with_(p.node_pool, capacity=("spot",)), POOL, "spot"),
        (with_(p.node_pool, capacity=()), POOL, "doesn't say how"),
    ),
    "gpu-ami-accelerated": case(
        all_(p.node_group, p.node_class),
        (node_group(ami_type="AL2023_x86_64_STANDARD"), GROUP, "no NVIDIA driver"),
        (
            with_(p.node_class, amiSelectorTerms=[{"alias": "al2023@latest"}]),
            CLASS,
            "changes by itself",
        ),
    ),
    "gpu-nvme-instance-store": case(
        all_(p.node_pool, p.node_class),
        (all_(p.node_pool, with_(p.node_class, instanceStorePolicy=None)), POOL, "RAID0"),
    ),
    "iam-no-star": case(
        with_(p.policy, ["s3:GetObject"], "*"),
        (with_(p.policy, ["*"], "*"), "Policy agent", "every action"),
        (_inline_role, "Role agent", "every action"),
    ),
    "iam-no-admin-attachments": case(
        with_(p.attachment, "AmazonEKSWorkerNodePolicy"),
        (with_(p.attachment, "AmazonS3FullAccess"), "RolePolicyAttachment node", "AmazonS3FullAcc"),
    ),
    "pod-identity-scoped": case(
        with_(p.pod_identities, "agent-x"),
        (
            with_(p.pod_identities, "agent-x", "agent-y"),
            "PodIdentityAssociation agent-x-identity",
            "another namespace",
        ),
        (
            with_(p.pod_identities, "agent-x", trust=False),
            "PodIdentityAssociation agent-x-identity",
            "kubernetes-namespace",
        ),
    ),
    "sa-token-off": case(
        all_(p.account, p.model_server),
        (with_(p.account, token=True), "ServiceAccount agent-x/runtime", "API token"),
        (with_(p.model_server, automount_service_account_token=None), SERVER, "API token"),
        (with_(p.model_server, service_account_name=None), SERVER, "account default"),
    ),
    "rbac-no-wildcards": case(
        all_(
            with_(p.role, ["get"], ["secrets"]),
            with_(p.role, ["list"], ["secrets"], "moltghost-deployers-in-agents"),
            with_(p.binding, "view"),
        ),
        (with_(p.role, ["*"], ["pods"]), "Role agent-x/reader", "* in verbs"),
        (with_(p.role, ["list"], ["secrets"]), "Role agent-x/reader", "lists or watches secrets"),
        (with_(p.binding, "cluster-admin"), "ClusterRoleBinding binding", "cluster-admin"),
        (
            with_(p.binding, "moltghost-deployers-in-agents"),
            "ClusterRoleBinding binding",
            "outside the namespace of an agent",
        ),
    ),
    "rbac-no-escalation": case(
        all_(with_(p.role, ["get"], ["configmaps"]), with_(p.binding, "view")),
        (with_(p.role, ["get"], ["secrets"]), "Role agent-x/reader", "reads secrets without"),
        (with_(p.role, ["create"], ["pods/exec"]), "Role agent-x/reader", "runs commands in pods"),
        (with_(p.role, ["*"], ["nodes/*"]), "Role agent-x/reader", "through the kubelet"),
        (with_(p.binding, "admin"), "ClusterRoleBinding binding", "binds admin"),
    ),
    "iam-no-escalation": case(
        with_(p.policy, ["iam:PassRole"], "arn:aws:iam::1:role/moltghost-agent-*"),
        (with_(p.policy, ["iam:PassRole"], "*"), "Policy agent", "allows iam:PassRole on roles"),
        (with_(p.policy, ["s3:*"], "arn:aws:*"), "Policy agent", "s3:* on every resource"),
    ),
    "iam-trust-named": case(
        all_(with_(p.pod_identities, "agent-x"), p.key),
        (
            with_(p.key, policy='{"Statement": {"Effect": "Allow", "Principal": "*"}}'),
            "Key secrets",
            "trusts everybody",
        ),
    ),
    "required-tags": case(
        all_(p.node_group, p.launch_template, p.node_class),
        (node_group(tags={"a": "b"}), GROUP, "lacks the tags moltghost.dev/environment"),
        (with_(p.node_class, tags={}), CLASS, "lacks the tags moltghost.dev/environment"),
        (with_(p.launch_template, tag_specifications=None), TEMPLATE, "give no volume the tags"),
    ),
    "kms-rotation": case(p.key, (with_(p.key, rotation=False), "Key secrets", "never rotated")),
    "s3-private-encrypted": case(
        p.bucket,
        (with_(p.bucket, block=None), "Bucket weights", "has no BucketPublicAccessBlock"),
        (with_(p.bucket, block=False), "Bucket weights", "leaves out blockPublicPolicy"),
        (with_(p.bucket, encrypted=False), "Bucket weights", "ServerSideEncryption"),
    ),
    "ecr-immutable-scanned": case(
        p.repository,
        (with_(p.repository, immutable=False), "Repository images", "can be moved"),
        (with_(p.repository, scanned=False), "Repository images", "not scanned"),
    ),
    "log-retention": case(
        with_(p.log_group, 30), (with_(p.log_group, None), "LogGroup cluster", "for ever")
    ),
    "stateful-protected": case(
        all_(p.key, p.bucket),
        (with_(p.key, protect=False), "Key secrets", "may delete it"),
        (with_(p.bucket, protect=False), "Bucket weights", "may delete it"),
    ),
    "secrets-not-literal": case(
        all_(p.model_server, with_(p.config_map, {"a": "token: ${TOKEN}"})),
        (
            with_(p.config_map, {"a": f"key = {KEY_ID}"}),
            "ConfigMap agent-x/settings",
            "data.a holds",
        ),
        (pod(p.gate(env=p.env(API_TOKEN="hunter2"))), SERVER, "value of API_TOKEN"),
        (init(p.weights(), p.ollama(args=[f"--key={KEY_ID}"])), SERVER, "in its args"),
    ),
    "secret-not-elsewhere": case(
        all_(with_(p.secret, TOKEN), with_(p.config_map, {"a": "b"})),
        (
            all_(with_(p.secret, TOKEN), with_(p.config_map, {"a": f"x={TOKEN}"})),
            "ConfigMap agent-x/settings",
            "data.a holds the value of a Secret",
        ),
        (
            all_(with_(p.secret, TOKEN), pod(p.gate(args=[TOKEN]))),
            SERVER,
            "args.0 holds the value of a Secret",
        ),
    ),
    "ns-pod-security-labels": case(
        p.namespace,
        (with_(p.namespace, __="baseline"), SPACE, "enforces Pod Security baseline"),
        (with_(p.namespace, __=None), SPACE, "lacks the label"),
        (with_(p.namespace, **{"__-version": None}), SPACE, "not pinned"),
    ),
    "ns-quota-and-limits": case(
        p.space,
        (with_(p.space, skip="quota"), SPACE, "requests.nvidia.com/gpu"),
        (with_(p.space, skip="limits"), SPACE, "no LimitRange"),
    ),
    "ns-default-deny": case(
        p.space,
        (with_(p.space, skip="deny"), SPACE, "denies egress by default"),
        (all_(p.namespace, with_(p.deny, "Ingress")), SPACE, "denies egress by default"),
        (
            all_(
                p.space,
                with_(
                    p.network_policy,
                    "out",
                    policy_types=["Egress"],
                    egress=[k8s.networking.v1.NetworkPolicyEgressRuleArgs()],
                ),
            ),
            SPACE,
            "allows egress to or from anywhere",
        ),
    ),
    "agent-pools": case(
        p.namespace,
        (with_(p.namespace, pools="h100,weights"), SPACE, "may use the pool weights"),
        (with_(p.namespace, pools="a,b,c,d"), SPACE, "4 pools, and 3 are needed"),
    ),
    "admission-denies": case(
        w.admission_walls,
        (
            with_(w.admission_walls, actions=("Audit",)),
            "ValidatingAdmissionPolicyBinding moltghost-gpu-nodes",
            "refuses nothing",
        ),
        (
            with_(w.admission_walls, fails="Ignore"),
            "ValidatingAdmissionPolicy moltghost-gpu-nodes",
            "failurePolicy is not Fail",
        ),
    ),
    "admission-complete": case(
        all_(p.node_pool, w.admission_walls),
        (p.node_pool, POOL, "moltghost-agent-pods is not declared"),
        (
            all_(p.node_pool, with_(w.admission_walls, without="moltghost-gpu-nodes")),
            POOL,
            "moltghost-gpu-nodes is not declared",
        ),
    ),
    "endpoint-policies": case(
        with_(w.endpoint, StringEquals={"aws:PrincipalAccount": "1"}),
        (w.endpoint, "VpcEndpoint sts", "leads everywhere"),
        (
            with_(w.endpoint, StringNotEquals={"aws:PrincipalAccount": "1"}),
            "VpcEndpoint sts",
            "any account's",
        ),
    ),
    "network-walled": case(
        w.network,
        (with_(w.network, fail_open="ENABLED"), "Vpc vpc", "when it fails"),
        (with_(w.network, action="ALERT"), "Vpc vpc", "blocks nothing"),
    ),
    "nodes-isolated": case(
        p.node_class,
        (
            with_(p.node_class, subnetSelectorTerms=[{"id": "subnet-1"}]),
            CLASS,
            "aren't isolated",
        ),
    ),
    "vpc-cni-declared": case(
        w.cluster_with_cni,
        (with_(w.cluster_with_cni, "kube-proxy"), CLUSTER, "no add-on vpc-cni"),
    ),
    "agent-complete": case(
        p.space,
        (with_(p.space, skip="account"), SPACE, "has no ServiceAccount"),
        (with_(p.namespace, **{"moltghost.dev/owner": None}), SPACE, "moltghost.dev/owner"),
        (
            all_(
                p.space,
                with_(p.network_policy, "in", ingress=p.from_namespace("agent-y")),
            ),
            SPACE,
            "opens it to namespace agent-y",
        ),
    ),
    "quota-no-exposure": case(
        p.quota,
        (
            with_(p.quota, **{"services.nodeports": "1"}),
            "ResourceQuota agent-x/agent",
            "allows 1 of services.nodeports",
        ),
        (
            with_(p.quota, without="services.loadbalancers"),
            "ResourceQuota agent-x/agent",
            "doesn't bound services.loadbalancers",
        ),
    ),
    "ns-no-default": case(
        p.quota,
        (_default_namespace, "ConfigMap stray", "namespace default"),
        (_system_namespace, "ConfigMap kube-system/stray", "kube-system"),
    ),
    "service-not-exposed": case(
        p.service,
        (with_(p.service, type="LoadBalancer"), "Service agent-x/door", "LoadBalancer"),
        (with_(p.service, external_ips=["1.2.3.4"]), "Service agent-x/door", "externalIPs"),
        (_ingress, "Ingress agent-x/way-in", "from outside"),
    ),
    "volume-no-node-folder": case(
        with_(node_folder, csi=True),
        (node_folder, "PersistentVolume folder", "it is /etc of a node (hostPath)"),
    ),
    "pod-restricted": case(
        p.model_server,
        (pod(p.gate(security_context=ROOT)), SERVER, "container gate runs as root"),
        (
            init(p.weights(), p.ollama(security_context=p.security(capabilities=None))),
            SERVER,
            "sidecar ollama keeps capabilities",
        ),
        (
            init(p.weights(security_context=None), p.ollama()),
            SERVER,
            "init container weights may gain privileges",
        ),
        (_cron_job, "CronJob agent-x/nightly", "has no seccomp profile"),
    ),
    "pod-no-privileged-host": case(
        p.model_server,
        (with_(p.model_server, host_network=True), SERVER, "hostNetwork"),
        (
            with_(
                p.model_server,
                volumes=[
                    core.VolumeArgs(name="n", host_path=core.HostPathVolumeSourceArgs(path="/"))
                ],
            ),
            SERVER,
            "hostPath",
        ),
        (
            init(p.weights(), p.ollama(security_context=p.security(privileged=True))),
            SERVER,
            "sidecar ollama is privileged",
        ),
        (
            pod(p.gate(ports=[core.ContainerPortArgs(container_port=80, host_port=80)])),
            SERVER,
            "hostPort",
        ),
    ),
    "pod-readonly-rootfs": case(
        p.model_server,
        (
            pod(p.gate(security_context=p.security(read_only_root_filesystem=False))),
            SERVER,
            "may write to its root",
        ),
        (
            with_(
                p.model_server,
                volumes=[core.VolumeArgs(name="n", empty_dir=core.EmptyDirVolumeSourceArgs())],
            ),
            SERVER,
            "no sizeLimit",
        ),
    ),
    "pod-resources": case(
        p.model_server,
        (pod(p.gate(resources=None)), SERVER, "gate asks for no cpu and no memory"),
        (init(p.weights(), p.ollama(gpus="0.5")), SERVER, "a part of a GPU"),
        (
            init(
                p.weights(),
                p.ollama(
                    resources=_resources(
                        {"cpu": "1", "memory": "1Gi", p.GPU: "1"}, {"memory": "1Gi", p.GPU: "2"}
                    )
                ),
            ),
            SERVER,
            "another number of GPUs",
        ),
    ),
    "gpu-pod-toleration-match": case(
        p.model_server,
        (with_(p.model_server, tolerations=None), SERVER, "doesn't tolerate"),
        (with_(p.model_server, node_selector=None), SERVER, "selects no pool"),
        (init(p.weights()), SERVER, "asks for no GPU"),
        (
            all_(
                with_(p.model_server, node_selector={"karpenter.sh/nodepool": "gone"}), p.node_pool
            ),
            SERVER,
            "selects the pool gone",
        ),
    ),
    "image-pinned": case(
        p.model_server,
        (pod(p.gate(image="ghcr.io/moltghost/gate:latest")), SERVER, "names no version"),
        (pod(p.gate(image="docker.io/evil/gate:1.0")), SERVER, "no allowed registry"),
    ),
    "image-account": case(
        p.model_server,
        (
            pod(p.gate(image="999988887777.dkr.ecr.us-east-1.amazonaws.com/gate:1.0")),
            SERVER,
            "in no account of the stack",
        ),
    ),
    "image-digest": case(
        with_(
            p.model_server,
            containers=[p.gate(image=f"ghcr.io/moltghost/gate:1@sha256:{'a' * 64}")],
            init_containers=[],
        ),
        (p.model_server, SERVER, "names no digest"),
    ),
    "pod-probes": case(
        p.model_server, (pod(p.gate(readiness_probe=None)), SERVER, "no readinessProbe")
    ),
    "ollama-gated": case(
        p.model_server,
        (init(p.weights(), p.ollama(env=p.env())), SERVER, "every address"),
        (
            init(p.weights(), p.ollama(env=p.env(OLLAMA_HOST="0.0.0.0"))),  # noqa: S104 it must be refused
            SERVER,
            "listens on 0.0.0.0",
        ),
        (pod(p.container("gate")), SERVER, "no container in front"),
        (
            all_(
                p.model_server,
                with_(p.service, ports=[core.ServicePortArgs(port=11434, target_port=11434)]),
            ),
            SERVER,
            "past the gate",
        ),
    ),
    "gate-closed": case(
        all_(gate_config(GATE), gated_by_it),
        (all_(gate_config(":80 {\n"), gated_by_it), GATE_CONFIG, "can't be read"),
        (
            all_(gate_config(GATE.replace("/api/chat", "/api/pull")), gated_by_it),
            GATE_CONFIG,
            "lets /api/pull through",
        ),
        (
            all_(gate_config(GATE.replace("handle @in", "handle")), gated_by_it),
            GATE_CONFIG,
            "lets every path through without the token",
        ),
        (
            all_(gate_config(GATE.replace("admin off", "grace_period 1s")), gated_by_it),
            GATE_CONFIG,
            "admin interface",
        ),
    ),
    "context-one-number": case(
        all_(p.model_server, with_(p.openclaw, 32768)),
        (all_(p.model_server, with_(p.openclaw, 8192)), SERVER, "32768 or 8192"),
        (with_(p.model_server, {"moltghost.dev/context": "4096"}), SERVER, "32768 or 4096"),
        (init(p.weights(), p.ollama(env=p.env(OLLAMA_HOST="localhost"))), SERVER, "Ollama chooses"),
    ),
    "weights-from-store": case(
        p.model_server,
        (init(p.weights("s3://moltghost-weights-dev"), p.ollama()), SERVER, "isn't its environ"),
        (init(p.weights(), p.ollama(args=["pull", "llama3"])), SERVER, "public registry"),
        (init(p.weights(), p.ollama(args=["run", "llama3"])), SERVER, "public registry"),
        (
            init(p.weights(args=["curl", "https://huggingface.co/x"]), p.ollama()),
            SERVER,
            "huggingface.co",
        ),
        (
            init(p.weights(), p.ollama(env=p.env(OLLAMA_HOST="127.0.0.1:11434"))),
            SERVER,
            "OLLAMA_NO_CLOUD",
        ),
        (init(p.ollama()), SERVER, "reads a weights store"),
    ),
    "node-dedicated": case(
        p.model_server,
        (with_(p.model_server, affinity=None), SERVER, "other agents"),
        (with_(p.model_server, affinity=p.apart("moltghost.dev/owner")), SERVER, "other agents"),
    ),
    "node-price-ceiling": case(
        all_(p.model_server, p.node_pool, p.node_group),
        (with_(p.node_pool, types=("p5en.48xlarge",)), POOL, "costs 63.296 USD/h"),
        (with_(p.node_pool, types=("p5e.48xlarge",)), POOL, "is not known"),
        (
            with_(p.model_server, {"moltghost.dev/node-usd-per-hour": "1"}),
            SERVER,
            "says that its node costs 1 USD/h",
        ),
    ),
    "growth-bounded": case(
        all_(p.node_pool, p.quota),
        (with_(p.node_pool, limits={}), POOL, "nothing bounds how many nodes"),
        (with_(p.quota, pods="5000"), "ResourceQuota agent-x/agent", "allows 5000 of pods"),
    ),
    "storage-class-encrypted": case(
        with_(storage_class, "true"),
        (with_(storage_class, "false"), "StorageClass disks", "not encrypted"),
    ),
    "monthly-ceiling": case(
        all_(p.model_server, p.node_pool),
        (with_(p.model_server, replicas=100), SERVER, "a month, and the ceiling is 50,000"),
        (with_(p.node_pool, types=("p5.48xlarge",)), POOL, "a month, and the ceiling is 50,000"),
        (
            with_(p.templated_group, scaling_config=scaling(0, 50)),
            GROUP,
            "a month, and the ceiling is 50,000",
        ),
    ),
}
