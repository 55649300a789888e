"""What the log says of an hour, by a driven clock: nothing in calm, and every change of an outage once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import time_machine

from monitor import clock
from monitor.config.settled import Settled
from monitor.core.model.observations import Result
from monitor.core.model.reasons import Reason
from monitor.logs import Event
from monitor.recorder.durability.spool import Spool
from monitor.recorder.metrics import Seen, registry_for
from monitor.recorder.process import chores
from monitor.recorder.quarantine import Quarantine
from monitor.recorder.recorder import Recorder
from monitor.runtime.messages import ProberAlive
from monitor.store import reads
from monitor.store.connection.engine import open_engine
from monitor.store.upgrade import migrate
from tests.edges.flowing import CATALOGUE, MINUTE, T0, look, play, publish
from tests.edges.recorder_to_kill import frame

STEP = timedelta(seconds=5)
HOUR = 720
"""Steps."""
BUSY = {Event.TRANSACTION_SLOW}
"""What only a busy machine says."""


def looks(minute: int, failing: frozenset[int]) -> list[Result]:
    at = T0 + minute * MINUTE
    reason = Reason.SERVER_ERROR if minute in failing else Reason.OK
    return [
        look(probe.id, at, reason if probe.id == "oa-api" else Reason.OK, attempt)
        for probe in CATALOGUE.probes
        for attempt in ((1, 2, 3) if probe.id == "oa-api" and minute in failing else (1,))
    ]


async def work(home: Path, traveller: time_machine.Traveller, failing: frozenset[int], steps: int) -> int:
    """Do what a recorder does, every chore as often as it is due; returns how many looks were stored."""
    seen = Seen(clock.now)
    engine = open_engine(f"sqlite:///{home / 'test.db'}")
    recorder = Recorder(
        Settled(CATALOGUE), engine, Spool(home / "spool"), Quarantine(home / "held"), seen, registry_for(seen)[1]
    )
    recorder.apply(recorder.config)
    await recorder.on_frame(ProberAlive(since=T0))
    await recorder.open()
    due: dict[str, datetime] = {}
    for step in range(steps):
        now = T0 + step * STEP
        traveller.move_to(now)
        if step % 12 == 3:  # a quarter of a minute after the tick
            await recorder.on_frame(frame(step, looks(step // 12, failing)))
        await recorder.on_frame(ProberAlive(since=T0))
        for name, (period_s, chore) in chores(recorder).items():
            if name != "share_out" and now >= due.get(name, now):  # share_out waits for other workers
                await chore()
                due[name] = now + timedelta(seconds=period_s)
    await recorder.close()
    stored = sum(
        sum(1 for result in reads.results(engine, probe.id) if result.run.tick >= T0) for probe in CATALOGUE.probes
    )
    engine.dispose()
    return stored


def lived(
    home: Path, caplog: pytest.LogCaptureFixture, failing: Sequence[int] = (), steps: int = HOUR
) -> tuple[int, list[str]]:
    with time_machine.travel(T0, tick=False) as traveller, caplog.at_level(logging.INFO, "chatwatch"):
        stored = asyncio.run(work(home, traveller, frozenset(failing), steps))
    events = [getattr(record, "event", None) for record in caplog.records if record.name.startswith("chatwatch")]
    return stored, [str(event) for event in events if event not in BUSY]


def test_a_calm_hour_says_nothing_at_all(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    stored, events = lived(tmp_path, caplog)
    assert stored == 60 * len(CATALOGUE.probes), "it worked all the while"
    assert events == [], "\n".join(record.getMessage() for record in caplog.records)


def test_half_an_hour_with_an_outage_tells_each_change_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    _, events = lived(tmp_path, caplog, failing=range(4, 9), steps=HOUR // 2)
    incident = [event for event in events if event.startswith("incident_")]
    assert incident == ["incident_opened", "incident_recovering", "incident_resolved"]
    # The second is about the channel of the small world, which nobody set up.
    assert [event for event in events if event.startswith("alert_")] == ["alert_fired", "alert_fired", "alert_ended"]
    assert set(events) <= {*incident, "alert_fired", "alert_ended", "delivery_given_up"}


def test_an_incident_that_grows_ends_and_comes_back_is_told_with_all_its_fields(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'test.db'}")
    migrate(engine)
    publish(engine)
    good, slow, failed = Reason.OK, Reason.SLOW, Reason.SERVER_ERROR
    course = [(range(5), good), (range(5, 20), slow), (range(20, 30), failed), (range(30, 45), good)]
    course += [(range(45, 55), failed), (range(55, 80), good)]
    with caplog.at_level(logging.INFO, "chatwatch"):
        for minutes, reason in course:
            play(engine, minutes, reason, probe="oa-api")
    engine.dispose()
    lines = [
        (str(vars(record)["event"]), vars(record)["fields"]) for record in caplog.records if "fields" in vars(record)
    ]
    told = [(event, fields) for event, fields in lines if event not in BUSY]
    assert [event for event, _ in told if event.startswith("incident_")] == [
        "incident_opened",
        "incident_worse",
        "incident_better",
        "incident_recovering",
        "incident_resolved",
        "incident_reopened",
        "incident_recovering",
        "incident_resolved",
    ]
    assert [event for event, _ in told if event.startswith("alert_")] == [
        "alert_fired",
        "alert_changed",
        "alert_ended",
        "alert_fired",
        "alert_ended",
    ]
    assert len({fields["incident"] for _, fields in told}) == 1
    assert {(fields["service"], fields["component"]) for _, fields in told} == {("openai", "openai/api")}
    assert [fields["impact"] for event, fields in told if event in ("incident_opened", "incident_worse")] == [
        "minor",
        "critical",
    ]
    assert [fields["severity"] for event, fields in told if event == "alert_changed"] == ["page"]


def test_a_part_that_works_again_while_others_fail_is_told_and_each_line_names_one_part_or_lists_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'test.db'}")
    migrate(engine)
    publish(engine)
    failed = Reason.SERVER_ERROR
    courses = {"ds-api": range(5, 12), "ds-reg": range(5, 25)}
    with caplog.at_level(logging.INFO, "chatwatch"):
        for minute in range(50):
            for probe, failing in courses.items():
                play(engine, [minute], failed if minute in failing else Reason.OK, probe=probe)
    engine.dispose()
    lines = [(vars(record)["event"], vars(record)["fields"]) for record in caplog.records if "fields" in vars(record)]
    told = [(event, fields) for event, fields in lines if event.startswith("incident_")]
    better = [fields["component"] for event, fields in told if event == Event.INCIDENT_BETTER]
    assert better[0] == "deepseek/api"
    events = [event for event, _ in told]
    assert events.index(Event.INCIDENT_BETTER) < events.index(Event.INCIDENT_RESOLVED)
    assert all("," not in fields["component"] for _, fields in told)
    (over,) = (fields for event, fields in told if event == Event.INCIDENT_RESOLVED)
    assert (over["component"], set(over["components"])) == ("", {"deepseek/api", "deepseek/registration"})
