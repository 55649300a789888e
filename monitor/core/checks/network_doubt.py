"""Is it them, or is it us? A worker that cannot reach anything is *blind*: its failures are no evidence.

Only failures that a broken network of ours would also produce (names, connecting, TLS handshakes) count. An HTTP
answer, however bad, proves that the network works.

A location is found blind only after several targets failed, which is too late for the first of them. So failures of
that kind are believed only once something independent answered the same location after they began, and they went on
after that (D6, :func:`clear`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from ipaddress import ip_address

from monitor.core.catalogue import Probe, service_of
from monitor.core.checks.probe_state import ProbeState
from monitor.core.model.message_codes import MessageCode, coded
from monitor.core.model.observations import Result
from monitor.core.model.reasons import Outcome, Reason

BLIND_RATIO = 0.7
"""Share of independent services that must fail alike."""
FEWEST_SERVICES = 2
"""With fewer services only control targets can tell."""
CONTROL = ""
"""Stands for every control target that is reached by its name."""
ADDRESS_CONTROL = "@"
"""Stands for every control target given as an address: its answer proves a network, but no working names."""


def is_blind(recent: Sequence[Result], probes: Mapping[str, Probe], now: datetime) -> str:
    """Say why a location is blind, or ``""``.

    ``recent`` are results of one location in any order, ``probes`` the catalogue by id; for each probe its newest
    look within two intervals counts. Services are independent of each other, probes of one service are not.
    """
    if why := no_names(recent, probes, now):
        return why
    newest = _newest(recent, probes, now)
    controls = [_cut_off(result) for id_, result in newest.items() if probes[id_].control]
    services: dict[str, list[bool]] = {}
    for id_, result in newest.items():
        if not probes[id_].control:
            services.setdefault(service_of(probes[id_].component), []).append(_cut_off(result))
    failing = sum(all(cuts) for cuts in services.values())
    if controls and all(controls) and (not services or failing * 2 >= len(services)):
        return coded(MessageCode.CONTROL_TARGETS_FAIL, n=len(controls))
    if controls and not all(controls):
        return ""
    if len(services) >= FEWEST_SERVICES and failing >= BLIND_RATIO * len(services):
        return coded(MessageCode.SERVICES_FAIL, failing=failing, services=len(services))
    return ""


def no_names(recent: Iterable[Result], probes: Mapping[str, Probe], now: datetime) -> str:
    """Say why, or ``""``, when no name at all resolves: then our resolver is broken, even if addresses answer."""
    newest = _newest(recent, probes, now)
    named = {id_: result for id_, result in newest.items() if not _by_address(probes[id_])}
    if any(_answered(result) for result in named.values()):
        return ""
    failing = [id_ for id_, result in named.items() if result.reason is Reason.DNS]
    independent = {id_ if probes[id_].control else service_of(probes[id_].component) for id_ in failing}
    return coded(MessageCode.NO_NAME_RESOLVES, names=len(independent)) if len(independent) > 1 else ""


def _answered(result: Result) -> bool:
    return result.observation.http_status is not None or (result.outcome.is_evidence and not _cut_off(result))


def _newest(recent: Iterable[Result], probes: Mapping[str, Probe], now: datetime) -> dict[str, Result]:
    """Return the newest look of each probe that is not too old to speak."""
    newest: dict[str, Result] = {}
    for result in recent:
        probe = probes.get(result.run.probe)
        if probe is None or result.outcome is Outcome.MISSED:
            continue
        before = newest.get(probe.id)
        age = now - result.started_at
        young = age <= timedelta(seconds=2 * probe.interval_s + probe.timeout_s)
        if young and (before is None or _order(before) < _order(result)):
            newest[probe.id] = result
    return newest


def _by_address(probe: Probe) -> bool:
    host = probe.target.removeprefix("[").partition("]")[0] if probe.target.startswith("[") else probe.target
    try:
        ip_address(host.rpartition(":")[0] if host.count(":") == 1 else host)
    except ValueError:
        return False
    return True


def _order(result: Result) -> tuple[datetime, int]:
    return result.run.tick, result.run.attempt


def _cut_off(result: Result) -> bool:
    return result.reason.is_network_class or result.reason is Reason.NETWORK


@dataclass(frozen=True, slots=True)
class Answers:
    """When each service, or kind of control target, last answered one location."""

    answered: Mapping[str, datetime]
    watched: frozenset[str]

    def answered_since(self, service: str, reason: Reason, since: datetime) -> datetime | None:
        """Return when something answered that stands apart from a failure of ``service`` which began at ``since``.

        ``None`` if nothing did; with nothing else to look at there is no telling, and the beginning comes back.
        """
        useless = {service, ADDRESS_CONTROL} if reason is Reason.DNS else {service}
        if not self.watched - useless:
            return since
        newest = max((at for name, at in self.answered.items() if name not in useless), default=None)
        return newest if newest is not None and newest >= since else None


def clear(probe: Probe, state: ProbeState, here: Iterable[tuple[Probe, ProbeState]]) -> ProbeState:
    """Record proof that our own network works although the probe's newest look failed as if it did not (D6).

    ``here`` are the probes of its location. Only a look that fails after that counts: else a network that came back
    would make an outage of the last thing that it broke.
    """
    start = state.suspicion.began_at if state.partial else state.failing_since
    if (
        state.network_worked_at is not None
        or start is None
        or not (state.failed_in_a_row and state.last_reason.is_network_class)
    ):
        return state
    at = answers_at(here).answered_since(service_of(probe.component), state.last_reason, start)
    return replace(state, network_worked_at=at) if at is not None else state


def answers_at(here: Iterable[tuple[Probe, ProbeState]]) -> Answers:
    """Return what a location can see, from the states of all its enabled probes."""
    answered: dict[str, datetime] = {}
    watched: set[str] = set()
    for probe, state in here:
        if probe.disabled:
            continue
        service = service_of(probe.component)
        if probe.control:
            service = ADDRESS_CONTROL if _by_address(probe) else CONTROL
        watched.add(service)
        if state.answered_at is not None and (service not in answered or answered[service] < state.answered_at):
            answered[service] = state.answered_at
    return Answers(answered, frozenset(watched))
