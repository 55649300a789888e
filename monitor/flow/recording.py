"""Results → states → verdicts → incidents → alerts → outbox, one transaction per batch."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlalchemy import Engine, insert, select, update

from monitor.core.blindness import clear, is_blind
from monitor.core.conditions import Condition, alerts_for, certificate, own_trouble, registration_changed
from monitor.core.events import Cause, ComponentChange, RegistrationChange
from monitor.core.health import ComponentHealth, is_duplicate, is_fresh, step
from monitor.core.model import Certificate, Outcome, Reason, Result, Severity, UpstreamReading
from monitor.core.notes import noticed
from monitor.core.refusal import confirm_auth, refusals
from monitor.core.registration import overall_state, settle
from monitor.core.rules import Rule
from monitor.flow.isolating import Unjudged, one_by_one, separated, services
from monitor.flow.judging import judge, last_looks, read_registration, tell
from monitor.flow.paging import Paging
from monitor.flow.working import Part, Track, Working
from monitor.store import raw, tables
from monitor.store.codec import pack, us
from monitor.store.engine import begin, is_away
from monitor.store.leases import Claim, lost
from monitor.store.partitions import ensure_partitions
from monitor.store.tables import table

log = logging.getLogger("chatwatch.flow")

UPSTREAM, CERTIFICATE = table(tables.Upstream), table(tables.Certificate)
BATCH = 2_000
"""Most results per transaction; a longer replay takes several, so that nobody waits long for the database."""
FUTURE_LIMIT = timedelta(days=1)
EVIDENCE_EVERY = timedelta(minutes=10)
"""While nothing changes, what a failing look saw is kept this often."""


@dataclass(slots=True)
class Recorded:
    """What a verb did. Counts add up over batches."""

    stored: int = 0
    duplicates: int = 0
    unknown_probes: int = 0
    """Results of probes that the catalogue does not hold (any more), or from the future: not stored."""
    fenced: int = 0
    """Results of probes that another worker of the location has taken over: not stored."""
    rewound: set[str] = field(default_factory=set)
    """Probes whose watermark lay in the future, from a clock that ran ahead, and was forgotten."""
    changes: list[ComponentChange] = field(default_factory=list)
    registration_changes: list[RegistrationChange] = field(default_factory=list)
    incidents: set[str] = field(default_factory=set)
    """Ids of incidents that changed."""
    alerts: set[str] = field(default_factory=set)
    """Ids of alerts that changed."""
    notices: int = 0
    """Deliveries that became due."""
    blind: dict[str, str] = field(default_factory=dict)
    """Location → why its network failures were taken for our own; pass it on to :func:`monitor.flow.check_in`."""

    unjudged: dict[str, Unjudged] = field(default_factory=dict)
    """Service → what could not be judged: nothing of it in this batch is stored, everybody else's results are."""

    def add(self, other: Recorded) -> None:
        """Add what another batch did."""
        self.stored += other.stored
        self.duplicates += other.duplicates
        self.unknown_probes += other.unknown_probes
        self.fenced += other.fenced
        self.rewound |= other.rewound
        self.changes += other.changes
        self.registration_changes += other.registration_changes
        self.incidents |= other.incidents
        self.alerts |= other.alerts
        self.notices += other.notices
        self.blind |= other.blind
        for service, unjudged in other.unjudged.items():
            before = self.unjudged.get(service, Unjudged((), ""))
            self.unjudged[service] = Unjudged(before.results + unjudged.results, before.error or unjudged.error)

    def take(self, work: Working, paging: Paging) -> None:
        """Count what a working set holds."""
        self.registration_changes += work.registrations
        self.incidents |= set(work.touched)
        self.alerts |= set(paging.changed)
        self.notices += paging.notices


def record(
    engine: Engine, results: Sequence[Result], now: datetime, *, backfill: bool = False, claim: Claim | None = None
) -> Recorded:
    """Store and judge results. Repeating them changes nothing; ``backfill`` judges the past without paging anyone.

    With a ``claim`` only results of probes that it still covers are taken. Whatever judging raises stays with its own
    look or service (:mod:`monitor.flow.isolating`); what ``AWAY`` lists is raised, unless the database refused a row.
    """
    done = Recorded()
    ordered = sorted(results, key=lambda result: (ended(result), result.run.attempt))
    for start in range(0, len(ordered), BATCH):
        some = ordered[start : start + BATCH]
        done.add(_record_isolated(engine, some, now, backfill, claim, done.unjudged))
    return done


