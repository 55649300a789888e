"""Wall time in the database: whatever is seen, and whenever, the parts of a window add up to it."""

from __future__ import annotations

import itertools
import tempfile
from datetime import UTC, datetime, timedelta

from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, select

from monitor import flow
from monitor.core.commands import ScheduleMaintenance
from monitor.core.components.health import stale_after
from monitor.core.model.reasons import Reason
from monitor.store import reads, tables
from monitor.store.connection.engine import open_engine, reading
from monitor.store.reads.views import ComponentView
from monitor.store.tables import table
from monitor.store.upgrade import migrate
from tests.edges.flowing import MINUTE, PROBES, look, publish

NIGHT = datetime(2026, 1, 5, 23, 40, tzinfo=UTC)
"""So that a history of an hour touches two days."""
PAUSE = 4 * MINUTE
"""Longer than evidence holds."""
PARTS = ("up_s", "degraded_s", "down_s", "maintenance_s", "unknown_s")
SEEN = (Reason.OK, Reason.SLOW, Reason.CONTENT, Reason.SERVER_ERROR, Reason.AUTH, Reason.NOT_RUNNING, Reason.NETWORK)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["look", "look", "look", "pause", "sweep", "life", "work"]),
        st.sampled_from(SEEN),
        st.integers(1, 4),
    ),
    min_size=1,
    max_size=14,
)


def lived(engine: Engine, steps: list[tuple[str, Reason, int]]) -> datetime:
    """Let a component live; returns the moment at which that ends."""
    publish(engine, at=NIGHT)
    at, planned = NIGHT, any(what == "work" for what, _, _ in steps)  # what ends by itself, whoever looks
    for number, (what, reason, minutes) in enumerate(steps):
        if what == "look":
            for _ in range(minutes):
                at += MINUTE
                results = [look("ds-api", at, reason, attempt) for attempt in (1, 2, 3)]
                before = [] if planned or may_move(reason) else moves(engine)
                flow.record(engine, results, at + timedelta(seconds=4))
                assert planned or may_move(reason) or moves(engine) == before, "who saw nothing moved an incident"
                flow.check_in(engine, "w", "local", at + timedelta(seconds=5))
        elif what == "work":
            order = ScheduleMaintenance("deepseek", ("deepseek/api",), f"Work {number}", at, at + minutes * MINUTE, "")
            flow.command(engine, order, "alice", at)
        elif what == "pause":
            at += minutes * PAUSE
        else:
            at += minutes * MINUTE
            flow.check_in(engine, "w", "local", at) if what == "life" else flow.sweep(engine, at)
    flow.sweep(engine, at + timedelta(seconds=30))
    return at + timedelta(seconds=30)


def may_move(reason: Reason) -> bool:
    """Say whether a look may tell something; keys refused on all sides at once may."""
    return reason.outcome.is_evidence or reason is Reason.AUTH


def moves(engine: Engine) -> list[tuple[str, int]]:
    """Return what happened to incidents so far, but for the vendor's words."""
    return [(item.id, len(item.events)) for item in reads.incidents(engine, public=False)]


def shown(engine: Engine, at: datetime) -> ComponentView:
    services = reads.snapshot(engine, at, public=True).services
    return next(part for service in services for part in service.components if part.id == "deepseek/api")


@given(STEPS)
@example([("look", Reason.OK, 1), ("pause", Reason.OK, 1), ("look", Reason.OK, 1)])
@example([("look", Reason.OK, 1), ("work", Reason.OK, 4), ("look", Reason.CONTENT, 3)])
@settings(max_examples=10, deadline=None, phases=(Phase.explicit, Phase.generate))
def test_the_parts_of_whatever_was_recorded_add_up_to_the_second(steps: list[tuple[str, Reason, int]]) -> None:
    with tempfile.TemporaryDirectory() as home:
        engine = open_engine(f"sqlite:///{home}/test.db")
        try:
            migrate(engine)
            end = lived(engine, steps)
            adds_up(shown(engine, end), end)
            rests_on_evidence(shown(engine, end), steps, end)
            later = end + timedelta(days=2)
            flow.check_in(engine, "w", "local", later)
            before = shown(engine, later)
            flow.roll_up(engine, later)
            adds_up(shown(engine, later), later)
            assert shown(engine, later) == before, "closing a day changes nothing"
            spans_are_disjoint(engine)
        finally:
            engine.dispose()


def adds_up(part: ComponentView, end: datetime) -> None:
    uptime = part.uptime
    assert min(getattr(uptime, name) for name in PARTS) >= 0
    assert round(sum(getattr(uptime, name) for name in PARTS), 6) == round(uptime.window_s, 6)
    assert round(uptime.window_s, 6) == (end - NIGHT).total_seconds()
    assert uptime.ratio is None or 0 <= uptime.ratio <= 1
    known_s = uptime.up_s + uptime.degraded_s + uptime.down_s
    assert uptime.ratio is None or abs(uptime.ratio * known_s - (uptime.up_s + uptime.degraded_s)) < 1e-6
    sums = {
        name: sum(getattr(day, f"{name}_s") for day in part.days) for name in ("operational", "degraded", "unknown")
    }
    assert round(sums["operational"], 6) == round(uptime.up_s, 6)
    assert round(sums["degraded"], 6) == round(uptime.degraded_s, 6)
    assert round(sums["unknown"], 6) == round(uptime.unknown_s, 6)
    assert round(sum(day.partial_s + day.major_s for day in part.days), 6) == round(uptime.down_s, 6)


def rests_on_evidence(part: ComponentView, steps: list[tuple[str, Reason, int]], end: datetime) -> None:
    """Nothing is known of a time that no look speaks for: evidence holds for a while, silence for nothing."""
    at, speaking = NIGHT, []
    for what, reason, minutes in steps:
        for _ in range(minutes if what != "work" else 0):
            at += PAUSE if what == "pause" else MINUTE
            if what == "look" and may_move(reason):
                speaking.append(at)
    known_s, until = 0.0, NIGHT
    for moment in speaking:
        ends = min(end, moment + stale_after(PROBES[0]) + timedelta(seconds=3))
        known_s += (ends - max(moment, until)).total_seconds()
        until = ends
    assert part.uptime.up_s + part.uptime.degraded_s + part.uptime.down_s <= known_s


def spans_are_disjoint(engine: Engine) -> None:
    span = table(tables.Span)
    query = select(span.c.component, span.c.start_us, span.c.end_us).order_by(span.c.component, span.c.start_us)
    with reading(engine) as connection:
        rows = connection.execute(query).all()
    assert all(row.start_us < row.end_us for row in rows)
    assert all(a.end_us <= b.start_us for a, b in itertools.pairwise(rows) if a.component == b.component)
