"""Prometheus: blackbox_exporter's names for every probe, ours for components, registration and the worker itself.

Names, help texts and units of the ``probe_`` series are those of blackbox_exporter 0.28. State comes from collectors
that read what is true now, so a removed probe has no series; what is stale, or says nothing of the service, has no
sample. Labels hold ids and closed words only, never a vendor's text.
"""

from __future__ import annotations

import ipaddress
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum

from prometheus_client import CollectorRegistry, Counter, PlatformCollector, ProcessCollector, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from monitor import __version__
from monitor.core.catalogue import Catalogue, Probe, service_of
from monitor.core.model.alerting import Sending
from monitor.core.model.observations import Phases, Result
from monitor.core.model.reasons import Outcome
from monitor.core.model.registration import Registration
from monitor.core.model.states import Health, Impact
from monitor.logs import Event, Room
from monitor.store.proof import Fault
from monitor.store.reads.views import ComponentView, Snapshot

log = Room("metrics")

SNAPSHOT_LIMIT = timedelta(seconds=60)
Labels = dict[str, str]


class Kept(Enum):
    """Where the newest results went."""

    DATABASE = "database"
    DISK = "disk"
    NOWHERE = "nowhere"
    """Neither took them: the prober keeps what is not acknowledged, up to its bound."""


@dataclass(slots=True)
class Seen:
    """What the recorder knows now, shared with the collectors."""

    now: Callable[[], datetime]
    catalogue: Catalogue = field(default_factory=Catalogue)
    location: str = "local"
    newest: dict[str, Result] = field(default_factory=dict)
    """Probe → its newest look."""
    snapshot: Snapshot | None = None
    snapshot_at: datetime | None = None
    blind: str = ""
    prober_lag_s: float = 0.0
    prober_heard_at: datetime | None = None
    spooled: int = 0
    held_services: int = 0
    held_looks: int = 0
    """What waits in quarantine because it could not be judged."""
    stored_at: datetime | None = None
    """When the database last took something."""
    kept: Kept = Kept.DATABASE
    store_fault: Fault | None = None
    """What is wrong with the database, as far as we can name it."""
    store_todo: str = ""
    """What a person is to do about that, as a text or a message."""
    spool_bytes: int = 0
    log_bytes: int | None = None
    """Size of SQLite's write-ahead log."""
    reload_ok: bool = True
    outbox: Mapping[Sending, int] = field(default_factory=dict)

    def take(self, result: Result) -> None:
        """Keep a result when it is the newest of its probe."""
        known = self.newest.get(result.run.probe)
        if known is None or (known.run.tick, known.run.attempt) < (result.run.tick, result.run.attempt):
            self.newest[result.run.probe] = result

    def fresh(self, probe: Probe) -> Result | None:
        """Return the newest look of a probe unless it is too old to say anything."""
        result = self.newest.get(probe.id)
        limit_s = probe.policy.stale_after_intervals * probe.interval_s + probe.timeout_s
        return result if result and self.now() - result.started_at <= timedelta(seconds=limit_s) else None


