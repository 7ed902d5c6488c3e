"""Configuration files of the node's programs."""

from __future__ import annotations

import json
import os
import resource
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from moltghost.labels import INSTANCE_TYPE_LABEL, ZONE_LABEL
from moltghost.local.build import programs
from moltghost.local.cluster.layout import Layout
from moltghost.local.node import images, network, requirements
from moltghost.planning.embedded import EMBEDDED_ZONES, MACHINE_NODES
from moltghost.units import GIB, MIB

#: Name of the Kubernetes node.
NAME = MACHINE_NODES.name
LABELS: Mapping[str, str] = {
    **MACHINE_NODES.selector,
    INSTANCE_TYPE_LABEL: NAME,
    ZONE_LABEL: EMBEDDED_ZONES[0],
}

KUBELET_PORT = 10250
KUBELET_HEALTH_PORT = 10248
PROXY_HEALTH_PORT = 10256
DNS_HEALTH_PORT = 8181
CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
CLUSTER_DOMAIN = "cluster.local"

# What the control plane and everything else on this machine keep. The control plane with Karpenter
# and KWOK takes 0.75 GiB (docs/guide/embedded-cluster.md); the rest is for whoever works here.
_RESERVED_SHARE = 0.2
_RESERVED_AT_LEAST_BYTES = 2 * GIB

# Eviction by absolute numbers: a tenth of a large disk is a lot to ask for.
_EVICTION = {"memory.available": "200Mi", "nodefs.available": "1Gi", "imagefs.available": "1Gi"}
_CONTAINER_LOG_BYTES = 10 * MIB

_PLUGINS = ("ptp", "loopback", "host-local")


def pretended() -> dict[str, str]:
    """Kernel settings that the kubelet wants, below ``/proc/sys``; it would set this machine's.

    From ``setupKernelTunables`` in ``pkg/kubelet/cm/container_manager_linux.go``.
    """
    return {
        "vm/overcommit_memory": "1",
        "vm/panic_on_oom": "0",
        "kernel/panic": "10",
        "kernel/panic_on_oops": "1",
        "kernel/keys/root_maxkeys": "1000000",
        "kernel/keys/root_maxbytes": "25000000",
    }


