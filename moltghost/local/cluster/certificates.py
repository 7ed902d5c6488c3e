"""Certificates of one cluster: two authorities, server and client certificates, on loopback.

The authorities' private keys exist only while the certificates are issued: they are never
written. etcd has an authority of its own, so that no other client certificate opens it.
"""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from moltghost.files import write_private

VALIDITY = datetime.timedelta(days=365)
RENEW_BEFORE = datetime.timedelta(days=30)

# The API server also answers under its Service's names and its first Service address.
_API_NAMES = (
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)
_LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class CertificatePaths:
    """Where one cluster's certificates and keys are; ``*_key`` files have mode 0600."""

    home: Path

    def certificate(self, name: str) -> Path:
        """PEM certificate of an authority, server or client."""
        return self.home / f"{name}.crt"

    def key(self, name: str) -> Path:
        """PEM private key of a server or client."""
        return self.home / f"{name}.key"

    @property
    def cluster_ca(self) -> Path:
        """Authority of the API server, the controller manager and the scheduler."""
        return self.certificate("ca")

    @property
    def etcd_ca(self) -> Path:
        """Authority of etcd and its only client."""
        return self.certificate("etcd-ca")


@dataclass(frozen=True, kw_only=True)
class _Leaf:
    name: str
    authority: str
    server: bool = False
    client: bool = False
    addresses: tuple[str, ...] = (_LOOPBACK,)
    names: tuple[str, ...] = ("localhost",)


def _leaves(service_address: str, node_address: str) -> tuple[_Leaf, ...]:
    api_addresses = (_LOOPBACK, service_address)
    kubelet = _Leaf(name="kubelet", authority="ca", server=True, addresses=(node_address,))
    return (
        *((kubelet,) if node_address else ()),
        # The API server's, when it talks to a kubelet; the name is a user of the kubelet.
        _Leaf(name="kubelet-client", authority="ca", client=True),
        _Leaf(name="etcd", authority="etcd-ca", server=True, client=True),
        _Leaf(name="etcd-client", authority="etcd-ca", client=True),
        _Leaf(
            name="kube-apiserver",
            authority="ca",
            server=True,
            addresses=api_addresses,
            names=_API_NAMES,
        ),
        _Leaf(name="kube-controller-manager", authority="ca", server=True),
        _Leaf(name="kube-scheduler", authority="ca", server=True),
    )


def ensure_certificates(home: Path, *, service_address: str, node_address: str = "") -> bool:
    """Issue all certificates anew if one is missing, expires within 30 days or names others.

    What an interrupted issue left, certificates of another authority or for another key, is
    recognised and issued anew as well.

    Args:
        home: folder for the files.
        service_address: first address of the Service range, where pods find the API server.
        node_address: where the kubelet of this machine's node listens; "" for a cluster without.

    Returns:
        Whether certificates were issued; whoever uses the old ones must then be restarted.
    """
    found = CertificatePaths(home)
    leaves = _leaves(service_address, node_address)
    authority_names = sorted({leaf.authority for leaf in leaves})
    there = {name: _load(found.certificate(name)) for name in authority_names}
    if all(there.values()) and all(_is_good(leaf, there[leaf.authority], found) for leaf in leaves):
        return False
    authorities = {name: _Authority(name) for name in authority_names}
    for leaf in leaves:
        authorities[leaf.authority].issue(leaf, found)
    for name, authority in authorities.items():
        write_private(found.certificate(name), authority.pem, durable=False)
    return True


def ensure_service_account_key(path: Path) -> None:
    """The key that signs service account tokens; kept over renewals of the certificates."""
    if not path.exists():
        write_private(path, _private_pem(ec.generate_private_key(ec.SECP256R1())), durable=False)


def _load(path: Path) -> x509.Certificate | None:
    """The certificate in a file; None without one that is valid for a while."""
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return certificate if certificate.not_valid_after_utc - _now() > RENEW_BEFORE else None


def _is_good(leaf: _Leaf, authority: x509.Certificate | None, found: CertificatePaths) -> bool:
    """Whether a leaf's certificate is its authority's, for its names and the key beside it."""
    certificate = _load(found.certificate(leaf.name))
    if certificate is None or authority is None:
        return False
    try:
        certificate.verify_directly_issued_by(authority)
        key = serialization.load_pem_private_key(found.key(leaf.name).read_bytes(), password=None)
    except (FileNotFoundError, ValueError, InvalidSignature):
        return False
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return names.value == _alternative_names(leaf) and certificate.public_key() == key.public_key()


class _Authority:
    def __init__(self, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _common_name(f"moltghost-local-{name}")
        builder = _builder(self._name, self._name, self._key.public_key())
        constraints = x509.BasicConstraints(ca=True, path_length=0)
        builder = builder.add_extension(constraints, critical=True)
        builder = builder.add_extension(_key_usage(authority=True), critical=True)
        self._certificate = builder.sign(self._key, hashes.SHA256())

    @property
    def pem(self) -> bytes:
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    def issue(self, leaf: _Leaf, target: CertificatePaths) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_common_name(leaf.name), self._name, key.public_key())
        usages = [ExtendedKeyUsageOID.SERVER_AUTH] * leaf.server
        usages += [ExtendedKeyUsageOID.CLIENT_AUTH] * leaf.client
        constraints = x509.BasicConstraints(ca=False, path_length=None)
        builder = builder.add_extension(constraints, critical=True)
        builder = builder.add_extension(_key_usage(authority=False), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        builder = builder.add_extension(_alternative_names(leaf), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        write_private(target.key(leaf.name), _private_pem(key), durable=False)
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        write_private(target.certificate(leaf.name), pem, durable=False)


def _builder(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        # An hour back, for clocks that are set back a little.
        .not_valid_before(_now() - datetime.timedelta(hours=1))
        .not_valid_after(_now() + VALIDITY)
    )


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _alternative_names(leaf: _Leaf) -> x509.SubjectAlternativeName:
    addresses = [x509.IPAddress(ipaddress.ip_address(address)) for address in leaf.addresses]
    return x509.SubjectAlternativeName([*map(x509.DNSName, leaf.names), *addresses])


def _common_name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        # Not PKCS #8, of which the API server can't take the public half for checking tokens.
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