class Counters:
    """What happened since the start of this process; instrumented directly because these only ever grow."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.results = Counter("chatwatch_results", "Looks received, by outcome.", ["outcome"], registry=registry)
        self.missed = Counter("chatwatch_missed", "Looks that were not made, by reason.", ["reason"], registry=registry)
        self.dropped = Counter("chatwatch_results_dropped", "Results lost between the processes.", registry=registry)
        refused = "Results of probes that another worker had taken over."
        self.fenced = Counter("chatwatch_results_refused", refused, registry=registry)
        self.given_up = Counter(
            "chatwatch_spool_dropped_results", "Results given up because the spool was full.", registry=registry
        )
        self.torn = Counter("chatwatch_spool_torn_records", "Damaged records of the spool.", registry=registry)
        self.held_given_up = Counter(
            "chatwatch_quarantine_dropped_results", "Looks given up because quarantine was full.", registry=registry
        )
        self.failures = Counter(
            "chatwatch_recorder_errors", "Failures of the recorder, by task.", ["task"], registry=registry
        )
        self.notices = Counter(
            "chatwatch_notices",
            "Deliveries tried, by channel and how they ended.",
            ["channel", "ended"],
            registry=registry,
        )
        for outcome in Outcome:
            self.results.labels(str(outcome))

    def count(self, results: Iterable[Result]) -> None:
        """Count results as they arrive."""
        for result in results:
            self.results.labels(str(result.outcome)).inc()
            if result.outcome is Outcome.MISSED:
                self.missed.labels(str(result.reason)).inc()


class Families:
    """Collects samples by name, so that each name is written once with its help."""

    def __init__(self) -> None:
        self._found: dict[str, GaugeMetricFamily] = {}

    def add(self, name: str, text: str, labels: Labels, value: float | None) -> None:
        """Add one sample; None adds nothing."""
        if value is None:
            return
        family = self._found.get(name)
        if family is None:
            family = self._found[name] = GaugeMetricFamily(name, text, labels=list(labels))
        family.add_metric(list(labels.values()), value)

    def __iter__(self) -> Iterator[GaugeMetricFamily]:
        return iter(self._found.values())


class State(Collector):
    """Everything about probes, components, registration, incidents and the worker; never raises."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the families of this moment, or none of them but the word that it failed."""
        families, up = Families(), Families()
        good = 1.0
        try:
            _worker(families, self._seen)
            _probes(families, self._seen)
            if _current(self._seen) is None:
                good = 0.0
            else:
                _components(families, self._seen)
        except Exception:
            log.exception(Event.CHORE_FAILED, "Metrics collector failed")
            families, good = Families(), 0.0
        up.add(
            "chatwatch_collector_up",
            "Whether the state could be read in full; 0 also while the database is away.",
            {},
            good,
        )
        yield from up
        yield from families