def reserved() -> dict[str, str]:
    """What of this machine is not for pods, as Kubernetes writes quantities."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    reserved_bytes = max(int(memory * _RESERVED_SHARE), _RESERVED_AT_LEAST_BYTES)
    milli_cpus = int((os.cpu_count() or 1) * 1000 * _RESERVED_SHARE)
    return {"cpu": f"{milli_cpus}m", "memory": f"{reserved_bytes // MIB}Mi"}


@dataclass(frozen=True)
class Configuration:
    """Configuration of one cluster's node.

    Args:
        layout: the cluster's files.
        cable: its network.
        cgroup: name of its cgroup.
        proxy_kubeconfig, dns_kubeconfig: how these two reach the API server.
    """

    layout: Layout
    cable: network.Cable
    cgroup: str
    proxy_kubeconfig: Path
    dns_kubeconfig: Path

    def file(self, name: str) -> Path:
        """Where a file goes."""
        return self.layout.config(f"node/{name}")

    def files(self) -> dict[Path, str]:
        """Every file with its content."""
        return {
            self.file("kubelet.json"): _as_json(self._kubelet()),
            self.file("kube-proxy.json"): _as_json(self._kube_proxy()),
            self.file("containerd.toml"): self._containerd(),
            self.file("cni/10-pods.conflist"): _as_json(self._pod_network()),
            self.file("Corefile"): self._dns(),
            self.file("resolv.conf"): f"nameserver {self.cable.far}\n",
        }

    def _kubelet(self) -> dict[str, object]:
        certificates = self.layout.certificates
        _soft, open_files = resource.getrlimit(resource.RLIMIT_NOFILE)
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": self.cable.far,
            "port": KUBELET_PORT,
            "readOnlyPort": 0,
            "healthzBindAddress": self.cable.far,
            "healthzPort": KUBELET_HEALTH_PORT,
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": False},
                "x509": {"clientCAFile": str(certificates.cluster_ca)},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": str(certificates.certificate("kubelet")),
            "tlsPrivateKeyFile": str(certificates.key("kubelet")),
            "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
            "clusterDomain": CLUSTER_DOMAIN,
            "clusterDNS": [self.cable.far],
            "resolvConf": str(self.file("resolv.conf")),
            "registerWithTaints": [taint.model_dump() for taint in MACHINE_NODES.taints],
            # Karpenter ignores nodes with its label and no id.
            "providerID": f"moltghost://{NAME}",
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{self.cgroup}",
            "failCgroupV1": False,
            "failSwapOn": False,
            "protectKernelDefaults": True,
            "makeIPTablesUtilChains": False,
            "enforceNodeAllocatable": ["pods"],
            "systemReserved": reserved(),
            "evictionHard": _EVICTION,
            # Images can't be pulled again, so none is removed for its disk space.
            "imageGCHighThresholdPercent": 100,
            "containerLogMaxSize": f"{_CONTAINER_LOG_BYTES // MIB}Mi",
            "containerLogMaxFiles": 3,
            "oomScoreAdj": 0,
            "maxOpenFiles": open_files,
        }

    def _kube_proxy(self) -> dict[str, object]:
        # Zero leaves the kernel's settings alone: they are this machine's, not the namespace's.
        conntrack = {
            "maxPerCore": 0,
            "min": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        }
        return {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "nftables",
            "clientConnection": {"kubeconfig": str(self.proxy_kubeconfig)},
            "hostnameOverride": NAME,
            "clusterCIDR": network.POD_RANGE,
            "conntrack": conntrack,
            "oomScoreAdj": 0,
            "healthzBindAddress": f"{self.cable.far}:{PROXY_HEALTH_PORT}",
            "metricsBindAddress": "127.0.0.1:10249",
        }

    def _containerd(self) -> str:
        plugins = json.dumps([str(programs.binary(name).parent) for name in _PLUGINS])
        restrict = not requirements.has_capability(requirements.CAP_SYS_RESOURCE)
        return f"""version = 3
root = "/var/lib/containerd"
state = "/run/containerd"

[grpc]
address = "{CONTAINERD_SOCKET}"

[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "{images.pause_reference()}"

[plugins."io.containerd.cri.v1.runtime"]
# Its profiles would be loaded into this machine's kernel, and stay.
disable_apparmor = true
# Without CAP_SYS_RESOURCE no score can be lowered.
restrict_oom_score_adj = {json.dumps(restrict)}

[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = {plugins}
conf_dir = "{self.file("cni")}"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
BinaryName = "{requirements.find_program("runc")}"
"""

    def _pod_network(self) -> dict[str, object]:
        """A cable for each pod, so that every packet passes the kernel's routing and kube-proxy.

        On a bridge, answers to a Service's clients on the same bridge would not.
        """
        addresses = {
            "type": "host-local",
            "ranges": [[{"subnet": network.POD_RANGE}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        }
        return {
            "cniVersion": "1.0.0",
            "name": "pods",
            "plugins": [{"type": "ptp", "ipMasq": False, "ipam": addresses}],
        }

    def _dns(self) -> str:
        # Names of other domains don't exist here: said at once, not after a timeout.
        return f"""{CLUSTER_DOMAIN}:53 in-addr.arpa:53 {{
    bind {self.cable.far}
    errors
    ready {self.cable.far}:{DNS_HEALTH_PORT}
    cache 30
    kubernetes {CLUSTER_DOMAIN} in-addr.arpa {{
        kubeconfig {self.dns_kubeconfig}
        pods disabled
        ttl 5
    }}
}}
.:53 {{
    bind {self.cable.far}
    errors
    template ANY ANY {{
        rcode NXDOMAIN
    }}
}}
"""


def _as_json(content: object) -> str:
    return json.dumps(content, indent=2) + "\n"
