"""The command line of every process of the cluster.

No argument and no environment variable holds a secret: keys and tokens are read from files.
Everything listens on loopback.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from moltghost.local.build import programs
from moltghost.local.cluster import credentials
from moltghost.local.cluster.layout import Layout
from moltghost.local.cluster.ports import LOOPBACK
from moltghost.local.cluster.processes import Command

SERVICE_RANGE = "10.96.0.0/16"
FIRST_SERVICE_ADDRESS = "10.96.0.1"

# For 300 agents on one machine. The programs' own defaults (20 to 50 requests a second) protect
# API servers that many clusters' worth of clients share.
_CLIENT_REQUESTS_PER_SECOND = 300
_CLIENT_BURST = 600

# EKS enables these beyond Kubernetes' defaults.
_ADMISSION_PLUGINS = "NodeRestriction,ExtendedResourceToleration"

# Karpenter waits for a pause in the arrival of pods before it decides (1 s and at most 10 s by
# default, for clouds where a node takes a minute).
_KARPENTER_IDLE, _KARPENTER_BATCH = "500ms", "2s"


@dataclass(frozen=True)
class Components:
    """Command lines of one cluster's processes.

    Args:
        layout: where its files are.
        ports: by name, as ``ports.PORTS`` lists them.
    """

    layout: Layout
    ports: Mapping[str, int]

    @property
    def server(self) -> str:
        """URL of the API server."""
        return self._url("kube-apiserver")

    def etcd(self) -> Command:
        """The store of the API server; client certificates only."""
        certificates = self.layout.certificates
        peer = self._url("etcd-peer")
        options = {
            "name": "moltghost",
            "data-dir": self.layout.etcd_data,
            "listen-client-urls": self._url("etcd"),
            "advertise-client-urls": self._url("etcd"),
            "listen-peer-urls": peer,
            "initial-advertise-peer-urls": peer,
            "initial-cluster": f"moltghost={peer}",
            "log-level": "warn",
        }
        for prefix in ("", "peer-"):
            options |= {
                f"{prefix}cert-file": certificates.certificate("etcd"),
                f"{prefix}key-file": certificates.key("etcd"),
                f"{prefix}trusted-ca-file": certificates.etcd_ca,
                f"{prefix}client-cert-auth": "true",
            }
        return self._command("etcd", options, files=(certificates.certificate("etcd"),))

    def api_server(self) -> Command:
        """The API server: tokens only, Kubernetes' own roles, EKS's admission plugins."""
        certificates = self.layout.certificates
        options = {
            "advertise-address": LOOPBACK,
            "allow-privileged": "true",
            "anonymous-auth": "false",
            "authorization-mode": "Node,RBAC",
            "bind-address": LOOPBACK,
            "enable-admission-plugins": _ADMISSION_PLUGINS,
            # A loopback address can't be the endpoint of the Service `kubernetes`.
            "endpoint-reconciler-type": "none",
            "etcd-servers": self._url("etcd"),
            "etcd-cafile": certificates.etcd_ca,
            "etcd-certfile": certificates.certificate("etcd-client"),
            "etcd-keyfile": certificates.key("etcd-client"),
            "kubelet-certificate-authority": certificates.cluster_ca,
            "kubelet-client-certificate": certificates.certificate("kubelet-client"),
            "kubelet-client-key": certificates.key("kubelet-client"),
            # By its name a node would be looked up in the machine's DNS.
            "kubelet-preferred-address-types": "InternalIP",
            "profiling": "false",
            "secure-port": self.ports["kube-apiserver"],
            "service-account-issuer": "https://kubernetes.default.svc.cluster.local",
            "service-account-key-file": self.layout.service_account_key,
            "service-account-signing-key-file": self.layout.service_account_key,
            "service-cluster-ip-range": SERVICE_RANGE,
            "tls-cert-file": certificates.certificate("kube-apiserver"),
            "tls-private-key-file": certificates.key("kube-apiserver"),
            "token-auth-file": self.layout.tokens,
        }
        files = (
            self.layout.tokens,
            certificates.certificate("kube-apiserver"),
            certificates.certificate("etcd-client"),
        )
        return self._command("kube-apiserver", options, files=files)

    def controller_manager(self) -> Command:
        """Kubernetes' controllers."""
        certificates = self.layout.certificates
        kubeconfig = self._kubeconfig(credentials.CONTROLLER_MANAGER)
        options = {
            "kubeconfig": kubeconfig,
            "kube-api-qps": _CLIENT_REQUESTS_PER_SECOND,
            "kube-api-burst": _CLIENT_BURST,
            "leader-elect": "false",
            "profiling": "false",
            "root-ca-file": certificates.cluster_ca,
            "service-account-private-key-file": self.layout.service_account_key,
            "use-service-account-credentials": "true",
            **self._serving("kube-controller-manager"),
        }
        return self._command("kube-controller-manager", options, files=(kubeconfig,))

    def scheduler(self) -> Command:
        """The scheduler."""
        config = self.layout.config("scheduler.json")
        options = {"config": config, **self._serving("kube-scheduler")}
        files = (config, self._kubeconfig(credentials.SCHEDULER))
        return self._command("kube-scheduler", options, files=files)

    def scheduler_config(self) -> dict[str, object]:
        """Content of the scheduler's configuration file."""
        return {
            "apiVersion": "kubescheduler.config.k8s.io/v1",
            "kind": "KubeSchedulerConfiguration",
            "clientConnection": {
                "kubeconfig": str(self._kubeconfig(credentials.SCHEDULER)),
                "qps": _CLIENT_REQUESTS_PER_SECOND,
                "burst": _CLIENT_BURST,
            },
            "leaderElection": {"leaderElect": False},
            # Simulated nodes are there within seconds: a pod should not wait longer for a retry.
            "podMaxBackoffSeconds": 2,
        }

    def kwok(self) -> Command:
        """Plays the kubelet of simulated nodes."""
        config = self.layout.config("kwok.json")
        kubeconfig = self._kubeconfig(credentials.KWOK)
        options = {
            "config": config,
            "kubeconfig": kubeconfig,
            "server-address": self._address("kwok"),
        }
        return self._command("kwok", options, files=(config, kubeconfig))

    def karpenter(self) -> Command:
        """Karpenter with its KWOK cloud provider."""
        instance_types = self.layout.config("instance-types.json")
        kubeconfig = self._kubeconfig(credentials.KARPENTER)
        environment = {
            "BATCH_IDLE_DURATION": _KARPENTER_IDLE,
            "BATCH_MAX_DURATION": _KARPENTER_BATCH,
            "DISABLE_LEADER_ELECTION": "true",
            "HEALTH_PROBE_PORT": str(self.ports["karpenter"]),
            "INSTANCE_TYPES_FILE_PATH": str(instance_types),
            "KUBECONFIG": str(kubeconfig),
            "METRICS_PORT": str(self.ports["karpenter-metrics"]),
            "SYSTEM_NAMESPACE": "kube-system",
        }
        files = (instance_types, kubeconfig)
        return self._command("karpenter", {}, files=files, environment=environment)

    def weights_store(self) -> Command:
        """S3 on a directory, for model stores."""
        options = {
            "directory": self.layout.weights,
            "key-file": self.layout.weights_key,
            "listen": self._address("weights-store"),
        }
        return self._command("weights-store", options, files=(self.layout.weights_key,))

    def _serving(self, name: str) -> dict[str, object]:
        certificates = self.layout.certificates
        return {
            "bind-address": LOOPBACK,
            "secure-port": self.ports[name],
            "tls-cert-file": certificates.certificate(name),
            "tls-private-key-file": certificates.key(name),
        }

    def _command(
        self,
        name: str,
        options: Mapping[str, object],
        *,
        files: tuple[Path, ...] = (),
        environment: Mapping[str, str] | None = None,
    ) -> Command:
        arguments = [f"--{option}={value}" for option, value in options.items()]
        return Command(
            name=name,
            arguments=(str(programs.binary(name)), *arguments),
            # Go programs look for a home and a folder for temporary files; theirs is the cluster's.
            environment={"HOME": str(self.layout.home), **(environment or {})},
            files=files,
        )

    def _kubeconfig(self, user: credentials.User) -> Path:
        return self.layout.user_kubeconfig(user.name)

    def _address(self, port: str) -> str:
        return f"{LOOPBACK}:{self.ports[port]}"

    def _url(self, port: str) -> str:
        return f"https://{self._address(port)}"
