import random

from hypothesis import given
from hypothesis import strategies as st

from monitor.core import rollups
from monitor.core.model import ChatTimes, Observation, Outcome, Phases, Reason, Result

from .making import at, look

REASONS = st.sampled_from([Reason.OK, Reason.SLOW, Reason.SERVER_ERROR, Reason.AUTH, Reason.NOT_RUNNING])
LOOKS = st.lists(st.tuples(st.integers(0, 200_000), REASONS, st.sampled_from("ab")), max_size=60).map(
    lambda rows: [look(tick, reason, probe=probe) for tick, reason, probe in rows]
)


@given(LOOKS, st.randoms())
def test_hours_of_minutes_are_the_hours_of_the_looks_in_any_order(seen: list[Result], rng: random.Random) -> None:
    minutes = rollups.roll(seen, rollups.MINUTE_S)
    rng.shuffle(minutes)
    assert rollups.merge(minutes, rollups.HOUR_S) == rollups.roll(seen, rollups.HOUR_S)
    hours = rollups.merge(minutes, rollups.HOUR_S)
    assert rollups.merge(hours, rollups.DAY_S) == rollups.roll(seen, rollups.DAY_S)


@given(LOOKS)
def test_every_look_is_in_exactly_one_bucket(seen: list[Result]) -> None:
    for size_s in rollups.SIZES_S:
        buckets = rollups.roll(seen, size_s)
        assert sum(sum(bucket.outcomes.values()) for bucket in buckets) == len(seen)
        assert all(bucket.start == rollups.bucket_start(bucket.start, size_s) for bucket in buckets)


def test_a_bucket_counts_evidence_reasons_tokens_and_money_apart() -> None:
    times = ChatTimes(ttft_s=1.5, output_tokens=20, cost_usd=0.0001)
    phases = Phases(dns_s=0.1, wait_s=1.0, overhead_s=9.0)
    good = Result(look(0, Reason.OK).run, at(0), 12.0, Observation(Reason.OK, phases=phases, chat=times))
    bucket = rollups.roll([good, look(10, Reason.AUTH), look(20, Reason.SERVER_ERROR)], 60)[0]
    assert bucket.looks == 2
    assert bucket.outcomes == {Outcome.OK: 1, Outcome.UNKNOWN: 1, Outcome.FAILED: 1}
    assert bucket.reasons == {Reason.AUTH: 1, Reason.SERVER_ERROR: 1}
    assert (bucket.tokens_out, bucket.cost_micro_usd) == (20, 100)
    assert len(bucket.ttft) == len(bucket.response) == 1


def test_our_own_overhead_and_failures_are_no_latency() -> None:
    phases = Phases(dns_s=0.1, wait_s=1.0, overhead_s=9.0)
    slow = Result(look(0, Reason.OK).run, at(0), 12.0, Observation(Reason.OK, phases=phases))
    assert rollups.response_s(slow) == 1.1
    assert rollups.response_s(look(0, Reason.OK)) == 0.5
    assert rollups.response_s(look(0, Reason.TIMEOUT_TOTAL)) is None
    bare = Result(look(0, Reason.OK).run, at(0), 2.0, Observation(Reason.OK, phases=Phases()))
    assert rollups.response_s(bare) == 2.0
