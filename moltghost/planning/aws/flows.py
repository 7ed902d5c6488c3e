"""The flows of system pods. Strict mode cuts off every pod that no policy names.

Pods on the host's network (network plugin, kube-proxy, Pod Identity agent) are beyond policies;
traffic from a node to its own pods, such as probes, is always let through.
"""

from __future__ import annotations

from moltghost.labels import MONITORING_LABEL, NAME_LABEL, SYSTEM_NAMESPACE, WEIGHTS_NAMESPACE
from moltghost.planning.aws.cloud import AwsCloudPlan
from moltghost.planning.flows import DNS, HTTPS, Flow, SystemPolicy, names

KUBELET_PORT = 10250
METRICS_SERVER_PORT = 10251  # of the EKS community add-on
DCGM_PORT = 9400
POD_IDENTITY = ("169.254.170.23/32", 80)
_KUBE_SYSTEM = "kube-system"


def plan_flows(cloud: AwsCloudPlan) -> tuple[SystemPolicy, ...]:
    """Policies of every system pod that isn't on the host's network."""
    return (*_kube_system(cloud), *_gpu_support(), _weights_jobs(cloud))


def _kube_system(cloud: AwsCloudPlan) -> tuple[SystemPolicy, ...]:
    api, identity, resolution = _api(cloud), _identity(), names()
    aws = Flow(ports=(HTTPS,), cidrs=_control_cidrs(cloud))
    outside = Flow(ports=(HTTPS,), cidrs=(*_control_cidrs(cloud), *cloud.network.public_cidrs))
    everybody = Flow(ports=(DNS,), protocols=("UDP", "TCP"), pods={})
    resolver = Flow(ports=(DNS,), protocols=("UDP", "TCP"), cidrs=_resolvers(cloud))
    return (
        _policy("coredns", {"k8s-app": "kube-dns"}, (everybody,), (resolver, api)),
        _policy(
            "metrics-server",
            {NAME_LABEL: "metrics-server"},
            (Flow(ports=(METRICS_SERVER_PORT,), cidrs=_control_cidrs(cloud)),),
            (resolution, api, Flow(ports=(KUBELET_PORT,), cidrs=(cloud.network.cidr,))),
        ),
        _policy(
            "ebs-csi-controller",
            {"app": "ebs-csi-controller"},
            (),
            (resolution, api, identity, aws),
        ),
        _policy("ebs-csi-node", {"app": "ebs-csi-node"}, (), (resolution, api)),
        # Prices and IAM have no endpoint in the VPC: these two go out by NAT.
        _policy(
            "karpenter",
            {NAME_LABEL: "karpenter"},
            (),
            (resolution, api, identity, outside),
        ),
    )


def _gpu_support() -> tuple[SystemPolicy, ...]:
    return (
        SystemPolicy(
            name="nvidia-device-plugin",
            namespace=SYSTEM_NAMESPACE,
            pods={NAME_LABEL: "nvidia-device-plugin"},
        ),
        SystemPolicy(
            name="dcgm-exporter",
            namespace=SYSTEM_NAMESPACE,
            pods={NAME_LABEL: "dcgm-exporter"},
            ingress=(Flow(ports=(DCGM_PORT,), pods={}, namespaces={MONITORING_LABEL: "true"}),),
        ),
    )


def _weights_jobs(cloud: AwsCloudPlan) -> SystemPolicy:
    """Downloads from model hubs, uploads to S3."""
    return SystemPolicy(
        name="weights-jobs",
        namespace=WEIGHTS_NAMESPACE,
        pods={},
        egress=(
            names(),
            _identity(),
            Flow(ports=(HTTPS,), cidrs=cloud.network.public_cidrs),
        ),
    )


def _policy(
    name: str, pods: dict[str, str], ingress: tuple[Flow, ...], egress: tuple[Flow, ...]
) -> SystemPolicy:
    return SystemPolicy(
        name=name, namespace=_KUBE_SYSTEM, pods=pods, ingress=ingress, egress=egress
    )


def _identity() -> Flow:
    address, port = POD_IDENTITY
    return Flow(ports=(port,), cidrs=(address,))


def _api(cloud: AwsCloudPlan) -> Flow:
    """The API server: its service's address, and its interfaces behind it."""
    first = cloud.cluster.service_cidr.replace(".0.0/16", ".0.1/32")
    return Flow(ports=(HTTPS,), cidrs=(first, *_control_cidrs(cloud)))


def _control_cidrs(cloud: AwsCloudPlan) -> tuple[str, ...]:
    """Where the control plane's interfaces and the endpoints of AWS's APIs are."""
    return tuple(subnet.cidr for subnet in cloud.network.tier("control"))


def _resolvers(cloud: AwsCloudPlan) -> tuple[str, ...]:
    """The VPC's resolver: the network's third address, and its link-local one."""
    network = cloud.network.cidr.partition("/")[0].rsplit(".", 1)[0]
    return (f"{network}.2/32", "169.254.169.253/32")
