"""A component with two probes keeps its downtime, whichever of them saw it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from sqlalchemy import Engine

from monitor import flow
from monitor.core.catalogue import Probe
from monitor.core.model.observations import ChatTimes
from monitor.core.model.reasons import Reason
from monitor.core.model.states import Health
from monitor.store import reads
from tests.edges.flowing import CATALOGUE, MINUTE, T0, look, publish

EDGE = Probe("ds-edge", "deepseek/api", "http", 60, 10.0)
BOTH = replace(CATALOGUE, probes=(*CATALOGUE.probes, EDGE))


def play(engine: Engine, story: str, edge: str | None = None) -> None:
    """Record one look a minute of both probes: ``o`` good, ``x`` failed, ``s`` slow."""
    words = {"o": Reason.OK, "x": Reason.SERVER_ERROR, "s": Reason.SLOW}
    for minute, letter in enumerate(story):
        at = T0 + minute * MINUTE
        other = (edge or "o" * len(story))[minute]
        now = at + timedelta(seconds=5)
        flow.check_in(engine, "w1", "local", now)
        flow.record(engine, [look("ds-api", at, words[letter]), look("ds-edge", at, words[other])], now)


def test_downtime_seen_by_one_of_two_probes_is_counted(engine: Engine) -> None:
    publish(engine, BOTH)
    play(engine, "ooooxxxxxxoooooooo")
    api = reads.snapshot(engine, T0 + 18 * MINUTE, public=True).services[0].components[0]
    assert api.health is Health.OPERATIONAL
    assert api.uptime.down_s == 5.5 * 60  # to midway between its last failed look and the next
    assert api.since is not None
    assert api.since >= T0 + 9.5 * MINUTE


def test_a_component_that_was_slow_before_it_went_down_was_down_in_between(engine: Engine) -> None:
    publish(engine, BOTH)
    play(engine, "ooooooxxxxxxoooooooo", edge="oo" + "s" * 18)
    api = reads.snapshot(engine, T0 + 20 * MINUTE, public=True).services[0].components[0]
    assert api.health is Health.DEGRADED
    assert api.uptime.down_s == 5.5 * 60  # to midway between its last failed look and the next


def test_a_worker_that_starts_after_a_pause_gives_every_probe_its_turn_before_it_calls_it_overdue(
    engine: Engine,
) -> None:
    publish(engine)
    play(engine, "oooo")
    flow.check_in(engine, "w1", "local", T0 + 4 * MINUTE)
    back = T0 + timedelta(hours=2)
    flow.sweep(engine, back)  # the judge of time may wake before whoever looks
    assert reads.alerts(engine, open_only=True) == ()
    for minute in range(3):
        flow.check_in(engine, "w1", "local", back + minute * MINUTE)
        flow.sweep(engine, back + minute * MINUTE)
        assert reads.alerts(engine, open_only=True) == ()
    for minute in range(3, 10):
        flow.check_in(engine, "w1", "local", back + minute * MINUTE)
        flow.sweep(engine, back + minute * MINUTE)
    assert {view.alert.rule for view in reads.alerts(engine, open_only=True)} == {"overdue"}


def test_a_few_results_on_disk_at_the_start_are_no_news_but_those_that_stay_are(engine: Engine) -> None:
    publish(engine)
    flow.check_in(engine, "w1", "local", T0, spooled=3)
    assert reads.alerts(engine, open_only=True) == ()
    flow.check_in(engine, "w1", "local", T0 + timedelta(seconds=5), spooled=9)
    assert [view.alert.rule for view in reads.alerts(engine, open_only=True)] == ["spool"]
    flow.check_in(engine, "w1", "local", T0 + timedelta(seconds=10))
    assert reads.alerts(engine, open_only=True) == ()


def test_a_bucket_without_a_first_token_is_a_gap_among_first_tokens_not_a_page_load(engine: Engine) -> None:
    publish(engine, BOTH)
    chat = ChatTimes(ttft_s=1.5, last_token_s=2.0, output_tokens=5)
    flow.record(engine, [look("ds-edge", T0), look("ds-api", T0, chat=chat)], T0)
    flow.record(engine, [look("ds-edge", T0 + 5 * MINUTE)], T0 + 5 * MINUTE)
    flow.roll_up(engine, T0 + 10 * MINUTE)
    points = reads.latency(engine, "deepseek/api", T0, T0 + 10 * MINUTE, 60)
    assert [point.p50_s is None for point in points] == [False, True]
    assert points[0].p50_s is not None
    assert abs(points[0].p50_s - 1.5) < 0.02
