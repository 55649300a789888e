"""The wall clock is set, summer time begins and ends, the machine sleeps: no burst, no gap, no run twice."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine

from monitor import clock, flow
from monitor.config.load import Config, load
from monitor.core.catalogue import Probe
from monitor.core.model.observations import Result
from monitor.core.model.reasons import Outcome, Reason
from monitor.core.model.states import Health
from monitor.prober.grid import MOST_MISSED, Grid
from monitor.prober.prober import LATEST_START_S, Prober
from monitor.prober.process import _watch_clock
from monitor.recorder.durability.missed_ticks import missed_since
from monitor.simulator.play import serve
from monitor.store import reads
from monitor.store.connection.engine import open_engine
from tests.doors.running import PROBES as WORKERS_PROBES
from tests.doors.running import ROOT, worker
from tests.edges import driven
from tests.edges.flowing import CATALOGUE, MINUTE, T0, look, play, publish

INTERVAL_S, PROBES, WATCHED_S = 30, 120, 3.0
ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]
CHANGES = [datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC), datetime(2026, 4, 4, 12, tzinfo=UTC)]
TWO_HOURS = timedelta(hours=2)


def many(tmp_path: Path, url: str) -> Config:
    """Return a configuration with many probes on their places of one grid."""
    rows = "".join(
        f"      - {{id: p{n}, component: web, kind: http, interval: {INTERVAL_S}s, timeout: 2s, "
        f'options: {{url: "{url}/"}}}}\n'
        for n in range(PROBES)
    )
    head = "allow_networks: [127.0.0.0/8]\nservices:\n  - id: sim\n    name: Simulated\n"
    path = tmp_path / "probes.yaml"
    path.write_text(f"{head}    components: [{{id: web, name: Web}}]\n    probes:\n{rows}")
    return load(path, {})


@dataclass
class Stretch:
    """What one prober handed over from one setting of its clock to the next."""

    step_s: float
    results: list[Result]
    due: list[timedelta] = field(default_factory=list)
    """How far away each probe's next look was in the end."""


async def stepped(tmp_path: Path, steps_s: Sequence[float]) -> list[Stretch]:
    """Run a prober and set its clock again and again; the first stretch is the one before the first step."""
    stretches: list[Stretch] = []

    def take(result: Result) -> None:
        stretches[-1].results.append(result)

    async with serve() as vendor:
        prober = Prober(many(tmp_path, vendor.url), take)
        prober.start()
        watching = asyncio.create_task(_watch_clock(prober))
        for step_s in (0.0, *steps_s):
            stretches.append(Stretch(step_s, []))
            driven.set_wall(step_s)
            await asyncio.sleep(WATCHED_S)
            stretches[-1].due = [job.next_run_time - clock.now() for job in prober._scheduler.get_jobs()]
        watching.cancel()
        await prober.stop()
    return stretches


@pytest.mark.slow
def test_a_clock_that_is_set_makes_no_burst_no_silence_and_no_run_twice(tmp_path: Path) -> None:
    first, *others = driven.run_by_the_wall(stepped(tmp_path, [7200, -7200, -4, 600]))
    runs = Counter(result.run for stretch in (first, *others) for result in stretch.results)
    assert set(runs.values()) == {1}
    for stretch in others:
        told = f"after {stretch.step_s:+g} s"
        looks = [result for result in stretch.results if result.outcome is not Outcome.MISSED]
        # As many seconds' worth of the grid is due, and at most that of the grace for a late start was overdue.
        a_second = PROBES / INTERVAL_S
        assert looks, told
        assert WATCHED_S * a_second / 4 <= len(looks), told
        assert len(looks) <= (WATCHED_S + LATEST_START_S) * a_second * 1.5, told
        assert all(0 <= result.duration_s < 2 for result in stretch.results), told
        assert {result.outcome for result in looks} == {Outcome.OK}, told
        lost = [result for result in stretch.results if result.outcome is Outcome.MISSED]
        assert {result.reason for result in lost} <= {Reason.LATE}, told
        assert bool(lost) == (stretch.step_s > INTERVAL_S), told
        assert len(stretch.due) == PROBES
        assert all(timedelta(0) <= wait + timedelta(seconds=0.1) for wait in stretch.due), told
        assert max(stretch.due) <= timedelta(seconds=INTERVAL_S), told


