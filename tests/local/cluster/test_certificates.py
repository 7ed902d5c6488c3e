from __future__ import annotations

import datetime
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from moltghost.local.cluster import certificates
from moltghost.local.cluster.certificates import (
    CertificatePaths,
    ensure_certificates,
    ensure_service_account_key,
)

SERVICE_ADDRESS = "10.96.0.1"


@pytest.fixture
def issued(tmp_path: Path) -> CertificatePaths:
    assert ensure_certificates(tmp_path, service_address=SERVICE_ADDRESS)
    return CertificatePaths(tmp_path)


def load(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def usages(certificate: x509.Certificate) -> set[x509.ObjectIdentifier]:
    extension = certificate.extensions.get_extension_for_oid(ExtensionOID.EXTENDED_KEY_USAGE)
    return set(extension.value)  # type: ignore[arg-type]


def names(certificate: x509.Certificate) -> set[str]:
    extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return {str(name.value) for name in extension.value}


def test_every_file_is_private(issued: CertificatePaths) -> None:
    files = list(issued.home.iterdir())
    assert files
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_no_private_key_of_an_authority_is_written(issued: CertificatePaths) -> None:
    assert not list(issued.home.glob("*ca.key"))
    assert issued.cluster_ca.exists()
    assert issued.etcd_ca.exists()


def test_etcd_has_an_authority_of_its_own(issued: CertificatePaths) -> None:
    etcd_authority, cluster_authority = load(issued.etcd_ca), load(issued.cluster_ca)
    for name in ("etcd", "etcd-client"):
        load(issued.certificate(name)).verify_directly_issued_by(etcd_authority)
    with pytest.raises(ValueError, match=r"(?i)issuer"):
        load(issued.certificate("kube-apiserver")).verify_directly_issued_by(etcd_authority)
    load(issued.certificate("kube-apiserver")).verify_directly_issued_by(cluster_authority)


def test_servers_are_valid_on_loopback_and_only_etcds_certificates_are_for_clients(
    issued: CertificatePaths,
) -> None:
    for name in ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"):
        certificate = load(issued.certificate(name))
        assert "127.0.0.1" in names(certificate)
        assert ExtendedKeyUsageOID.SERVER_AUTH in usages(certificate)
        is_client = ExtendedKeyUsageOID.CLIENT_AUTH in usages(certificate)
        assert is_client == (name == "etcd")
    assert usages(load(issued.certificate("etcd-client"))) == {ExtendedKeyUsageOID.CLIENT_AUTH}


def test_pods_reach_the_api_server_by_its_service(issued: CertificatePaths) -> None:
    certificate = load(issued.certificate("kube-apiserver"))
    assert {SERVICE_ADDRESS, "kubernetes.default.svc"} <= names(certificate)


def test_the_kubelets_certificate_is_for_the_nodes_address_and_follows_it(tmp_path: Path) -> None:
    for address in ("198.18.7.2", "198.18.8.2"):
        issue = {"service_address": SERVICE_ADDRESS, "node_address": address}
        assert ensure_certificates(tmp_path, **issue)
        assert not ensure_certificates(tmp_path, **issue)
        assert names(load(tmp_path / "kubelet.crt")) == {address, "localhost"}
    assert usages(load(tmp_path / "kubelet.crt")) == {ExtendedKeyUsageOID.SERVER_AUTH}


def test_the_api_server_shows_the_kubelet_who_it_is(issued: CertificatePaths) -> None:
    certificate = load(issued.certificate("kubelet-client"))
    certificate.verify_directly_issued_by(load(issued.cluster_ca))
    assert certificate.subject.rfc4514_string() == "CN=kubelet-client"
    assert usages(certificate) == {ExtendedKeyUsageOID.CLIENT_AUTH}


def test_valid_certificates_are_kept(issued: CertificatePaths) -> None:
    before = {file: file.read_bytes() for file in issued.home.iterdir()}
    assert not ensure_certificates(issued.home, service_address=SERVICE_ADDRESS)
    assert before == {file: file.read_bytes() for file in issued.home.iterdir()}


def test_all_are_renewed_a_month_before_they_expire(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificates, "VALIDITY", datetime.timedelta(days=29))
    ensure_certificates(tmp_path, service_address=SERVICE_ADDRESS)
    old = CertificatePaths(tmp_path).cluster_ca.read_bytes()
    monkeypatch.undo()
    assert ensure_certificates(tmp_path, service_address=SERVICE_ADDRESS)
    assert CertificatePaths(tmp_path).cluster_ca.read_bytes() != old


@pytest.mark.parametrize("lost", ["ca.crt", "etcd.key", "kube-scheduler.crt"])
def test_a_lost_file_is_replaced_with_all_that_belongs_to_it(
    issued: CertificatePaths, lost: str
) -> None:
    (issued.home / lost).unlink()
    assert ensure_certificates(issued.home, service_address=SERVICE_ADDRESS)
    authority = load(issued.cluster_ca)
    load(issued.certificate("kube-scheduler")).verify_directly_issued_by(authority)


@pytest.mark.parametrize("writes", range(1, 16))
def test_what_an_interrupted_issue_left_is_issued_anew(
    issued: CertificatePaths, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    left = writes
    write = certificates.write_private

    def full_disk(path: Path, content: bytes | str, *, durable: bool) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(28, "No space left on device")
        write(path, content, durable=durable)

    address = {"service_address": SERVICE_ADDRESS, "node_address": "198.18.7.2"}
    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space"):
        patch.setattr(certificates, "write_private", full_disk)
        ensure_certificates(issued.home, **address)
    assert ensure_certificates(issued.home, **address)
    for name in ("kubelet", "kube-apiserver", "kube-scheduler"):
        load(issued.certificate(name)).verify_directly_issued_by(load(issued.cluster_ca))
    for name in ("etcd", "etcd-client"):
        load(issued.certificate(name)).verify_directly_issued_by(load(issued.etcd_ca))
    assert not ensure_certificates(issued.home, **address)


def test_a_certificate_for_another_key_is_issued_anew(issued: CertificatePaths) -> None:
    issued.key("etcd").write_bytes(issued.key("etcd-client").read_bytes())
    assert ensure_certificates(issued.home, service_address=SERVICE_ADDRESS)


def test_the_service_account_key_outlives_a_renewal(tmp_path: Path) -> None:
    key = tmp_path / "service-account.key"
    ensure_service_account_key(key)
    before = key.read_bytes()
    ensure_service_account_key(key)
    assert key.read_bytes() == before
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert b"BEGIN EC PRIVATE KEY" in before  # the API server reads no public half from PKCS #8
