"""Whether a process answers: one request to each one's own health endpoint."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from moltghost.local.cluster import credentials
from moltghost.local.cluster.layout import Layout
from moltghost.local.cluster.ports import LOOPBACK

_TIMEOUT_SECONDS = 2.0


class Check(Protocol):
    """Tells whether a process is healthy now."""

    def passes(self) -> bool:
        """Whether it is. Never raises."""
        ...


@dataclass(frozen=True, kw_only=True)
class HealthCheck:
    """One request that a healthy process answers with 200.

    Args:
        port: of the process.
        path: of the URL.
        authority: certificate of the server's authority; ``None`` for plain HTTP.
        client: certificate and key that the server asks for.
        headers: to send, such as a token.
        host: its address.
    """

    port: int
    path: str
    authority: Path | None = None
    client: tuple[Path, Path] | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    host: str = LOOPBACK

    def passes(self) -> bool:
        """Whether the process is healthy now. Never raises."""
        try:
            connection = self._connect()
            try:
                connection.request("GET", self.path, headers=dict(self.headers))
                return connection.getresponse().status == http.client.OK
            finally:
                connection.close()
        except (OSError, http.client.HTTPException, ValueError):
            return False

    def _connect(self) -> http.client.HTTPConnection:
        if self.authority is None:
            return http.client.HTTPConnection(self.host, self.port, timeout=_TIMEOUT_SECONDS)
        context = ssl.create_default_context(cafile=self.authority)
        if self.client:
            context.load_cert_chain(*self.client)
        return http.client.HTTPSConnection(
            self.host, self.port, timeout=_TIMEOUT_SECONDS, context=context
        )


def health_checks(layout: Layout, ports: Mapping[str, int]) -> dict[str, Check]:
    """The check of every process whose port is known."""
    certificates = layout.certificates
    etcd_client = certificates.certificate("etcd-client"), certificates.key("etcd-client")
    checks = {
        "etcd": ("/readyz", certificates.etcd_ca, etcd_client, {}),
        "kube-apiserver": ("/readyz", certificates.cluster_ca, None, _admin_header(layout)),
        "kube-controller-manager": ("/healthz", certificates.cluster_ca, None, {}),
        "kube-scheduler": ("/readyz", certificates.cluster_ca, None, {}),
        "kwok": ("/healthz", None, None, {}),
        "karpenter": ("/readyz", None, None, {}),
        "weights-store": ("/healthz", None, None, {}),
    }
    return {
        name: HealthCheck(
            port=ports[name], path=path, authority=authority, client=client, headers=headers
        )
        for name, (path, authority, client, headers) in checks.items()
        if name in ports
    }


def _admin_header(layout: Layout) -> dict[str, str]:
    token = credentials.read_tokens(layout.tokens).get(credentials.ADMIN.name, "")
    return {"Authorization": f"Bearer {token}"}