@pytest.fixture(params=ZONES)
def zone(request: pytest.FixtureRequest) -> Iterator[str]:
    """The machine's time zone, for the length of a test."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = request.param
    time.tzset()
    yield request.param
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


@pytest.mark.parametrize("around", CHANGES)
def test_summer_time_is_no_event_for_the_grid(zone: str, around: datetime) -> None:
    for interval_s in (3600, 60):
        grid = Grid(Probe("page", "shop/web", "http", interval_s, 5.0))
        at = around.astimezone(ZoneInfo(zone))
        ticks = [grid.get_next_fire_time(None, at)]
        while ticks[-1] < around + timedelta(hours=24):
            ticks.append(grid.get_next_fire_time(ticks[-1], ticks[-1].astimezone(ZoneInfo(zone))))
        assert {later - tick for tick, later in pairwise(ticks)} == {timedelta(seconds=interval_s)}


@pytest.mark.parametrize("around", CHANGES)
def test_summer_time_is_no_event_for_what_is_stored(zone: str, around: datetime, sqlite_engine: Engine) -> None:
    publish(sqlite_engine, at=around)
    for number in range(16):
        at = (around + number * 30 * MINUTE).astimezone(ZoneInfo(zone))
        flow.record(sqlite_engine, [look("ds-api", at)], at + timedelta(seconds=1))
    found = reads.results(sqlite_engine, "ds-api", around, around + timedelta(hours=9))
    assert sorted(result.run.tick for result in found) == [around + number * 30 * MINUTE for number in range(16)]
    assert reads.incidents(sqlite_engine, public=False) == ()


TEN_MINUTES = timedelta(minutes=10)
SLOWER_CHAT = WORKERS_PROBES.replace("interval: 2s", "interval: 4s").replace(
    "recovery_window: 2s", "recovery_window: 2s, stale_after_intervals: 100"
)
"""What was seen holds longer than a few seconds of standing still, however long a busy machine makes them, and not for
ten minutes."""


def ticks_of(found: Sequence[Result], probe: str, since: datetime, until: datetime) -> tuple[list[datetime], int]:
    """Return the ticks of a probe's first looks within a time, in order, and how many of them were missed."""
    mine = [r for r in found if r.run.probe == probe and since <= r.run.tick <= until and r.run.attempt == 1]
    return sorted(r.run.tick for r in mine), sum(r.outcome is Outcome.MISSED for r in mine)


def started(result: Result) -> datetime:
    return result.started_at


def steps_s(ticks: Sequence[datetime]) -> set[float]:
    return {round((later - tick).total_seconds(), 3) for tick, later in pairwise(ticks)}


def asleep(pids: Iterable[int]) -> None:
    """Stop programs, let ten minutes go by on their wall clocks alone, and wake them: what a suspended machine does."""
    for number in (signal.SIGSTOP, signal.SIGUSR1, signal.SIGCONT):
        for pid in pids:
            os.kill(pid, number)


async def stopped(pid: int) -> None:
    """Stop a program, and return when it stands."""
    os.kill(pid, signal.SIGSTOP)
    state = Path(f"/proc/{pid}/stat")
    for _ in range(1200):
        if (await asyncio.to_thread(state.read_text)).rpartition(")")[2].split()[0] == "T":
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it never stood")


Standstill = tuple[datetime, datetime]
"""Two moments of the wall clock, between which the program surely stood still: it stood a little longer."""


