"""A certificate authority for tests, and TLS servers with what is wrong about them as arguments."""

from __future__ import annotations

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = timedelta(days=1)
ROOT = "Loopback Root"


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


class Authority:
    """Issues certificates for loopback; ``ca_file`` is what a client must trust."""

    def __init__(
        self,
        folder: Path,
        *,
        strict: bool = True,
        starts_in: timedelta = -DAY,
        ends_in: timedelta = 900 * DAY,
        name: str = ROOT,
    ) -> None:
        self._folder = folder
        self._root_name = name
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._now = datetime.now(UTC)
        builder = self._builder(name, self._now + starts_in, self._now + ends_in, self._key.public_key(), name)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        if strict:
            builder = builder.add_extension(_ca_usage(), critical=True).add_extension(
                x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False
            )
        self._root = builder.sign(self._key, hashes.SHA256())
        self.ca_file = folder / "ca.pem"
        self.ca_file.write_bytes(self._root.public_bytes(serialization.Encoding.PEM))

    @staticmethod
    def _builder(
        subject: str, start: datetime, end: datetime, key: ec.EllipticCurvePublicKey, issuer: str
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(_name(subject))
            .issuer_name(_name(issuer))
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(end)
        )

    def server_file(
        self,
        *,
        names: tuple[str, ...] = ("127.0.0.1", "localhost"),
        starts_in: timedelta = -DAY,
        ends_in: timedelta = 60 * DAY,
        self_signed: bool = False,
        common_name_only: bool = False,
    ) -> Path:
        """Write a leaf as described and its key; return the file."""
        key = ec.generate_private_key(ec.SECP256R1())
        issuer = names[0] if self_signed else self._root_name
        builder = self._builder(names[0], self._now + starts_in, self._now + ends_in, key.public_key(), issuer)
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key((key if self_signed else self._key).public_key())
        if not common_name_only:
            builder = builder.add_extension(x509.SubjectAlternativeName([_san(name) for name in names]), critical=False)
        builder = builder.add_extension(authority, critical=False)
        leaf = builder.sign(key if self_signed else self._key, hashes.SHA256())
        path = self._folder / f"leaf-{leaf.serial_number}.pem"
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + leaf.public_bytes(serialization.Encoding.PEM)
        )
        return path

    def server(self, *, alpn: tuple[str, ...] = (), **leaf: Any) -> ssl.SSLContext:
        """Return a server's context with a leaf as in :meth:`server_file`."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.server_file(**leaf))
        context.num_tickets = 0
        if alpn:
            context.set_alpn_protocols(list(alpn))
        return context


def _san(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _ca_usage() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
