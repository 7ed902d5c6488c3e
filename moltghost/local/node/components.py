"""The command line of every process of the node."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from moltghost.local.build import programs, recipes
from moltghost.local.cluster import credentials
from moltghost.local.cluster.layout import Layout
from moltghost.local.cluster.ports import LOOPBACK
from moltghost.local.cluster.processes import Command
from moltghost.local.node.configuration import LABELS, NAME, Configuration, pretended
from moltghost.local.node.network import Cable
from moltghost.local.node.requirements import SEARCH_PATH
from moltghost.local.simulated.kwok import VOLUME_PROVISIONER

#: The process that holds the namespaces.
INIT = "machine"
#: Its file in them that says that mounts are in place.
READY = "/run/machine-ready"
#: Name and port by which pods reach the weights store.
WEIGHTS_SERVICE = ("weights", 7070)

_INIT_SCRIPT = Path(__file__).with_name("init.py")
# Files in containers and volumes belong to other users than root.
_UMASK = 0o022


@dataclass(frozen=True)
class NodeComponents:
    """Command lines of one cluster's node.

    Args:
        layout: the cluster's files.
        ports: of this machine, by name.
        cable: the node's network.
        configuration: of its programs.
    """

    layout: Layout
    ports: Mapping[str, int]
    cable: Cable
    configuration: Configuration

    def init(self, python: str) -> Command:
        """Holds the namespaces of all others.

        Args:
            python: the interpreter to run it with.
        """
        node = self.layout.node
        settings = {
            "kept": [str(self.layout.home), str(recipes.toolchain_home())],
            "bound": {
                "/var/lib/kubelet": str(node / "kubelet"),
                "/var/lib/containerd": str(node / "containerd"),
                "/var/log/pods": str(node / "pod-logs"),
            },
            "pretended": pretended(),
            "network": {
                "ipv4/ip_forward": "1",
                "ipv6/conf/all/disable_ipv6": "1",
                "ipv6/conf/default/disable_ipv6": "1",
            },
            "ready": READY,
        }
        return Command(
            name=INIT,
            arguments=(python, "-I", "-S", str(_INIT_SCRIPT), json.dumps(settings)),
            environment={"HOME": str(self.layout.home)},
            files=(_INIT_SCRIPT,),
            namespaces="new",
            umask=_UMASK,
        )

    def containerd(self, init_pid: int) -> Command:
        """Runs containers."""
        config = self.configuration.file("containerd.toml")
        shim = programs.binary("containerd-shim-runc-v2").parent
        return self._inside(
            "containerd",
            {"config": config},
            init_pid,
            files=(config,),
            path=f"{shim}:{SEARCH_PATH}",
        )

    def kubelet(self, init_pid: int) -> Command:
        """Runs pods."""
        config = self.configuration.file("kubelet.json")
        kubeconfig = self.layout.user_kubeconfig(credentials.KUBELET.name)
        certificates = self.layout.certificates
        options = {
            "config": config,
            "kubeconfig": kubeconfig,
            "hostname-override": NAME,
            "node-ip": self.cable.far,
            "node-labels": ",".join(f"{key}={value}" for key, value in LABELS.items()),
        }
        files = (config, kubeconfig, certificates.cluster_ca, certificates.certificate("kubelet"))
        return self._inside("kubelet", options, init_pid, files=files)

    def kube_proxy(self, init_pid: int) -> Command:
        """Makes Services reach their pods."""
        config = self.configuration.file("kube-proxy.json")
        files = (config, self.configuration.proxy_kubeconfig)
        return self._inside("kube-proxy", {"config": config}, init_pid, files=files)

    def coredns(self, init_pid: int) -> Command:
        """Resolves the names of Services."""
        config = self.configuration.file("Corefile")
        files = (config, self.configuration.dns_kubeconfig)
        return self._inside("coredns", {"conf": config}, init_pid, files=files)

    def forward(self, init_pid: int) -> Command:
        """Makes two processes of this machine reachable in the namespace.

        The API server at the address that it has here, for the node's programs; the weights store
        at the node's address, for pods.
        """
        server = f"{LOOPBACK}:{self.ports['kube-apiserver']}"
        weights = f"{LOOPBACK}:{self.ports['weights-store']}"
        _name, port = WEIGHTS_SERVICE
        forwards = {server: server, f"{self.cable.far}:{port}": weights}
        options = {
            "namespace": f"/proc/{init_pid}/ns/net",
            "forward": ",".join(f"{listen}={to}" for listen, to in forwards.items()),
            "health": f"{LOOPBACK}:{self.ports['machine-forward']}",
        }
        return self._outside("machine-forward", options)

    def volumes(self) -> Command:
        """Makes and removes the node's volumes."""
        kubeconfig = self.layout.user_kubeconfig(credentials.VOLUMES.name)
        options = {
            "kubeconfig": kubeconfig,
            "provisioner": VOLUME_PROVISIONER,
            "node": NAME,
            "folder": self.layout.node / "volumes",
            "health": f"{LOOPBACK}:{self.ports['machine-volumes']}",
        }
        return self._outside("machine-volumes", options, files=(kubeconfig,))

    def _outside(
        self, name: str, options: Mapping[str, object], files: tuple[Path, ...] = ()
    ) -> Command:
        return Command(
            name=name,
            arguments=_arguments(name, options),
            environment={"HOME": str(self.layout.home)},
            files=files,
        )

    def _inside(
        self,
        name: str,
        options: Mapping[str, object],
        init_pid: int,
        *,
        files: tuple[Path, ...],
        path: str = SEARCH_PATH,
    ) -> Command:
        return Command(
            name=name,
            arguments=_arguments(name, options),
            environment={"HOME": str(self.layout.home), "PATH": path},
            files=files,
            namespaces=str(init_pid),
            umask=_UMASK,
        )


def _arguments(name: str, options: Mapping[str, object]) -> tuple[str, ...]:
    return str(programs.binary(name)), *(f"--{key}={value}" for key, value in options.items())