def _record_isolated(
    engine: Engine,
    results: Sequence[Result],
    now: datetime,
    backfill: bool,
    claim: Claim | None,
    before: Mapping[str, Unjudged],
) -> Recorded:
    """Record a batch without what cannot be judged; of a service that failed ``before`` nothing more is tried."""

    def attempt(some: Sequence[Result], *, keep: bool = True) -> Recorded:
        return _record_batch(engine, some, now, backfill, claim, keep)

    service_of, done = services(engine) if before else None, Recorded()
    if service_of is not None:
        done.unjudged = {
            name: Unjudged(tuple(r for r in results if service_of(r) == name), unjudged.error)
            for name, unjudged in before.items()
        }
        results = [result for result in results if service_of(result) not in before]
    try:
        done.add(attempt(results))
        return done
    except Exception as error:
        if is_away(error):
            raise
        log.exception("a batch of %d results cannot be recorded as a whole", len(results))
    service_of = service_of or services(engine)
    good, unjudged = separated(lambda some: _rehearsed(attempt, some), results, service_of)
    done.unjudged |= unjudged
    try:
        done.add(attempt(good))
    except Exception as error:
        if is_away(error):
            raise
        done.unjudged |= one_by_one(lambda some: done.add(attempt(some)), good, service_of)
    return done


class _Rehearsed(Exception):  # noqa: N818  # no fault: it rolls a rehearsal back
    """Everything went well."""


def _rehearsed(attempt: Callable[..., Recorded], results: Sequence[Result]) -> None:
    with suppress(_Rehearsed):
        attempt(results, keep=False)


def ended(result: Result) -> datetime:
    """Return when a look was over: the moment from which it can be judged."""
    return result.started_at + timedelta(seconds=result.duration_s)


def _record_batch(
    engine: Engine, results: Sequence[Result], now: datetime, backfill: bool, claim: Claim | None, keep: bool
) -> Recorded:
    """Record a batch in one transaction; unless it is to be kept, raise :class:`_Rehearsed` at its end."""
    done = Recorded()
    with begin(engine) as connection:
        taken_over = lost(connection, claim, {result.run.probe for result in results}) if claim else set()
        fenced = sum(result.run.probe in taken_over for result in results)
        results = [result for result in results if result.run.probe not in taken_over]
        ensure_partitions(connection, [us(result.started_at) for result in results])
        work = Working(connection, now, backfill)
        probes = work.index.probes
        known = [r for r in results if r.run.probe in probes and r.run.tick <= now + FUTURE_LIMIT]
        work.load({work.service_of(probes[result.run.probe]) for result in known})
        paging, batch = Paging(work), Batch(work, done)
        for result in known:
            take(batch, paging, result)
        batch.store()
        work.flush()
        paging.decide()
        done.take(work, paging)
        if not keep:
            raise _Rehearsed
    done.unknown_probes += len(results) - len(known)
    done.fenced += fenced
    return done


