"""Record looks and judge them on the way: one transaction per batch.

A look at or before the watermark of its series changes nothing (D3), so a batch may be repeated after a crash, a
takeover or a lost acknowledgement.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Engine, insert

from monitor.core.checks.plausible import plausible
from monitor.core.entities import ComponentChange, RegistrationChange
from monitor.core.evaluation import Evaluation, Judged
from monitor.core.model.observations import Result
from monitor.core.model.reasons import Reason
from monitor.core.schedule import micros as us
from monitor.core.schedule import skipped
from monitor.flow.isolating import Unjudged, one_by_one, separated, services
from monitor.flow.telling import News, news_of, tell, timed
from monitor.logs import Event, Room
from monitor.store.connection.engine import begin, is_away
from monitor.store.leases import Claim, lost
from monitor.store.results import raw
from monitor.store.results.partitions import ensure_partitions
from monitor.store.transaction.store import SqlStore, StoredSeries

log = Room("flow")

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
    """Results of probes that the catalogue does not hold (any more), and those that are left out: not stored."""
    left_out: dict[str, int] = field(default_factory=dict)
    """Probe → results that cannot be true: of no possible time or number, or from the future. Not stored."""
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
    skipped: int = 0
    """Ticks that nobody came to and that are kept as a range, not as a result each."""
    news: list[News] = field(default_factory=list)
    """What happened to incidents and alerts, in order."""
    unjudged: dict[str, Unjudged] = field(default_factory=dict)
    """Service → what could not be judged: nothing of it in this batch is stored, everybody else's results are."""

    def take(self, store: SqlStore, evaluation: Evaluation) -> None:
        """Add up what one transaction did."""
        self.changes += evaluation.changes
        self.registration_changes += evaluation.registrations
        self.incidents |= set(store.touched)
        self.alerts |= store.changed_alerts
        self.notices += store.notices
        self.blind |= evaluation.blind
        self.news += news_of(store)

    def add(self, other: Recorded) -> None:
        """Add up what another transaction did."""
        self.stored += other.stored
        self.duplicates += other.duplicates
        self.unknown_probes += other.unknown_probes
        for probe, count in other.left_out.items():
            self.left_out[probe] = self.left_out.get(probe, 0) + count
        self.fenced += other.fenced
        self.skipped += other.skipped
        self.rewound |= other.rewound
        self.changes += other.changes
        self.registration_changes += other.registration_changes
        self.incidents |= other.incidents
        self.alerts |= other.alerts
        self.notices += other.notices
        self.blind |= other.blind
        self.news += other.news
        for service, unjudged in other.unjudged.items():
            before = self.unjudged.get(service, Unjudged((), ""))
            self.unjudged[service] = Unjudged(before.results + unjudged.results, before.error or unjudged.error)


def record(
    engine: Engine, results: Sequence[Result], now: datetime, *, backfill: bool = False, claim: Claim | None = None
) -> Recorded:
    """Store and judge results. Repeating them changes nothing; ``backfill`` judges the past without paging anyone.

    With a ``claim`` only results of probes that it still covers are taken. Whatever judging raises stays with its own
    look or service (:mod:`monitor.flow.isolating`); what ``AWAY`` lists is raised, unless the database refused a row.
    """
    takeable: list[Result] = []
    impossible = Counter[str]()
    for told in results:
        if (result := plausible(told)) is None:
            impossible[told.run.probe] += 1
        else:
            takeable.append(result)
    done = Recorded(unknown_probes=impossible.total(), left_out=dict(impossible))
    ordered = sorted(takeable, key=lambda result: (result.ended_at, result.run.attempt))
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
        text = "Batch of %d results cannot be recorded as a whole; isolating the fault"
        log.exception(Event.JUDGEMENT_FAILED, text, len(results), count=len(results))
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