@pytest.mark.slow
def test_a_worker_that_was_asleep_records_the_gap_and_looks_once(tmp_path: Path) -> None:
    """First its prober is stopped for 6 s, then the whole worker sleeps for ten minutes."""

    async def play_it() -> tuple[Standstill, Standstill]:
        environ = {"PYTHONPATH": f"{ROOT / 'tests' / 'doors' / 'asleep'}:{ROOT}"}
        async with serve() as vendor, worker(tmp_path, vendor.url, probes=SLOWER_CHAT, environ=environ) as running:
            good = 'chatwatch_results_total{outcome="ok"}'
            await running.until(good, lambda count: (count or 0) > 3)
            children = running.children()
            await stopped(children["prober"])
            stood_from = clock.now()
            await asyncio.sleep(6)
            stood_to = clock.now()
            await asyncio.sleep(0.1)
            os.kill(children["prober"], signal.SIGCONT)
            await asyncio.sleep(3)
            sleeps_to = clock.now() + TEN_MINUTES
            await asyncio.sleep(0.1)
            asleep([running.process.pid, *children.values()])
            sleeps_from = clock.now()
            before = await running.metric(good) or 0
            await running.until(good, lambda count: (count or 0) >= before + 3)
            await asyncio.sleep(2)
            assert running.children() == children, running.log
            assert "Clock stepped by +600" in running.log
            assert (await running.get("/-/ready"))[0] == 200
            # Looks every few seconds may truly be late on a busy machine, and a ticket says so.
            assert not [said for said in vendor.inbox if not said["data"]["title"].endswith("no fresh results")]
            assert await running.stop() == 0
            return (stood_from, stood_to), (sleeps_from, sleeps_to)

    standstills = stood, slept = asyncio.run(play_it())
    engine = open_engine(f"sqlite:///{tmp_path / 'test.db'}", read_only=True)
    later = clock.now() + TEN_MINUTES
    found = list(reads.results(engine))
    incidents, shot = reads.incidents(engine, public=False), reads.snapshot(engine, later, public=False)
    engine.dispose()
    assert len({result.run for result in found}) == len(found)
    before, _ = ticks_of(found, "sim-page", T0, slept[0])
    assert steps_s(before) == {1.0}
    _, lost = ticks_of(found, "sim-page", *stood)
    assert lost >= 4
    # The newest of 600 before the tick at which it woke, and no tick of the time in which it was awake is missing.
    after, lost = ticks_of(found, "sim-page", slept[0], later)
    assert steps_s(after[1:]) == {1.0}
    assert ticks_of(found, "sim-page", *slept)[1] <= MOST_MISSED <= lost
    whole, _ = ticks_of(found, "sim-chat", T0, later)
    assert steps_s(whole) == {4.0}
    for probe in ("sim-page", "sim-chat"):
        looks = sorted((r for r in found if r.run.probe == probe and r.outcome is not Outcome.MISSED), key=started)
        cut = [result for result in looks if result.outcome is not Outcome.OK]
        # A look in whose middle the machine stood still says so; none takes the ten minutes for its own.
        assert all(one.reason.scope == "probe" or lagged(one) for one in cut), cut
        assert all(0 <= result.duration_s < TEN_MINUTES.total_seconds() for result in looks)
        interrupted = [max((one for one in looks if one.started_at <= begin), key=started) for begin, _ in standstills]
        unexplained = [one for one in cut if one not in interrupted and not lagged(one)]
        assert not unexplained, "where the machine did not stand still it was too busy, and says so"
        for begin, end in standstills:
            assert not [one for one in looks if begin < one.started_at < end]
            ticks, lost = ticks_of(found, probe, begin, end)
            assert len(ticks) - lost <= 1, "looks once for what it slept through, and then on its grid"
    assert incidents == ()
    (view,) = [part for service in shot.services for part in service.components if part.id == "sim/web"]
    assert view.uptime.down_s == 0


def lagged(result: Result) -> bool:
    return result.reason is Reason.LAGGED or "probe.lagged" in result.observation.warnings


def test_ten_minutes_asleep_are_unknown_time_and_no_outage(sqlite_engine: Engine) -> None:
    publish(sqlite_engine)
    play(sqlite_engine, range(10))
    awake = T0 + 20 * MINUTE
    flow.sweep(sqlite_engine, awake)
    lost = missed_since(sqlite_engine, CATALOGUE, "local", awake)
    assert {result.reason for result in lost} == {Reason.NOT_RUNNING}
    assert len(lost) == 10 or len(lost) == 11
    flow.record(sqlite_engine, lost, awake)
    play(sqlite_engine, range(21, 25))
    assert reads.incidents(sqlite_engine, public=False) == ()
    (shown,) = [
        view
        for service in reads.snapshot(sqlite_engine, T0 + 25 * MINUTE, public=True).services
        for view in service.components
        if view.id == "deepseek/api"
    ]
    assert shown.health is Health.OPERATIONAL
    assert shown.uptime.down_s == 0
    assert shown.uptime.unknown_s > 0


@pytest.mark.parametrize("step", [TWO_HOURS, -TWO_HOURS])
def test_a_set_clock_hides_no_outage_and_makes_none(engine: Engine, step: timedelta) -> None:
    publish(engine, at=T0 - 3 * TWO_HOURS)
    play(engine, range(10))
    start = T0 + 10 * MINUTE + step + timedelta(milliseconds=1)
    play(engine, range(5), start=start)
    assert reads.incidents(engine, public=False) == ()
    play(engine, range(5, 10), Reason.SERVER_ERROR, start=start)
    (incident,) = reads.incidents(engine, public=False)
    assert abs(incident.started_at - (start + 5 * MINUTE)) < timedelta(seconds=2)
    play(engine, range(10, 20), start=start)
    (incident,) = reads.incidents(engine, public=False)
    assert incident.resolved_at is not None
    assert incident.resolved_at >= incident.started_at
    shot = reads.snapshot(engine, start + 20 * MINUTE, public=True)
    for view in (view for service in shot.services for view in service.components):
        up = view.uptime
        parts = (up.up_s, up.degraded_s, up.down_s, up.maintenance_s, up.unknown_s)
        assert all(part >= 0 for part in parts)
        assert sum(parts) == pytest.approx(up.window_s)
