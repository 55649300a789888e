"""Slower than usual for the hour of the week: roll-ups compared with those of past weeks, every five minutes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, select

from monitor.core.catalogue import Index, Probe
from monitor.core.components import baseline, sketch
from monitor.core.components.baseline import Hour, Pace
from monitor.core.evaluation import Evaluation
from monitor.core.schedule import from_micros as when
from monitor.core.schedule import micros as us
from monitor.flow.telling import news_of, tell
from monitor.store.catalogues import load_index
from monitor.store.connection.engine import begin, reading
from monitor.store.results.raw import REASONS
from monitor.store.results.rolling import HOUR, MINUTE, mark, read_bucket, set_mark
from monitor.store.transaction.store import COMPONENT, SERIES, SqlStore, chunks

MARK = "usual"


def watch_latency(engine: Engine, now: datetime) -> int:
    """Compare every component's newest latency with what is usual; returns how many notices became due.

    One worker does it for all; nothing is written but the mark unless something stands out or stood out.
    """
    at = baseline.moment(now)
    with reading(engine) as connection:
        if mark(connection, MARK) >= us(at):
            return 0
        index = load_index(connection)
        paces = _paces(connection, index, at)
    with begin(engine) as connection:
        if mark(connection, MARK, lock=True) >= us(at):
            return 0
        set_mark(connection, MARK, us(at))
        standing = set(connection.scalars(select(COMPONENT.c.id).where(COMPONENT.c.unusual != "")))
        store = SqlStore(connection, now, lenient=True)
        news = sorted({*standing, *_worth_it(paces, at)} & set(store.index.components))
        if not news:
            return 0
        store.load({store.index.components[name].service for name in news})
        Evaluation(store).on_latency({name: paces.get(name, ()) for name in news}, at, now)
        store.flush()
    tell(news_of(store))
    return store.notices


def _worth_it(paces: Mapping[str, Sequence[Pace]], at: datetime) -> list[str]:
    """Return the components of which something stands out: only those are locked."""
    return [name for name, mine in paces.items() if baseline.compare(mine, (), at, {}).found]


def _paces(connection: Connection, index: Index, at: datetime) -> dict[str, list[Pace]]:
    """Return what is known of every series that speaks, by component."""
    probes = {name: probe for name, probe in index.probes.items() if not (probe.witness or probe.control)}
    series = {row.id: probes[row.probe] for row in connection.execute(select(SERIES)) if row.probe in probes}
    newest = _newest(connection, at)
    slow = [key for key, (_, now) in newest.items() if key in series and now.p50_s > baseline.MIN_EXTRA_S / 2]
    past = _past(connection, slow, at)
    found: dict[str, list[Pace]] = {}
    for key, (what, now) in newest.items():
        probe: Probe | None = series.get(key)
        if probe is not None:
            pace = Pace(probe.id, what, now, _hours(past.get(key, ()), what))
            found.setdefault(probe.component, []).append(pace)
    return found


def _newest(connection: Connection, at: datetime) -> dict[int, tuple[str, Hour]]:
    """Return the newest half hour of every series: first tokens where there are any, else whole answers."""
    query = select(MINUTE.c.series, MINUTE.c.response, MINUTE.c.ttft)
    inside = (MINUTE.c.bucket_us >= us(at - baseline.RECENT), MINUTE.c.bucket_us < us(at))
    held: dict[int, tuple[list[bytes], list[bytes]]] = {}
    for row in connection.execute(query.where(*inside)):
        responses, firsts = held.setdefault(row.series, ([], []))
        responses.append(row.response)
        if row.ttft:
            firsts.append(row.ttft)
    found: dict[int, tuple[str, Hour]] = {}
    for key, (responses, firsts) in held.items():
        whole = sketch.merge(sketch.decode(blob) for blob in firsts or responses)
        made = baseline.hour(baseline.own_hour(at), whole, 0, 0)
        if made is not None:
            found[key] = ("ttft" if firsts else "response", made)
    return found


def _past(connection: Connection, series: Sequence[int], at: datetime) -> dict[int, list[Row[Any]]]:
    """Return the hours of past weeks that the newest half hour is compared with, by series."""
    found: dict[int, list[Row[Any]]] = {}
    starts = [us(start) for start in baseline.past_hours(at)]
    for some in chunks(series, 500):
        query = select(HOUR).where(HOUR.c.bucket_us.in_(starts), HOUR.c.series.in_(some)).order_by(HOUR.c.bucket_us)
        for row in connection.execute(query):
            found.setdefault(row.series, []).append(row)
    return found


def _hours(rows: Sequence[Row[Any]], what: str) -> Callable[[], list[Hour]]:
    return lambda: [made for row in rows if (made := _hour(row, what)) is not None]


def _hour(row: Row[Any], what: str) -> Hour | None:
    bucket = read_bucket(row)
    bad = sum(count for code, count in bucket.counts.items() if code in REASONS and baseline.is_bad(REASONS[code]))
    return baseline.hour(when(row.bucket_us), bucket.ttft if what == "ttft" else bucket.response, bucket.looks, bad)
