"""Several workers over one database: the same verdicts as one, nothing twice, nothing lost."""

from __future__ import annotations

import tempfile
import threading
from dataclasses import replace
from datetime import timedelta

from sqlalchemy import Engine

from monitor import flow
from monitor.core.catalogue import Catalogue
from monitor.core.model.incident_events import EventKind
from monitor.core.model.observations import Result
from monitor.core.model.reasons import Reason
from monitor.core.model.states import Health
from monitor.store import reads
from monitor.store.connection.engine import AWAY, open_engine
from monitor.store.upgrade import migrate
from monitor.text.lexicon import lexicon
from monitor.text.messages import worded
from tests.edges.flowing import CATALOGUE, MINUTE, T0, look, publish

LOCATIONS = ("berlin", "tokyo")


def both_places() -> Catalogue:
    return replace(CATALOGUE, probes=tuple(replace(probe, locations=LOCATIONS) for probe in CATALOGUE.probes))


def stream(location: str) -> list[Result]:
    """An outage of one service everywhere, and one that only Tokyo sees."""
    found = []
    for minute in range(40):
        at = T0 + minute * MINUTE
        down = 10 <= minute < 20
        alone = location == "tokyo" and 5 <= minute < 8
        found.append(look("ds-api", at, Reason.SERVER_ERROR if down else Reason.OK, location=location))
        found.append(look("oa-api", at, Reason.SERVER_ERROR if alone else Reason.OK, location=location))
    return found


def insist(engine: Engine, batch: list[Result]) -> None:
    """Record as a worker does: when the database cannot take it, try again."""
    for left in range(50, -1, -1):
        try:
            flow.record(engine, batch, batch[-1].run.tick + timedelta(seconds=2))
        except AWAY:
            if not left:
                raise
            continue
        return


def judged_by_one() -> list[EventKind]:
    """Return what happens in the outage when one worker records the looks of both places in the order of time."""
    with tempfile.TemporaryDirectory() as directory:
        alone = open_engine(f"sqlite:///{directory}/alone.db")
        migrate(alone)
        publish(alone, both_places())
        for pair in zip(*(batched(stream(place), 2) for place in LOCATIONS), strict=True):
            for looks in pair:
                insist(alone, looks)
        (incident,) = reads.incidents(alone, public=True)
        alone.dispose()
    kinds = [event.kind for event in incident.events]
    assert (kinds[0], kinds[-2:]) == (EventKind.OPENED, [EventKind.RECOVERING, EventKind.RESOLVED])
    return kinds


def batched(looks: list[Result], size: int) -> list[list[Result]]:
    return [looks[start : start + size] for start in range(0, len(looks), size)]


def test_three_workers_in_two_places_judge_as_one_would(engine: Engine) -> None:
    """Two of the three hold the same location by mistake: each look counts once."""
    publish(engine, both_places())
    barrier = threading.Barrier(3)

    def work(location: str) -> None:
        for looks in batched(stream(location), 2):
            barrier.wait(300)
            insist(engine, looks)
            flow.roll_up(engine, looks[0].run.tick)

    threads = [threading.Thread(target=work, args=(place,)) for place in ("berlin", "tokyo", "tokyo")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    runs = [result.run for result in reads.results(engine)]
    assert len(runs) == len(set(runs)) == 160
    (incident,) = reads.incidents(engine, public=True)
    assert incident.service == "deepseek"
    assert incident.started_at == T0 + 10 * MINUTE
    assert [event.kind for event in incident.events] == judged_by_one()
    later = T0 + 60 * MINUTE
    flow.roll_up(engine, later)
    points = reads.latency(engine, "openai/api", T0, later, 3600)
    assert sum(point.looks for point in points) == 80


def test_one_place_alone_makes_no_incident_but_is_named_a_suspect(engine: Engine) -> None:
    publish(engine, both_places())
    for minute in range(6):
        at = T0 + minute * MINUTE
        reason = Reason.SERVER_ERROR if minute >= 3 else Reason.OK
        insist(engine, [look("oa-api", at, location="berlin"), look("oa-api", at, reason, location="tokyo")])
    assert reads.incidents(engine, public=False) == ()
    shot = reads.snapshot(engine, T0 + 5.2 * MINUTE, public=True)
    assert shot.services[1].components[0].health is Health.DEGRADED
    (view,) = reads.alerts(engine, open_only=True)
    assert (view.alert.rule, view.alert.summary["locations"]) == ("suspect", ["tokyo"])


def test_a_location_is_blind_when_all_its_living_workers_are_and_its_alert_does_not_flap(engine: Engine) -> None:
    publish(engine)
    why = "all 2 control targets fail with network errors"

    def after(second: int, **workers: str) -> tuple[list[str], bool]:
        now = T0 + timedelta(seconds=second)
        for name, blind in workers.items():
            flow.check_in(engine, f"berlin-{name}", "berlin", now, blind=blind)
        flow.sweep(engine, now)
        found = [view.alert for view in reads.alerts(engine, open_only=True) if view.alert.rule == "blind"]
        assert len({alert.id for alert in found}) <= 1
        shot = reads.snapshot(engine, now, public=True)
        told = [f"{alert.severity}: {worded(alert.summary['why'], lexicon())}" for alert in found]
        return told, shot.blind_since is not None

    one, other = (f"worker berlin-{name} in berlin: {why}" for name in "ab")
    assert after(0, a="", b="") == ([], False)
    for second in range(5, 35, 5):  # a blip of two vendors at the same time is no blindness
        assert after(second, b="", a=why) == after(second + 1, b="") == ([], False)
    for second in range(35, 55, 5):
        assert after(second, b="", a=why) == after(second + 1, b="") == ([f"ticket: {one}"], False)
    assert after(55, a=why, b=why) == ([f"page: {one}; {other}"], True)
    assert len(reads.alerts(engine)) == 1
    # One ends and is forgotten; what is left of the place is still blind, and silence of all is no recovery.
    assert after(150, b=why) == ([f"page: {other}"], True)
    assert after(400) == ([f"page: {other}"], True)
    # A full line lets some looks through: sight has to last before the alert is over, and it is one alert.
    assert after(405, b="") == ([f"page: {other}"], False)
    assert after(410, b=why) == after(465, b=why) == ([f"page: {other}"], True)
    for second in (470, 570, 670, 765):
        assert after(second, b="") == ([f"page: {other}"], False)
    assert after(770, b="") == ([], False)
    assert len(reads.alerts(engine)) == 1


def test_the_verdicts_do_not_depend_on_the_database(engine: Engine) -> None:
    publish(engine)
    looks = [look("ds-api", T0 + i * MINUTE, Reason.SERVER_ERROR if i % 7 > 3 else Reason.OK) for i in range(80)]
    for result in looks:
        flow.record(engine, [result], result.run.tick + timedelta(seconds=1))
    with tempfile.TemporaryDirectory() as directory:
        other = open_engine(f"sqlite:///{directory}/other.db")
        migrate(other)
        publish(other)
        for result in looks:
            flow.record(other, [result], result.run.tick + timedelta(seconds=1))
        now = T0 + 81 * MINUTE
        assert reads.snapshot(other, now, public=False) == reads.snapshot(engine, now, public=False)
        assert reads.alerts(other) == reads.alerts(engine)
        other.dispose()
