"""Reads of the on-call console. None of this is public."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, select
from sqlmodel import col
from sqlmodel import select as select_model

from monitor.core.alerts.routing import SilenceWindow
from monitor.core.catalogue import Index
from monitor.core.entities import Alert
from monitor.core.model.alerting import AlertState, Sending, Severity, Verdict, Why
from monitor.core.model.observations import Certificate
from monitor.core.schedule import from_micros as when
from monitor.core.schedule import micros as us
from monitor.store import tables
from monitor.store.catalogues import load_index
from monitor.store.codec import unpack_or_none, when_or_none
from monitor.store.connection.engine import reading
from monitor.store.reads.looks import read_rows
from monitor.store.reads.views import AlertView, AuditView, DecisionView, NoticeView, ProbeView, SilenceView
from monitor.store.results import raw
from monitor.store.tables import table
from monitor.store.transaction.session import session_on

ALERT, DECISION, OUTBOX = table(tables.Alert), table(tables.Decision), table(tables.Outbox)
ALERT_EVENT = table(tables.AlertEvent)
JUDGEMENT = table(tables.Judgement)
SERIES, CERTIFICATE = table(tables.Series), table(tables.Certificate)
_CHUNK = 500


def alerts(
    engine: Engine,
    *,
    open_only: bool = False,
    since: datetime | None = None,
    until: datetime | None = None,
    unreviewed: bool = False,
    incident: str = "",
    limit: int = 200,
) -> tuple[AlertView, ...]:
    """Return alerts, newest first, with who was told, why or why not, and what was said of them afterwards."""
    query = select(ALERT.c.body).order_by(ALERT.c.fired_us.desc(), ALERT.c.id)
    if open_only:
        query = query.where(ALERT.c.state != AlertState.RESOLVED.value)
    if since is not None:
        query = query.where(ALERT.c.fired_us >= us(since))
    if until is not None:
        query = query.where(ALERT.c.fired_us < us(until))
    if unreviewed:
        query = query.where(ALERT.c.id.not_in(select(JUDGEMENT.c.alert)))
    if incident:
        query = query.where(ALERT.c.incident == incident)
    with reading(engine) as connection:
        return _views(connection, connection.execute(query.limit(limit)))


def alert(engine: Engine, alert_id: str) -> AlertView | None:
    """Return one alert; None if there is none."""
    with reading(engine) as connection:
        found = _views(connection, connection.execute(select(ALERT.c.body).where(ALERT.c.id == alert_id)))
    return found[0] if found else None


def loudness(engine: Engine, alert_id: str) -> tuple[tuple[datetime, Severity], ...]:
    """Return since when an alert was how loud, oldest first."""
    query = select(ALERT_EVENT).where(ALERT_EVENT.c.alert == alert_id, ALERT_EVENT.c.kind.in_(("fired", "changed")))
    with reading(engine) as connection:
        rows = connection.execute(query.order_by(ALERT_EVENT.c.id))
        return tuple((when(row.at_us), Severity(json.loads(row.data)["severity"])) for row in rows)


def silences(engine: Engine, now: datetime, *, over: bool = False) -> tuple[SilenceView, ...]:
    """Return silences in force or to come, the soonest to end first; with ``over`` those of the past as well."""
    silence = tables.Silence
    query = select_model(silence).order_by(col(silence.ends_us), col(silence.id))
    if not over:
        query = query.where(silence.ends_us > us(now), col(silence.removed_us).is_(None))
    with reading(engine) as connection, session_on(connection) as session:
        views = (_silence(row) for row in session.exec(query))
        return tuple(view for view in views if view is not None)


def audit(engine: Engine, *, limit: int = 200, subject: str = "") -> tuple[AuditView, ...]:
    """Return who did what, newest first."""
    entry = tables.Audit
    query = select_model(entry).order_by(col(entry.at_us).desc(), col(entry.id).desc()).limit(limit)
    if subject:
        query = query.where(entry.subject == subject)
    with reading(engine) as connection, session_on(connection) as session:
        return tuple(
            AuditView(when(row.at_us), row.who, row.action, row.subject, row.why) for row in session.exec(query)
        )


def probes(engine: Engine) -> tuple[ProbeView, ...]:
    """Return every probe of the catalogue at every location with its newest look."""
    with reading(engine) as connection:
        index = load_index(connection)
        series = [row for row in connection.execute(select(SERIES).order_by(SERIES.c.id)) if row.probe in index.probes]
        newest = _newest(connection, series)
        held = {row.series: row.body for row in connection.execute(select(CERTIFICATE))}
    order = {probe.id: place for place, probe in enumerate(index.catalogue.probes)}
    return tuple(
        ProbeView(
            index.probes[row.probe],
            row.location,
            newest.get(row.result_id),
            when_or_none(row.evidence_us),
            unpack_or_none(Certificate, held[row.id], "certificate") if row.id in held else None,
        )
        for row in sorted(series, key=lambda row: (order[row.probe], row.location))
    )


def _newest(connection: Connection, series: Sequence[Row[Any]]) -> Mapping[int, Any]:
    ids = {row.result_id: row for row in series if row.result_id is not None}
    oldest = min((row.result_at_us for row in ids.values()), default=0)
    found: dict[int, Any] = {}
    wanted = sorted(ids)
    for start in range(0, len(wanted), _CHUNK):
        where = (raw.RESULT.c.id.in_(wanted[start : start + _CHUNK]), raw.RESULT.c.at_us >= oldest)
        found |= dict(read_rows(connection, select(raw.RESULT).where(*where)))
    return found


def _views(connection: Connection, rows: Iterable[Row[Any]]) -> tuple[AlertView, ...]:
    read = (unpack_or_none(Alert, row.body, "alert") for row in rows)
    found = [alert for alert in read if alert is not None]
    index = load_index(connection)
    decisions: defaultdict[str, list[DecisionView]] = defaultdict(list)
    notices: defaultdict[str, list[NoticeView]] = defaultdict(list)
    verdicts: dict[str, Verdict] = {}
    for start in range(0, len(found), _CHUNK):
        ids = [item.id for item in found[start : start + _CHUNK]]
        for row in connection.execute(select(DECISION).where(DECISION.c.alert.in_(ids)).order_by(DECISION.c.id)):
            decisions[row.alert].append(DecisionView(row.route, bool(row.send), Why(row.why), when(row.at_us)))
        for row in connection.execute(select(OUTBOX).where(OUTBOX.c.alert.in_(ids)).order_by(OUTBOX.c.id)):
            notices[row.alert].append(_notice(row))
        for row in connection.execute(select(JUDGEMENT).where(JUDGEMENT.c.alert.in_(ids))):
            verdicts[row.alert] = Verdict(row.verdict)
    return tuple(_view(item, index, decisions[item.id], notices[item.id], verdicts.get(item.id)) for item in found)


def _view(
    item: Alert,
    index: Index,
    decisions: Sequence[DecisionView],
    notices: Sequence[NoticeView],
    verdict: Verdict | None,
) -> AlertView:
    service, component = index.services.get(item.service), index.components.get(item.component)
    return AlertView(
        alert=item,
        service_name=service.name if service else item.service,
        component_name=component.name if component else item.component,
        component_names=component.names if component else {},
        decisions=tuple(decisions),
        notices=tuple(notices),
        verdict=verdict,
    )


def _notice(row: Row[Any]) -> NoticeView:
    return NoticeView(
        id=row.id,
        channel=row.channel,
        route=row.route,
        why=Why(row.why),
        sending=Sending(row.sending),
        created_at=when(row.created_us),
        sent_at=when_or_none(row.sent_us),
        tries=row.tries,
        error=row.error,
    )


def _silence(row: tables.Silence) -> SilenceView | None:
    window = unpack_or_none(SilenceWindow, row.body, "silence")
    if window is None:
        return None
    return SilenceView(
        id=row.id,
        starts_at=when(row.starts_us),
        ends_at=when(row.ends_us),
        service=window.service,
        component=window.component,
        rule=window.rule,
        by=row.by,
        why=row.why,
        removed_at=when_or_none(row.removed_us),
    )