@dataclass
class Batch:
    """Rows on their way into the raw tables."""

    work: Working
    done: Recorded
    kept: list[tuple[Result, Track, bool, str]] = field(default_factory=list)

    def add(self, result: Result, track: Track, before: Reason, digest: str) -> None:
        """Take a result to be stored; evidence is kept when something changed or while it stays bad."""
        seen = result.observation
        worth = seen.reason is not before or bool(seen.warnings)
        if not worth and seen.reason is not Reason.OK:
            last = track.evidence_kept
            worth = last is None or result.started_at - last >= EVIDENCE_EVERY
        if worth:
            track.evidence_kept = result.started_at
        self.kept.append((result, track, worth, digest))

    def store(self) -> None:
        """Append everything in one go."""
        connection = self.work.connection
        if not self.kept:
            return
        words = raw.Words(connection, raw.words_of(item[0] for item in self.kept))
        rows, evidence, readings = [], [], []
        ids = raw.next_ids(connection, len(self.kept))
        for result_id, (result, track, worth, digest) in zip(ids, self.kept, strict=True):
            rows.append(raw.encode(result, result_id, track.id, words, worth))
            track.result_id, track.result_at_us = result_id, us(result.started_at)
            base = {"result_id": result_id, "series": track.id, "at_us": us(result.started_at)}
            if worth:
                incident = self.work.open_incident_of(self.work.parts.get(track.probe.component))
                evidence.append(base | {"incident": incident, "body": raw.beside(result.observation)})
            if digest and digest != track.reading:
                registration, upstream = raw.pack_readings(result.observation)
                readings.append(base | {"registration": registration, "upstream": upstream})
                track.reading = digest
        raw.append(connection, rows)
        if evidence:
            connection.execute(insert(raw.EVIDENCE), evidence)
        if readings:
            connection.execute(insert(raw.READING), readings)
        self.done.stored += len(rows)


def take(batch: Batch, paging: Paging, result: Result) -> None:
    """Judge one result and keep it for storing."""
    work, done = batch.work, batch.done
    probe = work.index.probes[result.run.probe]
    track = work.track(probe, result.run.location)
    if track.rewound:
        done.rewound.add(probe.id)
        track.rewound = False
    if is_duplicate(track.state, result.run):
        done.duplicates += 1
        return
    at = ended(result)
    result = _refused_key(work, track, _own_network(work, track, result, at, done))
    before, part = track.state, work.parts.get(probe.component)
    if part is not None and result.outcome.is_evidence and not is_fresh(probe, before, result.started_at):
        # What was known ran out before this look, and perhaps nobody was there to see it.
        change = judge(work, part, result.started_at)
        done.changes += [change] if change else []
    track.state, track.changed = step(before, result, probe.policy), True
    if result.reason.is_network_class and result.outcome is Outcome.FAILED:
        here = ((other.probe, other.state) for other in work.at_location(track.location))
        track.state = clear(probe, track.state, here)
    batch.add(result, track, before.last_reason, raw.readings_digest(result.observation))
    conditions = _about_ourselves(work, paging, track, result)
    if probe.witness:
        conditions += hear(work, track, result, at)
    if part is not None and not probe.witness and not probe.control:
        moved = before.health is not track.state.health or before.since != track.state.since
        conditions += judge_part(work, part, track, result, at, moved, done)
    paging.meet(conditions, at)


def judge_part(
    work: Working, part: Part, track: Track, result: Result, at: datetime, moved: bool, done: Recorded
) -> list[Condition]:
    """Judge the component of a look and, if there is anything to tell, the incidents of its service."""
    changes: tuple[RegistrationChange, ...] = ()
    if result.observation.registration:
        changes = read_registration(work, part, result, track, at)
    service = part.component.service
    hot = bool(part.health.severity) or work.has_open(service)
    # A look that was not made, told afterwards, is no reason to think better of a time that is known as unknown.
    unsure = part.health.value == "unknown" and result.outcome is not Outcome.MISSED
    if not (moved or changes or hot or part.registration or unsure):
        return []
    change = judge(work, part, at)
    if change is not None:
        done.changes.append(change)
    if change is None and not changes and not hot:
        return []
    return follow(work, service, at, changes)


def follow(work: Working, service: str, at: datetime, changes: Sequence[RegistrationChange] = ()) -> list[Condition]:
    """Bring a service's incidents up to date and return the conditions that follow."""
    verdicts: dict[str, ComponentHealth] = tell(work, service, at, changes)
    latest = {service: work.latest(service, Cause.OUTAGE)}
    conditions = list(alerts_for(verdicts, latest))
    incident = work.latest(service, Cause.REGISTRATION)
    for part in work.of_service(service):
        if part.registration is not None and incident is not None:
            word = overall_state(part.registration, at)
            ways = settle(part.registration, at).methods
            conditions += registration_changed(part.component.id, word, incident, ways)
    return conditions