def _record_batch(
    engine: Engine, results: Sequence[Result], now: datetime, backfill: bool, claim: Claim | None, keep: bool
) -> Recorded:
    """Record a batch in one transaction; unless it is to be kept, raise :class:`_Rehearsed` at its end."""
    done = Recorded()
    with timed(f"recording {len(results)} results"), begin(engine) as connection:
        taken_over = lost(connection, claim, {result.run.probe for result in results}) if claim else set()
        done.fenced = sum(result.run.probe in taken_over for result in results)
        results = [result for result in results if result.run.probe not in taken_over]
        ensure_partitions(connection, [us(result.started_at) for result in results])
        store = SqlStore(connection, now)
        probes = store.index.probes
        known = [r for r in results if r.run.probe in probes and r.run.tick <= now + FUTURE_LIMIT]
        done.unknown_probes = len(results) - len(known)
        ahead = (result.run for result in results if result.run.tick > now + FUTURE_LIMIT)
        done.left_out = dict(Counter(run.probe for run in ahead))
        store.load({store.index.service_of(probes[result.run.probe]) for result in known})
        evaluation, batch = Evaluation(store), _Batch(store)
        for result in known:
            series = store.series(probes[result.run.probe], result.run.location)
            if series.rewound:
                done.rewound.add(series.probe.id)
                series.rewound = False
            before = series.state.tick
            judged = evaluation.on_look(result, now if backfill else None)
            if judged is None:
                done.duplicates += 1
            else:
                batch.add(judged, series)
                done.skipped += batch.note_gap(series, before, result.run.tick)
        if backfill:
            evaluation.catch_up(known, now)
        done.stored = batch.store_all()
        store.flush()
        done.take(store, evaluation)
        if not keep:
            raise _Rehearsed
    tell(done.news)
    return done


@dataclass
class _Batch:
    """Rows on their way into the raw tables."""

    store: SqlStore
    kept: list[tuple[Result, StoredSeries, bool, str]] = field(default_factory=list)
    gaps: list[dict[str, int]] = field(default_factory=list)

    def add(self, judged: Judged, series: StoredSeries) -> None:
        """Take a look to be stored; evidence is kept when something changed or while it stays bad."""
        result, seen = judged.result, judged.result.observation
        worth = seen.reason is not judged.reason_before or bool(seen.warnings)
        if not worth and seen.reason is not Reason.OK:
            last = series.evidence_kept
            worth = last is None or result.started_at - last >= EVIDENCE_EVERY
        if worth:
            series.evidence_kept = result.started_at
        self.kept.append((result, series, worth, raw.readings_digest(seen)))

    def note_gap(self, series: StoredSeries, last: datetime | None, tick: datetime) -> int:
        """Note the ticks between two neighbours that are recorded; returns how many there are.

        Whatever left them out (a long absence of which the newest are written out, a clock that jumped ahead, a queue
        that was full), they are counted here, once and for ever.
        """
        probe = series.probe
        found = skipped(probe.id, probe.interval_s, last, tick) if last is not None else None
        if found is None:
            return 0
        first, latest, ticks = found
        self.gaps.append({"series": series.id, "from_us": us(first), "until_us": us(latest), "ticks": ticks})
        return ticks

    def store_all(self) -> int:
        """Append everything in one go; returns how many rows there were."""
        connection = self.store.connection
        if self.gaps:
            raw.keep_gaps(connection, self.gaps)
        if not self.kept:
            return 0
        words = raw.Words(connection, raw.words_of(item[0] for item in self.kept))
        rows, evidence, readings = [], [], []
        ids = raw.next_ids(connection, len(self.kept))
        for result_id, (result, series, worth, digest) in zip(ids, self.kept, strict=True):
            rows.append(raw.encode(result, result_id, series.id, words, worth))
            series.result_id, series.result_at_us = result_id, us(result.started_at)
            base = {"result_id": result_id, "series": series.id, "at_us": us(result.started_at)}
            if worth:
                incident = self.store.open_incident_of(self.store.rows.get(series.probe.component))
                evidence.append(base | {"incident": incident, "body": raw.beside(result.observation)})
            if digest and digest != series.reading:
                registration, upstream = raw.pack_readings(result.observation)
                readings.append(base | {"registration": registration, "upstream": upstream})
                series.reading = digest
        raw.append(connection, rows)
        if evidence:
            connection.execute(insert(raw.EVIDENCE), evidence)
        if readings:
            connection.execute(insert(raw.READING), readings)
        return len(rows)
