"""The latency view of each component, worked out from the roll-ups of the last 24 hours.

With a day behind it a view is two kilobytes of text, and most of what a large catalogue would write each minute: so
views are renewed in turns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, Engine, select, update

from monitor.core.components import sketch
from monitor.core.schedule import micros as us
from monitor.store.catalogues import load_index
from monitor.store.codec import pack
from monitor.store.connection.engine import begin, reading
from monitor.store.reads.looks import latency_points, speaking_series
from monitor.store.reads.views import Latency
from monitor.store.results.rolling import HOUR_US, Bucket, level_rows, mark, read_bucket, set_mark
from monitor.store.transaction.store import COMPONENT

EVERY_S = 60
FEWEST, TURNS = 20, 60
"""Views renewed each time: so many at least, and a sixtieth of all."""
TURN = "latency_turn"
"""The mark of whose turn it is."""


def renew_latencies(engine: Engine, now: datetime) -> bool:
    """Renew the views whose turn it is, and those that are missing: read first, then write briefly.

    Returns False when the last time was less than :data:`EVERY_S` ago.
    """
    with reading(engine) as connection:
        if us(now) - mark(connection, "latency") < EVERY_S * 1_000_000:
            return False
        index = load_index(connection)
        missing = set(connection.scalars(select(COMPONENT.c.id).where(COMPONENT.c.latency == "")))
        names = list(index.components)
        begun = mark(connection, TURN)
        ended = begun + max(FEWEST, len(names) // TURNS)
        found = []
        for place, component in enumerate(names):
            if component in missing or begun <= place < ended:
                view = _latency(connection, speaking_series(connection, index, component), now)
                if view is not None:
                    found.append((component, pack(Latency, view)))
    with begin(engine) as connection:
        for component_id, body in sorted(
            found
        ):  # every writer locks components in this order, which prevents deadlocks
            connection.execute(update(COMPONENT).where(COMPONENT.c.id == component_id).values(latency=body))
        mark(connection, "latency", lock=True)
        set_mark(connection, "latency", us(now))
        set_mark(connection, TURN, ended if ended < len(names) else 0)
    return True


def _latency(connection: Connection, series: Sequence[int], now: datetime) -> Latency | None:
    low = us(now) - us(now) % HOUR_US - 23 * HOUR_US
    rows = level_rows(connection, "hour", low, us(now) + 1, series)
    if not rows:
        return None
    whole = Bucket()
    for row in rows:
        whole.pour(read_bucket(row))
    shown = whole.ttft or whole.response
    return Latency(
        what="ttft" if whole.ttft else "response",
        window_s=(us(now) - low) / 1e6,
        p50_s=_rounded(sketch.quantile(shown, 0.5)),
        p95_s=_rounded(sketch.quantile(shown, 0.95)),
        looks=whole.looks,
        recent=tuple(
            replace(point, p50_s=_rounded(point.p50_s), p95_s=_rounded(point.p95_s))
            for point in latency_points(rows, HOUR_US)
        ),
    )


def _rounded(seconds: float | None) -> float | None:
    """Cut to microseconds: a sketch knows a hundredth, and the digits beyond would be a third of what is written."""
    return None if seconds is None else round(seconds, 6)
