"""Networks that a file may open to probes: by name and narrow enough that the guard still guards."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network

from monitor.wire.guard import COMPATIBLE, METADATA, NAT64, NAT64_LOCAL, TRANSLATED, embedded

BROADEST = {4: 8, 6: 7}
"""Version → the shortest prefix that somebody owns: 10.0.0.0/8, 127.0.0.0/8 and fc00::/7."""
_STANDS_FOR = (
    *((network, 96) for network in (ip_network("::ffff:0:0/96"), NAT64, COMPATIBLE, TRANSLATED)),
    (NAT64_LOCAL, 48),
    (ip_network("2002::/16"), 16),
    (ip_network("2001::/32"), 96),  # Teredo: of the two it holds, the one that is spoken to
)
"""Ranges whose addresses stand for IPv4 ones, and the bit at which those begin."""
_EXAMPLE = "write it as in 10.0.0.0/8 or fd00::/8"


def network_fault(text: str) -> tuple[str, str] | None:
    """Return what is wrong with an entry of ``allow_networks`` and what to do, or None."""
    try:
        network = ip_network(text)
    except ValueError:
        return "is not a network", _EXAMPLE
    if network.prefixlen < _shortest(network):
        return "is too broad: it opens what is not yours", f"name your own networks, {_EXAMPLE}"
    one = network.network_address
    if network.num_addresses == 1 and METADATA.intersection((one, *embedded(one))):
        return "is a cloud metadata service, which no entry opens", "take it out"
    return None


def _shortest(network: IPv4Network | IPv6Network) -> int:
    """Return the shortest prefix that is allowed where a network lies."""
    if isinstance(network, IPv4Network):
        return BROADEST[4]
    begins = [bit for other, bit in _STANDS_FOR if isinstance(other, IPv6Network) and network.overlaps(other)]
    return max([BROADEST[6], *(bit + BROADEST[4] for bit in begins)])
