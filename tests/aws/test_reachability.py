"""The knock at an endpoint, on sockets of this machine."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from botocore.exceptions import EndpointConnectionError, ProxyConnectionError, SSLError

from moltghost.aws.clients import Clients
from moltghost.aws.reachability import knock
from moltghost.local.cluster.certificates import CertificatePaths, ensure_certificates

KMS = "https://kms.us-east-1.amazonaws.com"


class _Refusing(BaseHTTPRequestHandler):
    """Answers as AWS does to a request without a signature; as a proxy it lets nothing through."""

    def do_HEAD(self) -> None:
        self.send_response(403)
        self.end_headers()

    do_CONNECT = do_HEAD

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(loopback: None) -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Refusing) as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield made
        made.shutdown()


def test_any_answer_will_do(server: ThreadingHTTPServer) -> None:
    knock(f"http://127.0.0.1:{server.server_port}")


def test_a_closed_port_is_no_answer(loopback: None) -> None:
    with pytest.raises(EndpointConnectionError) as caught:
        knock("http://127.0.0.1:9")
    assert "Connection refused" in str(caught.value.kwargs["error"])


def test_a_certificate_must_be_of_an_authority_that_is_trusted(
    server: ThreadingHTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure_certificates(tmp_path, service_address="10.0.0.1")
    paths = CertificatePaths(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(paths.certificate("kube-scheduler"), paths.key("kube-scheduler"))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    url = f"https://127.0.0.1:{server.server_port}"
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    with pytest.raises(SSLError, match="certificate verify failed"):
        knock(url)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(paths.cluster_ca))
    knock(url)


def test_a_proxy_that_does_not_let_through_is_no_answer(
    server: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:secret@127.0.0.1:{server.server_port}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with pytest.raises(ProxyConnectionError) as caught:
        knock(KMS)
    assert "secret" not in str(caught.value)


def test_nothing_leaves_this_machine(loopback: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HTTPS_PROXY", raising=False)
    monkeypatch.delenv("https_proxy", raising=False)
    with pytest.raises(Exception, match="a test tried to reach kms"):
        knock(KMS)


@pytest.mark.parametrize(
    ("settings", "service", "expected"),
    [
        ({}, "kms", KMS),
        ({}, "iam", "https://iam.amazonaws.com"),
        ({}, "pricing", "https://api.pricing.us-east-1.amazonaws.com"),
        ({"AWS_USE_FIPS_ENDPOINT": "true"}, "s3", "https://s3-fips.us-east-1.amazonaws.com"),
        ({"AWS_USE_FIPS_ENDPOINT": "true"}, "budgets", "https://budgets-fips.amazonaws.com"),
        ({"AWS_ENDPOINT_URL_KMS": "http://127.0.0.1:9"}, "kms", "http://127.0.0.1:9"),
    ],
)
def test_an_address_is_the_one_that_calls_go_to(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], service: str, expected: str
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)

    assert Clients("us-east-1").address(service) == expected


def test_prices_are_asked_where_they_are_known() -> None:
    clients = Clients("eu-central-1")
    assert clients.address("pricing") == "https://api.pricing.us-east-1.amazonaws.com"
    assert clients.address("kms") == "https://kms.eu-central-1.amazonaws.com"
