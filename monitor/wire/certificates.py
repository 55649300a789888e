"""What a certificate chain says, read with ``cryptography`` and remembered per chain."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from monitor.core.model.observations import Certificate
from monitor.core.model.warning_codes import WarningCode, WarningText, detailed

NAME_CHARACTERS = 200
CHAIN_LENGTH = 10
REMEMBERED_BYTES = 16 * 1024
"""Longer chains are read anew each time: a server may send another one of a hundred kilobytes at every look."""


class Facts(NamedTuple):
    """The leaf's facts and what a strict verifier would dislike."""

    certificate: Certificate
    warnings: tuple[WarningText, ...]
    has_names: bool
    """False for one whose only name is its common name, which nobody looks at any more."""


def facts_of(connection: ssl.SSLObject, *, trusted: bool) -> Facts | None:
    """Return the facts of the peer's chain after a handshake; ``None`` when it cannot be read."""
    leaf = connection.getpeercert(binary_form=True)
    if leaf is None:
        return None
    chain = (leaf, *_rest_of_chain(connection, trusted))
    read = _facts if sum(map(len, chain)) <= REMEMBERED_BYTES else _facts.__wrapped__
    return read(chain, trusted)


def _rest_of_chain(connection: ssl.SSLObject, trusted: bool) -> Sequence[bytes]:
    name = "get_verified_chain" if trusted else "get_unverified_chain"
    try:
        public = getattr(connection, name, None)
        if public is not None:  # Python 3.13
            chain = public()
        else:  # the same under a private name, since Python 3.10
            chain = [one.public_bytes(2) for one in getattr(connection._sslobj, name)() or ()]  # type: ignore[attr-defined]  # noqa: SLF001
    except (AttributeError, ssl.SSLError):
        return ()
    return tuple(chain[1:CHAIN_LENGTH])


@lru_cache(maxsize=512)
def _facts(chain: tuple[bytes, ...], trusted: bool) -> Facts | None:
    try:
        parsed = [x509.load_der_x509_certificate(one) for one in chain]
        leaf = parsed[0]
        certificate = Certificate(
            not_after=leaf.not_valid_after_utc,
            subject=_name(leaf.subject) or _first_san(leaf),
            issuer=_name(leaf.issuer),
            fingerprint_sha256=leaf.fingerprint(hashes.SHA256()).hex(),
            trusted=trusted,
            chain_not_after=_earliest(parsed),
        )
        names = _has(leaf, x509.SubjectAlternativeName)
        return Facts(certificate, _strict_faults(parsed) if trusted else (), names)
    except (ValueError, TypeError):  # OpenSSL swallowed what the stricter parser refuses
        return None


def _earliest(chain: Sequence[x509.Certificate]) -> datetime:
    return min(one.not_valid_after_utc for one in chain)


def _name(name: x509.Name) -> str:
    for oid in (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME):
        for attribute in name.get_attributes_for_oid(oid):
            return str(attribute.value)[:NAME_CHARACTERS]
    return name.rfc4514_string()[:NAME_CHARACTERS]


def _first_san(leaf: x509.Certificate) -> str:
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ""
    return next(iter(names.get_values_for_type(x509.DNSName)), "")[:NAME_CHARACTERS]


def _strict_faults(chain: Sequence[x509.Certificate]) -> tuple[WarningText, ...]:
    """Return what OpenSSL's strict mode (RFC 5280) would refuse in a chain that was accepted without it."""
    faults: list[WarningText] = []
    for authority in chain[1:]:
        faults += _authority_faults(authority)
    for one in chain:
        is_root = one.subject == one.issuer
        if not is_root and not _has(one, x509.AuthorityKeyIdentifier):
            faults.append(detailed(WarningCode.TLS_STRICT, "no authority key identifier"))
    return tuple(dict.fromkeys(faults))


def _authority_faults(authority: x509.Certificate) -> list[WarningText]:
    faults = []
    try:
        if not authority.extensions.get_extension_for_class(x509.BasicConstraints).critical:
            faults.append(detailed(WarningCode.TLS_STRICT, "basic constraints of the CA not critical"))
    except x509.ExtensionNotFound:
        faults.append(detailed(WarningCode.TLS_STRICT, "CA without basic constraints"))
    if not _has(authority, x509.KeyUsage):
        faults.append(detailed(WarningCode.TLS_STRICT, "CA without key usage"))
    if not _has(authority, x509.SubjectKeyIdentifier):
        faults.append(detailed(WarningCode.TLS_STRICT, "CA without subject key identifier"))
    return faults


def _has(one: x509.Certificate, kind: type[x509.ExtensionType]) -> bool:
    try:
        one.extensions.get_extension_for_class(kind)
    except x509.ExtensionNotFound:
        return False
    return True
