"""The guard: which addresses may be talked to. Asked for every resolved address, and only such are connected to."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

METADATA: frozenset[Address] = frozenset(
    ip_address(text)
    for text in (
        "169.254.169.254",  # AWS, Google, Azure, OpenStack, Oracle, DigitalOcean
        "169.254.169.253",  # AWS resolver
        "169.254.169.123",  # AWS time
        "169.254.170.2",  # AWS container credentials
        "169.254.170.23",  # AWS EKS pod identity
        "169.254.0.23",  # Tencent
        "100.100.100.200",  # Alibaba
        "168.63.129.16",  # Azure's host: a public address by its range
        "192.0.0.192",  # Oracle classic
        "fd00:ec2::254",
        "fd00:ec2::253",
        "fd00:ec2::23",
        "fd20:ce::254",  # Google
    )
)
"""Cloud metadata services: they hand out credentials, so no allow list opens them."""

METADATA_WORDS = "a cloud metadata service"
NAT64 = ip_network("64:ff9b::/96")
NAT64_LOCAL = ip_network("64:ff9b:1::/48")
COMPATIBLE = ip_network("::/96")
TRANSLATED = ip_network("::ffff:0:0:0/96")  # RFC 2765: what a stateless translator makes of an IPv4 address
REFUSED: tuple[tuple[Network, str], ...] = (
    (ip_network("0.0.0.0/8"), "this network"),
    (ip_network("100.64.0.0/10"), "carrier-grade NAT"),
    (ip_network("192.0.0.0/24"), "protocol assignments"),
    (ip_network("192.88.99.0/24"), "6to4 relay"),
    (COMPATIBLE, "IPv4-compatible"),
    (NAT64_LOCAL, "local NAT64"),
    (ip_network("2001::/32"), "Teredo"),
    (ip_network("5f00::/16"), "segment routing"),
    (ip_network("3fff::/20"), "documentation"),
    (ip_network("fec0::/10"), "site-local"),
)
"""Ranges that :mod:`ipaddress` of some supported Python calls global although nobody public lives there."""


def embedded(address: Address) -> tuple[IPv4Address, ...]:
    """Return the IPv4 addresses that an IPv6 address would really reach: mapped, NAT64, 6to4, Teredo, ISATAP."""
    if isinstance(address, IPv4Address):
        return ()
    found = [inner for inner in (address.ipv4_mapped, address.sixtofour) if inner is not None]
    found += address.teredo or ()
    low = IPv4Address(int(address) & 0xFFFFFFFF)
    if any(address in network for network in (NAT64, NAT64_LOCAL, COMPATIBLE, TRANSLATED)):
        found.append(low)
    if address in NAT64_LOCAL:  # RFC 6052, 2.2: behind a prefix of 48 bits the address steps over bits 64 to 71
        high, rest = (int(address) >> 64) & 0xFFFF, (int(address) >> 40) & 0xFFFF
        found.append(IPv4Address(high << 16 | rest))
    if (int(address) >> 32) & 0xFCFFFFFF == 0x5EFE:  # ISATAP: the bits above 0x5efe may say "universal" or "group"
        found.append(low)
    return tuple(found)


def _class_of(address: Address) -> str:
    """Return the name of the range that forbids *address*, or nothing."""
    for network, name in REFUSED:
        if address.version == network.version and address in network:
            return name
    for name in ("unspecified", "loopback", "link_local", "multicast", "private", "reserved"):
        if getattr(address, f"is_{name}"):
            return name.replace("_", "-")
    return "" if address.is_global else "not a public address"


class Guard:
    """The address policy: public addresses, and the networks allowed by name; metadata services never."""

    def __init__(self, allow_networks: Sequence[str] = ()) -> None:
        self.allowed: tuple[Network, ...] = tuple(ip_network(text, strict=False) for text in allow_networks)
        self.refusal = lru_cache(maxsize=4096)(self._refusal)

    def operators_refusal(self, text: str) -> str:
        """Return why an address that the operator named as a way out is refused: only metadata services are."""
        refusal: str = self.refusal(text)
        return refusal if refusal in (METADATA_WORDS, "not an IP address") else ""

    def _refusal(self, text: str) -> str:
        """Return why the address *text* is refused, or an empty string when it may be talked to."""
        try:
            address: Address = ip_address(text)
        except ValueError:
            return "not an IP address"
        if isinstance(address, IPv6Address) and address.scope_id:
            address = IPv6Address(int(address))
        inner = embedded(address)
        if any(one in METADATA for one in (address, *inner)):
            return METADATA_WORDS
        if self._is_allowed(address):
            return ""
        if isinstance(address, IPv6Address) and (address.ipv4_mapped is not None or address in NAT64):
            return self._refusal(str(inner[0]))  # only the embedded address is reached, so only it is checked
        refusals = (_class_of(one) for one in (address, *inner) if not self._is_allowed(one))
        return next((refusal for refusal in refusals if refusal), "")

    def refusal_of_others(self, text: str) -> str:
        """Return why the address *text* is none of the operator's own, or an empty string where it is."""
        try:
            own = self._is_allowed(ip_address(text))
        except ValueError:
            own = False
        return self.refusal(text) or ("" if own else "not in a network of your own, named under allow_networks")

    def _is_allowed(self, address: Address) -> bool:
        return any(address.version == network.version and address in network for network in self.allowed)
