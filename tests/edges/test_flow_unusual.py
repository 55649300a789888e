"""Slower than usual for the hour of the week, through the recorder and its roll-ups, beside the rules in memory."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from sqlalchemy import Engine

from monitor import flow
from monitor.core.model.observations import ChatTimes, Phases, Result
from monitor.core.model.reasons import Reason
from monitor.core.model.states import Health
from monitor.core.replay import Judge
from monitor.store import reads
from monitor.store.reads.views import AlertView, ComponentView
from monitor.text.lexicon import lexicon
from monitor.text.messages import worded
from tests.edges.flowing import CATALOGUE, MINUTE, T0, look, publish

NOW = T0 + timedelta(weeks=4, hours=6)
"""A Monday, 14:00."""
FIVE = 5 * MINUTE


def answer(at: datetime, ttft_s: float, reason: Reason = Reason.OK) -> Result:
    chat = ChatTimes(ttft_s=ttft_s) if reason is Reason.OK else None
    return look("ds-api", at, reason, chat=chat, phases=Phases(wait_s=ttft_s))


def mondays(weeks: int, ttft_s: float = 0.9, reason: Reason = Reason.OK) -> Iterator[Result]:
    """Yield a look every five minutes of the hours around 14:00 on as many Mondays before now."""
    for week in range(weeks, 0, -1):
        begin_at = NOW - timedelta(weeks=week, hours=1)
        yield from (answer(begin_at + n * FIVE, ttft_s * (1 + 0.02 * (n % 3)), reason) for n in range(36))


class Both:
    """The recorder and the rules in memory, fed alike."""

    def __init__(self, engine: Engine, past: Iterator[Result]) -> None:
        publish(engine, at=T0)
        self.engine, self.judge = engine, Judge(CATALOGUE)
        before = list(past)
        flow.record(engine, before, NOW - timedelta(hours=2), backfill=True)
        flow.roll_up(engine, NOW - timedelta(hours=2))
        for result in before:
            self.judge.record([result])

    def play(self, start: datetime, ttft_s: list[float]) -> None:
        for number, value in enumerate(ttft_s):
            result = answer(start + number * FIVE, value)
            after = result.started_at + timedelta(seconds=1)
            flow.record(self.engine, [result], after)
            self.judge.record([result])
            late = result.started_at + timedelta(seconds=90)
            flow.sweep(self.engine, late)
            flow.roll_up(self.engine, late)
            self.judge.sweep(late)
            shown, ours = part(self.engine, late), self.judge.shown("deepseek/api", late)
            assert ours is not None
            assert (shown.health, shown.reason, shown.detail) == (ours.health, ours.reason, ours.detail)

    def alerts(self) -> list[AlertView]:
        return [view for view in reads.alerts(self.engine) if view.alert.rule == "latency_unusual"]


def part(engine: Engine, now: datetime) -> ComponentView:
    shown = reads.snapshot(engine, now, public=True)
    return next(p for service in shown.services for p in service.components if p.id == "deepseek/api")


def test_slower_than_on_other_mondays_is_shown_with_both_numbers_and_pages_nobody(engine: Engine) -> None:
    both = Both(engine, mondays(4))
    both.play(NOW - timedelta(minutes=30), [0.9] * 6 + [4.1] * 8)
    found = part(engine, NOW + 7 * FIVE + timedelta(seconds=90))
    assert (found.health, found.reason) == (Health.DEGRADED, Reason.UNUSUAL)
    assert worded(found.detail, lexicon()) == "first token takes 4.1 s, usual for a Monday 14:00 UTC is 0.9 s"
    assert found.unusual is not None
    (view,) = both.alerts()
    (fired,) = (alert for alert in both.judge.fired if alert.rule == "latency_unusual")
    assert (view.alert.key, view.alert.started_at) == (fired.key, fired.started_at)
    assert not view.notices
    assert [decision.why.value for decision in view.decisions] == ["no_route"]
    assert reads.incidents(engine, public=False) == ()
    assert both.judge.events == []
    both.play(NOW + 8 * FIVE, [0.9] * 8)
    over = part(engine, NOW + 15 * FIVE + timedelta(seconds=90))
    assert (over.health, over.unusual) == (Health.OPERATIONAL, None)
    assert both.alerts()[0].alert.resolved_at is not None
    slow_s = over.days[-1].degraded_s
    assert 15 * 60 <= slow_s <= 60 * 60  # what was slow stays written down as slow


def test_two_weeks_of_history_are_too_little_to_say_anything(engine: Engine) -> None:
    both = Both(engine, mondays(2))
    both.play(NOW, [4.1] * 9)
    assert part(engine, NOW + 8 * FIVE + timedelta(seconds=90)).health is Health.OPERATIONAL
    assert both.alerts() == []


def test_hours_of_a_past_outage_are_not_what_is_usual(engine: Engine) -> None:
    """Three of six Mondays were disturbed and slow beyond measure; the other three are the ones that count."""
    calm = [r for r in mondays(6) if r.started_at >= NOW - timedelta(weeks=3, days=1)]
    bad = [
        answer(r.started_at, 30.0, Reason.SERVER_ERROR if n % 3 else Reason.OK)
        for n, r in enumerate(mondays(6))
        if r.started_at < NOW - timedelta(weeks=3, days=1)
    ]
    both = Both(engine, iter([*bad, *calm]))
    both.play(NOW, [4.1] * 9)
    found = part(engine, NOW + 8 * FIVE + timedelta(seconds=90))
    assert found.unusual is not None
    assert (found.unusual.weeks, round(found.unusual.usual_s, 1)) == (3, 0.9)
