"""Our own client opens the kubeconfig that the cloud stack of an environment on AWS exports."""

from __future__ import annotations

import base64
import json
import ssl
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest import mock

import pulumi
import pytest

from moltghost.kube.client import Client
from moltghost.local.cluster.certificates import CertificatePaths, ensure_certificates
from tests import rendering

TOKEN = "k8s-aws-v1.c2lnbmVk"
# As `aws eks get-token` prints it where KUBERNETES_EXEC_INFO isn't set.
AWS = f"""\
#!{sys.executable}
import json, sys
asked = ["eks", "get-token", "--cluster-name", "moltghost-prod", "--region", "us-east-1"]
assert sys.argv[1:] == [*asked, "--output", "json"], sys.argv
json.dump({{
    "kind": "ExecCredential",
    "apiVersion": "client.authentication.k8s.io/v1beta1",
    "spec": {{}},
    "status": {{"expirationTimestamp": "2030-01-01T00:00:00Z", "token": "{TOKEN}"}},
}}, sys.stdout)
"""


class Cluster(BaseHTTPRequestHandler):
    """Has one namespace, for whoever brings the token."""

    def do_GET(self) -> None:
        known = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        kinds = [{"kind": "Namespace", "name": "namespaces", "namespaced": False}]
        found: Any = {"metadata": {"uid": "the-cluster"}}
        body = json.dumps({"resources": kinds} if self.path == "/api/v1" else found).encode()
        self.send_response(200 if known else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: Any) -> None:
        """Say nothing."""


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """A server with a certificate of its own authority, as AWS tells of it."""
    certificates = CertificatePaths(tmp_path / "certificates")
    ensure_certificates(certificates.home, service_address="10.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(
        certificates.certificate("kube-apiserver"), certificates.key("kube-apiserver")
    )
    with ThreadingHTTPServer(("127.0.0.1", 0), Cluster) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield {
            "endpoint": f"https://127.0.0.1:{server.server_port}",
            "certificateAuthority": {
                "data": base64.b64encode(certificates.cluster_ca.read_bytes()).decode()
            },
        }
        server.shutdown()
        thread.join()


def exported_kubeconfig(cluster: dict[str, Any]) -> str:
    """What stack `prod` exports when AWS says this of its cluster."""
    found: list[str] = []

    def export(name: str, value: Any) -> None:
        if name == "kubeconfig":
            pulumi.Output.from_input(value).apply(found.append)

    computed = {"aws:eks/cluster:Cluster": cluster}
    with mock.patch("pulumi.export", export), mock.patch.dict(rendering.COMPUTED, computed):
        rendering.render("prod")
    [text] = found
    return text


def test_our_client_gets_in_with_the_exported_kubeconfig_and_a_token_of_the_aws_cli(
    cluster: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "aws").write_text(AWS)
    (programs / "aws").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))
    file = tmp_path / "kubeconfig"
    file.write_text(exported_kubeconfig(cluster))

    client = Client(file)

    assert client.cluster_uid() == "the-cluster"
    client.close()