def _own_network(work: Working, track: Track, result: Result, at: datetime, done: Recorded) -> Result:
    """Turn a network failure into UNKNOWN while the whole location fails alike: then it is our network."""
    if not result.reason.is_network_class or result.outcome is not Outcome.FAILED:
        return result
    around = work.at_location(track.location)
    others = [other for other in around if other is not track]
    why = is_blind([*last_looks(others), result], work.index.probes, at)
    if not why:
        return result
    done.blind[track.location] = why
    seen = replace(result.observation, reason=Reason.NETWORK, detail=f"{result.reason}: {why}")
    return replace(result, observation=seen)


def _refused_key(work: Working, track: Track, result: Result) -> Result:
    """Tell a vendor that refuses good keys from a key of ours that is bad."""
    if result.reason is not Reason.AUTH:
        return result
    service = work.service_of(track.probe)
    peers = [
        other.state
        for other in work.tracks.values()
        if work.service_of(other.probe) == service and other.probe.id != track.probe.id
    ]
    admits = any(
        reading.indicator.severity or any(not item.resolved_at for item in reading.incidents)
        for reading in work.upstream_readings(service)
    )
    return confirm_auth(result, track.state, peers, vendor_admits=admits)


def _about_ourselves(work: Working, paging: Paging, track: Track, result: Result) -> list[Condition]:
    """Return conditions for the operator: our key, money or configuration, and certificates that end."""
    probe, seen = track.probe, result.observation
    conditions: list[Condition] = []
    if not probe.control and not (seen.reason is Reason.OK and not seen.warnings and paging.is_quiet):
        scope = f"{probe.id}@{track.location}"
        blank, refused = track.state.blank, refusals(track.state)
        conditions += own_trouble(scope, probe.component, seen.reason, result.run.tick, seen.detail, blank, refused)
        if seen.warnings or not paging.is_quiet:
            conditions += noticed(scope, probe.component, result, blank, paging.open, paging.muted)
    if seen.certificate is not None and not probe.control:
        _keep_certificate(work, track, seen.certificate, result.started_at)
        conditions += certificate(probe.id, probe.component, seen.certificate.not_after, result.started_at)
    return conditions


def _keep_certificate(work: Working, track: Track, found: Certificate, at: datetime) -> None:
    body = pack(Certificate, found)
    known = work.certificates.get(track.id)
    if known == body:
        return
    work.certificates[track.id] = body
    values = {"seen_us": us(at), "body": body}
    done = work.connection.execute(update(CERTIFICATE).where(CERTIFICATE.c.series == track.id).values(values))
    if not done.rowcount:
        work.connection.execute(insert(CERTIFICATE).values(values | {"series": track.id}))


def hear(work: Working, track: Track, result: Result, at: datetime) -> list[Condition]:
    """Keep what the vendor's own page says: a witness beside our verdict, never part of it."""
    reading, service = result.observation.upstream, work.service_of(track.probe)
    values: dict[str, object] = {"service": service, "reason": result.reason.value}
    if reading is None:
        stored = select(UPSTREAM.c.failed_us).where(UPSTREAM.c.probe == track.probe.id)
        if result.outcome is not Outcome.MISSED and work.connection.scalar(stored) is None:
            values["failed_us"] = us(result.started_at)
    else:
        values |= {"read_us": us(result.started_at), "failed_us": None, "body": pack(UpstreamReading, reading)}
    done = work.connection.execute(update(UPSTREAM).where(UPSTREAM.c.probe == track.probe.id).values(values))
    if not done.rowcount:
        defaults = {"probe": track.probe.id, "body": "", "said": ""}
        work.connection.execute(insert(UPSTREAM).values(defaults | values))
    if reading is None:
        return []
    work.heard(service)
    told = follow(work, service, at) if work.has_open(service) or reading.incidents else []
    return [*told, *_announced(track, reading, at)]


def _announced(track: Track, reading: UpstreamReading, at: datetime) -> Iterable[Condition]:
    """Return the operator's condition that the vendor announces trouble."""
    service = track.probe.component.partition("/")[0]
    facts = {"indicator": reading.indicator.value, "incidents": [item.name for item in reading.incidents][:5]}
    holds = bool(reading.indicator.severity)
    yield Condition(Rule.UPSTREAM, service, "", holds, Severity.INFO, at, track.probe.id, summary=facts)
