"""Ageing out goes in small steps, each a transaction of its own, and latency views are renewed in turns."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

from sqlalchemy import Engine, func, insert, select

from monitor import flow
from monitor.core.schedule import micros as us
from monitor.flow.prune import STEP_SMALL
from monitor.flow.rolling.latencies import FEWEST
from monitor.store import tables
from monitor.store.connection.engine import begin, reading
from monitor.store.results import raw
from monitor.store.results.rolling import MINUTE as MINUTES
from monitor.store.tables import table
from tests.bench.store import T0 as BEGIN
from tests.bench.store import catalogue, looks
from tests.edges.flowing import MINUTE, T0

MANY = 3 * STEP_SMALL


def seed(engine: Engine) -> None:
    """Put old minutes and old evidence into the database."""
    with begin(engine) as connection:
        base = {"counts": "{}", "response": b"", "ttft": b"", "tokens_out": 0, "cost_micro_usd": 0}
        rows = [base | {"bucket_us": us(T0 + (i // 100) * MINUTE), "series": i % 100} for i in range(MANY)]
        connection.execute(insert(MINUTES), rows)
        kept = [{"result_id": i, "series": 1, "at_us": us(T0) + i, "incident": "", "body": "{}"} for i in range(MANY)]
        connection.execute(insert(raw.EVIDENCE), kept)


def held(engine: Engine) -> tuple[int, int]:
    """Count minutes and evidence."""
    with reading(engine) as connection:
        counts = [connection.scalar(select(func.count()).select_from(one)) or 0 for one in (MINUTES, raw.EVIDENCE)]
    return counts[0], counts[1]


def test_between_two_steps_everybody_may_write(engine: Engine) -> None:
    seed(engine)
    seen: list[tuple[int, int]] = []

    def rest() -> None:
        with begin(engine) as connection:  # raises if a step still held the database
            connection.execute(
                insert(raw.EVIDENCE).values(result_id=MANY + len(seen), series=1, at_us=us(T0) * 2, body="")
            )
        seen.append(held(engine))

    flow.prune(engine, T0 + timedelta(days=100), rest=rest)
    assert held(engine) == (0, len(seen))
    assert len(seen) >= 6
    gone = [before[0] - after[0] for before, after in pairwise(seen)]
    assert max(gone) <= STEP_SMALL + 100  # whole minutes, of a hundred series each


def test_a_bounded_call_leaves_the_rest_for_the_next(engine: Engine) -> None:
    seed(engine)
    later = T0 + timedelta(days=100)
    flow.prune(engine, later, steps=1)
    assert 0 < held(engine)[0] < MANY
    assert 0 < held(engine)[1] < MANY
    for _ in range(4):
        flow.prune(engine, later, steps=1)
    assert held(engine) == (0, 0)


def test_the_views_of_a_large_catalogue_are_renewed_in_turns(engine: Engine) -> None:
    probes = 3 * FEWEST
    flow.publish_catalogue(engine, catalogue(probes), BEGIN)
    component = table(tables.Component).c
    views = select(component.latency).order_by(component.id)
    stream = list(looks(probes, 6))

    def renewed(tick: int) -> tuple[int, int]:
        """Return how many views the roll-up after a tick changed, and how many there are."""
        with reading(engine) as connection:
            before = connection.scalars(views).all()
        now = BEGIN + (tick + 1) * MINUTE
        flow.record(engine, stream[tick * probes : (tick + 1) * probes], now)
        flow.roll_up(engine, now)
        with reading(engine) as connection:
            after = connection.scalars(views).all()
        return len(set(after) - set(before)) and sum(a != b for a, b in zip(before, after, strict=True)), sum(
            map(bool, after)
        )

    assert renewed(0) == (probes, probes)  # what is missing is made at once
    assert [renewed(tick) for tick in range(1, 6)] == [(FEWEST, probes)] * 5
