"""Which targets have no common cause but us: other vendors, at other hosts.

Probes of one service share a cause, and so do services at one registrable host, for two keys of one vendor are not two
vendors, and services of which one depends on the other by the configuration. What the vendor's own page says belongs
to its service, wherever that page is hosted.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from monitor.core.catalogue import Catalogue, service_of
from monitor.core.model.depth import by_address

_SECOND_LEVEL = frozenset({"ac", "co", "com", "edu", "go", "gov", "ne", "net", "or", "org"})
"""Names under which countries register, as in ``example.co.uk``: a rule of thumb, not the public suffix list."""
CONTROL = "control "
"""What the group of a control target begins with; no service has a blank in its id."""


def registrable(target: str) -> str:
    """Return the part of a host that somebody registered, as ``deepseek.com``; an address comes back whole."""
    if by_address(target) or not target:
        return target
    labels = target.partition(":")[0].rstrip(".").lower().split(".")
    is_country = len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _SECOND_LEVEL
    return ".".join(labels[-3 if is_country else -2 :])


def groups(catalogue: Catalogue) -> dict[str, str]:
    """Return for each probe's id the group it belongs to: those of one group may fail together without us.

    A service stands where the first of its probes looks.
    """
    hosts: dict[str, str] = {}
    for probe in catalogue.probes:
        if not (probe.witness or probe.control) and probe.target and not by_address(probe.target):
            hosts.setdefault(service_of(probe.component), registrable(probe.target))
    alike: dict[str, list[str]] = {}
    for service, host in hosts.items():
        alike.setdefault(host, []).append(service)
    pairs = [pair for together in alike.values() for pair in pairwise(together)]
    for component in catalogue.components:
        pairs += [(service_of(component.id), service_of(above)) for above in component.depends_on]
    joined = _joined(pairs)
    found = {}
    for probe in catalogue.probes:
        service = service_of(probe.component)
        found[probe.id] = CONTROL + probe.id if probe.control else joined.get(service, service)
    return found


def _joined(pairs: list[tuple[str, str]]) -> Mapping[str, str]:
    """Return for each name in the pairs one name that stands for all it hangs together with."""
    stands_for: dict[str, str] = {}
    for one, other in pairs:
        first, second = stands_for.setdefault(one, one), stands_for.setdefault(other, other)
        for name, representative in stands_for.items():
            if representative == second:
                stands_for[name] = first
    return stands_for