class OneProbe(Collector):
    """One probe as blackbox_exporter would show it: no labels, because the scrape itself names the target."""

    def __init__(self, seen: Seen, probe: Probe) -> None:
        self._seen = seen
        self._probe = probe

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the series of the newest look."""
        families = Families()
        result = self._seen.fresh(self._probe)
        _last_run(families, {}, self._seen.newest.get(self._probe.id))
        if result is not None:
            _blackbox(families, {}, self._probe, result)
            _beyond(families, {}, result)
        yield from families


def registry_for(seen: Seen) -> tuple[CollectorRegistry, Counters]:
    """Return a registry with all collectors, and the counters to be counted up."""
    disable_created_metrics()  # type: ignore[no-untyped-call]  # the library left it untyped
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    counters = Counters(registry)
    registry.register(State(seen))
    return registry, counters


def _current(seen: Seen) -> Snapshot | None:
    old = seen.snapshot_at is None or seen.now() - seen.snapshot_at > SNAPSHOT_LIMIT
    return None if old else seen.snapshot


def _stamp(at: datetime | None) -> float | None:
    return at.timestamp() if at else None


def _worker(families: Families, seen: Seen) -> None:
    add = families.add
    add("chatwatch_build_info", "Version of this program.", {"version": __version__}, 1)
    add("chatwatch_blind", "Whether our own network keeps us from seeing anything.", {}, float(bool(seen.blind)))
    add("chatwatch_spooled_results", "Results kept on disk until the database is back.", {}, seen.spooled)
    _storage(families, seen)
    add(
        "chatwatch_loop_lag_seconds", "Worst lateness of the probe loop in the last ten seconds.", {}, seen.prober_lag_s
    )
    heard, stored = _stamp(seen.prober_heard_at), _stamp(seen.stored_at)
    add("chatwatch_prober_heard_timestamp_seconds", "When the prober last reported.", {}, heard)
    add("chatwatch_stored_timestamp_seconds", "When the database last took something from us.", {}, stored)
    text = "Whether the newest configuration could be used."
    add("chatwatch_config_last_reload_successful", text, {}, float(seen.reload_ok))
    states = Tally("disabled" if probe.disabled else "enabled" for probe in seen.catalogue.probes)
    for state in ("enabled", "disabled"):
        add("chatwatch_probes", "Probes in the configuration, by state.", {"state": state}, states[state])


def _storage(families: Families, seen: Seen) -> None:
    add = families.add
    add("chatwatch_spool_bytes", "Size of what is kept on disk.", {}, seen.spool_bytes)
    add("chatwatch_quarantined_services", "Services whose looks could not be judged.", {}, seen.held_services)
    add("chatwatch_quarantined_results", "Looks held on disk until they can be judged.", {}, seen.held_looks)
    text = "Whether the database took the newest results (1), or they wait elsewhere (0)."
    add("chatwatch_database_up", text, {}, float(seen.kept is Kept.DATABASE))
    text = "What is wrong with the database (1); all 0 while nothing is, or nothing that can be named."
    for fault in Fault:
        add("chatwatch_store_fault", text, {"fault": fault.value}, float(seen.store_fault is fault))
    text = "Whether what the database did not take could be kept on disk; 0 while it can be kept nowhere."
    add("chatwatch_spool_up", text, {}, float(seen.kept is not Kept.NOWHERE))
    text = "Size of SQLite's write-ahead log; grows while somebody reads for long. No sample with PostgreSQL."
    add("chatwatch_database_wal_bytes", text, {}, seen.log_bytes)


def _labels(seen: Seen, probe: Probe) -> Labels:
    service = service_of(probe.component)
    return {"instance": probe.id, "service": service, "component": probe.component, "location": seen.location}


def _probes(families: Families, seen: Seen) -> None:
    for probe in seen.catalogue.probes:
        if seen.location not in probe.locations or probe.disabled:
            continue
        labels = _labels(seen, probe)
        _last_run(families, labels, seen.newest.get(probe.id))
        result = seen.fresh(probe)
        if result is not None:
            _blackbox(families, labels, probe, result)


def _last_run(families: Families, labels: Labels, result: Result | None) -> None:
    text = "When the probe last looked; does not grow while looks are missed."
    if result is not None and result.outcome is not Outcome.MISSED:
        families.add("chatwatch_probe_last_run_timestamp_seconds", text, labels, _stamp(result.started_at))


def _blackbox(families: Families, labels: Labels, probe: Probe, result: Result) -> None:
    """Add what says something of the target; a look that could not tell has its reason and no success or failure."""
    add, seen = families.add, result.observation
    text = "Why the newest look ended as it did."
    add("chatwatch_probe_reason_info", text, {**labels, "reason": str(result.reason)}, 1)
    if not result.outcome.is_evidence:
        return
    success = float(result.outcome is not Outcome.FAILED)
    add("probe_success", "Displays whether or not the probe was a success", labels, success)
    add("probe_duration_seconds", "Returns how long the probe took to complete in seconds", labels, result.duration_s)
    if seen.http_status is not None or probe.speaks_http:
        if seen.upstream is None:  # a status page is read and not timed: zeros would be taken for times
            _phases(families, labels, seen.phases or Phases(), streamed=seen.chat is not None)
        add("probe_http_status_code", "Response HTTP status code", labels, seen.http_status or 0)
    if seen.certificate is not None:
        expiry = _stamp(seen.certificate.chain_not_after or seen.certificate.not_after)
        add("probe_ssl_earliest_cert_expiry", "Returns last SSL chain expiry in unixtime", labels, expiry)
    if seen.chat is not None:
        text = "From the request sent to the first token, reasoning tokens included."
        add("chatwatch_probe_ttft_seconds", text, labels, seen.chat.ttft_s)
        text = "Output tokens per second after the first token."
        add("chatwatch_probe_tokens_per_second", text, labels, seen.chat.tokens_per_s)


def _phases(families: Families, labels: Labels, phases: Phases, *, streamed: bool) -> None:
    """Add blackbox's five phases. The transfer of a streamed answer is generation time and is left at 0."""
    text = "Duration of http request by phase, summed over all redirects"
    values = {
        "resolve": phases.dns_s,
        "connect": phases.connect_s,
        "tls": phases.tls_s,
        "processing": phases.wait_s,
        "transfer": None if streamed else phases.transfer_s,
    }
    for phase, value in values.items():
        families.add("probe_http_duration_seconds", text, {**labels, "phase": phase}, value or 0.0)


