"""Roll-ups: buckets add up in any order, and hold the same numbers as the rules take from the looks themselves."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, select

from monitor import flow
from monitor.core.components import sketch
from monitor.core.components.latencies import response_s
from monitor.core.model.observations import ChatTimes, Observation, Phases, Result, RunId
from monitor.core.model.reasons import Reason
from monitor.store.connection.engine import reading
from monitor.store.results.rolling import DAYS, HOUR, LEVELS, MINUTE, Bucket, Key, merge, read_bucket
from tests.edges.flowing import T0, publish

COUNTS = st.dictionaries(st.sampled_from([reason.code for reason in Reason]), st.integers(1, 9), max_size=4)
SKETCHES = st.dictionaries(st.integers(-400, 400), st.integers(1, 9), max_size=5)
BUCKETS = st.builds(Bucket, COUNTS, SKETCHES, SKETCHES, st.integers(0, 10**6), st.integers(0, 10**9))
KEYS = st.tuples(st.integers(0, 3000).map(lambda minute: minute * 60_000_000), st.integers(1, 3))
REASONS = (Reason.OK, Reason.SLOW, Reason.SERVER_ERROR, Reason.AUTH, Reason.NOT_RUNNING)


def copied(items: list[tuple[Key, Bucket]]) -> list[tuple[Key, Bucket]]:
    return [(key, Bucket(**{name: getattr(bucket, name) for name in Bucket.__slots__})) for key, bucket in items]


@given(st.lists(st.tuples(KEYS, BUCKETS), max_size=12), st.randoms())
@settings(max_examples=60, deadline=None)
def test_merging_buckets_is_associative_and_commutative_and_loses_nothing(
    items: list[tuple[Key, Bucket]], rng: random.Random
) -> None:
    (_, _), (_, hour), (_, day) = LEVELS
    whole = merge(copied(items), day)
    mixed = copied(items)
    rng.shuffle(mixed)
    cut = rng.randint(0, len(mixed))
    by_parts = [*merge(mixed[:cut], hour).items(), *merge(mixed[cut:], hour).items()]
    rng.shuffle(by_parts)
    assert merge(by_parts, day) == whole
    for name in ("tokens_out", "cost_micro_usd"):
        assert sum(getattr(b, name) for b in whole.values()) == sum(getattr(b, name) for _, b in items)
    for name in ("counts", "response", "ttft"):
        total = sum(sum(getattr(b, name).values()) for b in whole.values())
        assert total == sum(sum(getattr(b, name).values()) for _, b in items)


def looked(number: int, rng: random.Random) -> Result:
    """One look with whatever phases it has."""
    names = ("dns_s", "connect_s", "tls_s", "request_s", "wait_s", "transfer_s", "overhead_s")
    known: dict[str, Any] = {name: round(rng.expovariate(3), 6) for name in names if rng.random() < 0.6}
    chat = ChatTimes(ttft_s=round(rng.expovariate(2), 6), output_tokens=7, cost_usd=0.002) if number % 3 else None
    phases = Phases(**known) if number % 5 else None
    at = T0 + timedelta(seconds=20 * number)
    seen = Observation(rng.choice(REASONS), phases=phases, chat=chat)
    return Result(RunId("ds-api", "local", at), at, round(rng.expovariate(1), 6), seen)


def test_every_level_holds_the_numbers_that_the_rules_take_from_the_looks(engine: Engine) -> None:
    rng = random.Random(1)
    publish(engine)
    seen = [looked(number, rng) for number in range(400)]
    for cut in range(0, 400, 80):
        flow.record(engine, seen[cut : cut + 80], seen[min(cut + 80, 399)].started_at + timedelta(seconds=5))
        flow.roll_up(engine, seen[cut].started_at)
    flow.roll_up(engine, T0 + timedelta(days=2))
    good = [took for result in seen if (took := response_s(result)) is not None]
    firsts = [r.observation.chat.ttft_s for r in seen if response_s(r) is not None and r.observation.chat is not None]
    chats = sum(result.observation.chat is not None for result in seen)
    evidence = sum(result.outcome.is_evidence for result in seen)
    with reading(engine) as connection:
        for level in (MINUTE, HOUR, DAYS):
            total = Bucket()
            for row in connection.execute(select(level)):
                total.pour(read_bucket(row))
            assert total.response == sketch.of(good)
            assert total.ttft == sketch.of(first for first in firsts if first is not None)
            assert (total.looks, sum(total.counts.values())) == (evidence, len(seen))
            assert (total.cost_micro_usd, total.tokens_out) == (2000 * chats, 7 * chats)
