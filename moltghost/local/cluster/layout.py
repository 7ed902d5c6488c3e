"""Where the files of one cluster are, below its home."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from moltghost.local.cluster.certificates import CertificatePaths


@dataclass(frozen=True)
class Layout:
    """Paths of one cluster."""

    home: Path

    @property
    def lock(self) -> Path:
        """Held by whoever changes the cluster."""
        return self.home / "lock"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.home / "kubeconfig"

    @property
    def ports(self) -> Path:
        """The remembered ports."""
        return self.home / "ports.json"

    @property
    def machine(self) -> Path:
        """Whether the cluster has a node on this machine, and its addresses."""
        return self.home / "machine.json"

    @property
    def node(self) -> Path:
        """What that node keeps: images, containers, volumes, logs of pods."""
        return self.home / "node"

    @property
    def bootstrapped(self) -> Path:
        """Which objects were applied to which cluster."""
        return self.home / "bootstrapped.json"

    @property
    def etcd_data(self) -> Path:
        """The store of the API server."""
        return self.home / "etcd"

    @property
    def certificates(self) -> CertificatePaths:
        """Certificates and keys."""
        return CertificatePaths(self.home / "certificates")

    @property
    def service_account_key(self) -> Path:
        """Signs service account tokens."""
        return self.home / "credentials" / "service-account.key"

    @property
    def tokens(self) -> Path:
        """The API server's static token file."""
        return self.home / "credentials" / "tokens.csv"

    @property
    def weights(self) -> Path:
        """Objects of the weights store."""
        return self.home / "weights"

    @property
    def weights_key(self) -> Path:
        """Who may write to the weights store."""
        return self.home / "credentials" / "weights-store.json"

    def user_kubeconfig(self, user: str) -> Path:
        """The kubeconfig of a component."""
        return self.home / "credentials" / f"{user.replace(':', '-')}.kubeconfig"

    def config(self, name: str) -> Path:
        """A component's configuration file."""
        return self.home / "config" / name