def _beyond(families: Families, labels: Labels, result: Result) -> None:
    """Add what only ``/probe`` shows, to keep the fleet's scrape small."""
    add, seen = families.add, result.observation
    if not result.outcome.is_evidence:
        return
    if seen.phases is not None:
        text = "Returns the time taken for probe dns lookup in seconds"
        add("probe_dns_lookup_time_seconds", text, labels, seen.phases.dns_s or 0.0)
    try:
        address = ipaddress.ip_address(seen.address)
    except ValueError:
        pass
    else:
        add("probe_ip_protocol", "Specifies whether probe ip protocol is IP4 or IP6", labels, address.version)
        text = "Specifies the hash of IP address. It's useful to detect if the IP address changes."
        add("probe_ip_addr_hash", text, labels, fnv1a(address.packed))
    if seen.http_status is not None:
        version = {"HTTP/1.0": 1.0, "HTTP/1.1": 1.1, "HTTP/2": 2.0, "HTTP/3": 3.0}.get(seen.http_version, 0.0)
        add("probe_http_version", "Returns the version of HTTP of the probe response", labels, version)
        text = "Indicates if SSL was used for the final redirect"
        add("probe_http_ssl", text, labels, float(seen.certificate is not None))
        text = "Length of uncompressed response body"
        add("probe_http_uncompressed_body_length", text, labels, seen.bytes_received)
    if seen.certificate is not None:
        text = "Returns last SSL chain expiry in timestamp"
        expiry = _stamp(seen.certificate.chain_not_after or seen.certificate.not_after)
        add("probe_ssl_last_chain_expiry_timestamp_seconds", text, labels, expiry)


def fnv1a(data: bytes) -> int:
    """Return the 32-bit FNV-1a hash, as blackbox_exporter computes it over the packed address."""
    value = 0x811C9DC5
    for byte in data:
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return value


def _components(families: Families, seen: Seen) -> None:
    snapshot = _current(seen)
    assert snapshot is not None
    known = {probe.component for probe in seen.catalogue.probes if not probe.control}
    places = frozenset(place for probe in seen.catalogue.probes for place in probe.locations)
    for service in snapshot.services:
        for component in service.components:
            if component.id in known:
                _component(families, component)
                _sign_up(families, component, places)
    open_now = Tally((incident.service, incident.impact) for incident in snapshot.open_incidents)
    for name in dict.fromkeys(service_of(component) for component in sorted(known)):
        for impact in Impact:
            labels = {"service": name, "impact": str(impact)}
            families.add("chatwatch_incidents", "Open incidents, by impact.", labels, open_now[name, impact])
    for sending in Sending:
        labels = {"state": str(sending)}
        families.add("chatwatch_outbox_notices", "Deliveries kept, by state.", labels, seen.outbox.get(sending, 0))
    families.add("chatwatch_snapshot_timestamp_seconds", "When the state was read.", {}, _stamp(seen.snapshot_at))


def _component(families: Families, component: ComponentView) -> None:
    add = families.add
    labels = {"service": component.service, "component": component.id}
    if component.health is not Health.UNKNOWN:
        text = "0 operational, 1 degraded performance, 2 partial outage, 3 major outage; no sample while unknown."
        add("chatwatch_component_health", text, labels, component.health.severity)
    text = "Whether the component's state is known."
    add("chatwatch_component_known", text, labels, float(component.health is not Health.UNKNOWN))
    if component.health is Health.UNKNOWN:
        text = "1 with the reason why the component's state is unknown; no sample while it is known."
        add("chatwatch_component_unknown_reason", text, {**labels, "reason": str(component.reason)}, 1.0)
    add(
        "chatwatch_component_maintenance", "Whether a maintenance window is open.", labels, float(component.maintenance)
    )
    text = "Time up or degraded by time known, over 90 days; maintenance and unknown count in neither."
    add("chatwatch_component_uptime_ratio", text, labels, component.uptime.ratio)


def _sign_up(families: Families, component: ComponentView, places: frozenset[str]) -> None:
    """Add what is known of registration; ``places`` are the locations that the configuration names."""
    labels = {"service": component.service, "component": component.id}
    for method in component.registration.methods if component.registration is not None else ():
        own = {**labels, "method": str(method.method)}
        for state in Registration:
            text = "Whether one way to sign up is in this state (1) or not (0)."
            held = {**own, "state": str(state)}
            families.add("chatwatch_registration_state", text, held, float(method.state is state))
            for word in (place.word for place in method.places if place.word.place in places):
                text, there = "The same as seen from one location; they may differ.", {**held, "location": word.place}
                families.add("chatwatch_registration_location_state", text, there, float(word.state is state))
        if method.failed_ratio is not None:
            text = "Share of attempts to sign up that fail, where it was measured or told; no sample elsewhere."
            families.add("chatwatch_registration_failed_ratio", text, own, method.failed_ratio)
