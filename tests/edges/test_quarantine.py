"""What cannot be judged costs its own look or its own service, is held on disk in order, and heals without a loss."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest
import time_machine
from sqlalchemy import Engine, select, text
from sqlalchemy.exc import DBAPIError

from monitor import clock, flow
from monitor.config.settled import Settled
from monitor.core.model.alert_rules import Rule
from monitor.core.model.observations import Result
from monitor.core.model.reasons import Outcome, Reason
from monitor.core.model.states import Health
from monitor.recorder.durability.spool import Spool
from monitor.recorder.judging import FIRST_RETRY_S
from monitor.recorder.metrics import Seen, registry_for
from monitor.recorder.quarantine import BusyError, Quarantine, Request, as_dropped, ask, listed, retry, strays
from monitor.recorder.recorder import Recorder
from monitor.runtime.messages import ProberAlive
from monitor.store import reads
from monitor.store.connection.engine import begin, is_away, open_engine, reading
from monitor.store.transaction.store import COMPONENT
from monitor.store.upgrade import migrate
from monitor.text.lexicon import lexicon
from monitor.text.messages import worded
from tests.edges import after_kills
from tests.edges.databases import Server
from tests.edges.flowing import CATALOGUE, MINUTE, T0, look, publish
from tests.edges.killing import Point, prepare, run
from tests.edges.recorder_to_kill import frame, record, story, taken_at

prepare()

POISON = """
CREATE TRIGGER poison BEFORE UPDATE ON series WHEN OLD.probe = 'ds-api'
BEGIN SELECT RAISE(ABORT, 'a poisoned row'); END
"""
NEAR = timedelta(seconds=1)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Engine]:
    """Return a database in which both services have been looked at once."""
    engine = open_engine(f"sqlite:///{tmp_path / 'test.db'}")
    migrate(engine)
    publish(engine)
    flow.record(engine, story(0), taken_at(0))
    yield engine
    engine.dispose()


def execute(home: Path, *statements: str) -> None:
    """Do something to a database behind everybody's back."""
    with closing(sqlite3.connect(home / "test.db")) as database:
        for statement in statements:
            database.execute(statement)
        database.commit()


def runs(engine: Engine, probe: str) -> list[Result]:
    return [result for result in reads.results(engine, probe) if result.run.tick >= T0]


# The flow


def test_a_service_that_cannot_be_judged_is_left_out_and_the_others_are_stored(world: Engine, tmp_path: Path) -> None:
    execute(tmp_path, POISON)
    before = after_kills.picture(world)["series"]
    done = flow.record(world, story(1), taken_at(1))
    assert list(done.unjudged) == ["deepseek"]
    unjudged = done.unjudged["deepseek"]
    assert sorted(result.run.probe for result in unjudged.results) == ["ds-api", "ds-reg"]
    assert unjudged.error.startswith("IntegrityError")
    assert [len(runs(world, probe)) for probe in ("ds-api", "ds-reg", "oa-api")] == [1, 1, 2]
    changed = {row[0] for row in set(after_kills.picture(world)["series"]) - set(before)}
    assert changed == {"oa-api"}


def test_one_bad_look_costs_its_own_probe_one_tick(world: Engine, tmp_path: Path) -> None:
    """The fourth of seven looks cannot be stored as it is, because of what it says."""
    execute(
        tmp_path,
        "CREATE TRIGGER poison BEFORE INSERT ON result WHEN NEW.http_status = 599"
        " BEGIN SELECT RAISE(ABORT, 'cannot hold this'); END",
    )
    ticks = [T0 + number * MINUTE for number in range(1, 8)]
    looks = [look("ds-api", tick, http_status=599 if number == 3 else 200) for number, tick in enumerate(ticks)]
    done = flow.record(world, [*looks, *story(5)[2:]], taken_at(8))
    assert done.unjudged == {}
    found = runs(world, "ds-api")[1:]
    assert [result.run.tick for result in found] == ticks
    assert [result.outcome for result in found] == [*[Outcome.OK] * 3, Outcome.UNKNOWN, *[Outcome.OK] * 3]
    assert found[3].reason is Reason.INTERNAL
    rules = [view.alert.rule for view in reads.alerts(world, open_only=False)]
    assert rules == [Rule.CONFIGURATION], "the operator hears of it"


def test_time_passes_for_the_others_when_a_service_cannot_even_be_made_unknown(
    world: Engine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    execute(
        tmp_path,
        "CREATE TRIGGER poison BEFORE UPDATE ON component WHEN OLD.service = 'deepseek'"
        " BEGIN SELECT RAISE(ABORT, 'poison'); END",
    )
    for seconds in range(0, 60, 5):
        done = flow.sweep(world, T0 + 30 * MINUTE + timedelta(seconds=seconds))
        assert list(done.unjudged) == ["deepseek"]
    with reading(world) as connection:
        health = {row.id: row.health for row in connection.execute(select(COMPONENT.c.id, COMPONENT.c.health))}
    assert (health["openai/api"], health["deepseek/api"]) == (Health.UNKNOWN, Health.OPERATIONAL)
    assert len(caplog.records) == 3, "each line once an hour"


@pytest.mark.parametrize(
    ("statement", "value", "away"),
    [
        ("INSERT INTO word (id, text) VALUES (1, :value), (2, :value)", "same", False),
        ("SELECT :value", {"no": "number"}, False),
        ("INSERT INTO gone VALUES (:value)", 1, True),
    ],
    ids=["breaks a constraint", "a value of no kind", "no such table"],
)
def test_what_the_database_refuses_is_not_its_absence(
    engine: Engine, statement: str, value: object, away: bool
) -> None:
    with pytest.raises(DBAPIError) as caught, begin(engine) as connection:
        connection.execute(text(statement), {"value": value})
    assert is_away(caught.value) == away


@pytest.mark.postgres
def test_what_a_trigger_of_postgresql_raises_is_not_its_absence(postgres_server: Server) -> None:
    engine = open_engine(postgres_server.create())
    with pytest.raises(DBAPIError, match="poison") as caught, begin(engine) as connection:
        connection.execute(text("DO $$ BEGIN RAISE EXCEPTION 'poison'; END $$"))
    assert not is_away(caught.value)
    engine.dispose()


def test_an_absent_database_is_still_raised_and_nothing_is_held(world: Engine, tmp_path: Path) -> None:
    execute(tmp_path, "DROP TABLE component_day", "DROP TABLE result")
    with pytest.raises(Exception, match="no such table") as caught:
        flow.record(world, story(1), taken_at(1))
    assert is_away(caught.value)


# The files


def held_of(folder: Path, count: int = 6) -> Quarantine:
    quarantine = Quarantine(folder)
    for number in range(0, count, 2):
        quarantine.hold("deepseek", looks(2, number), "" if number else "ValueError: so", T0 + number * MINUTE)
    return quarantine


def looks(count: int, start: int = 0) -> list[Result]:
    return [look("ds-api", T0 + number * MINUTE) for number in range(start, start + count)]


def read(quarantine: Quarantine, service: str = "deepseek") -> list[Result]:
    return [result for part in quarantine.read(service) for result in part.results]


def test_what_is_held_is_found_again_in_order_by_the_next_process(tmp_path: Path) -> None:
    held_of(tmp_path).close()
    again = Quarantine(tmp_path)
    assert read(again) == looks(6)
    item = again.held["deepseek"]
    assert (item.since, item.entries, item.looks, item.error, item.damaged) == (T0, 3, 6, "ValueError: so", 0)
    assert again.knows(look("ds-api", T0 + 5 * MINUTE).run)
    assert not again.knows(look("ds-api", T0 + 6 * MINUTE).run)
    assert not again.knows(look("oa-api", T0).run)
    again.close()


@pytest.mark.parametrize("cut", [1, 40, 300])
def test_a_torn_end_costs_the_look_it_tears_and_what_is_appended_behind_it_is_read(tmp_path: Path, cut: int) -> None:
    held_of(tmp_path).close()
    path = tmp_path / "deepseek.held"
    path.write_bytes(path.read_bytes()[:-cut])
    again = Quarantine(tmp_path)
    left = read(again)
    assert left == looks(6)[: len(left)]
    assert len(left) in (4, 5)
    again.hold("deepseek", looks(2, 10), "", T0)
    assert read(again) == left + looks(2, 10)
    assert listed(tmp_path)[0].looks == len(left) + 2
    again.close()


def test_a_folder_has_one_process_at_a_time_and_may_be_listed_by_all(tmp_path: Path) -> None:
    with closing(held_of(tmp_path)):
        with pytest.raises(BusyError):
            Quarantine(tmp_path)
        assert [item.service for item in listed(tmp_path)] == ["deepseek"]


def test_a_strange_file_is_named_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "odd.held").write_bytes(b"\x00" * 100)
    with closing(held_of(tmp_path)) as quarantine:
        assert list(quarantine.held) == ["deepseek"]
        assert strays(tmp_path) == ["notes.txt"]
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert (tmp_path / "odd.held").stat().st_size == 100


def test_the_folder_is_bounded_and_keeps_the_turning_points_first(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path, max_bytes=40_000)
    wanted = [look("ds-api", T0 + n * MINUTE, Reason.SERVER_ERROR if n == 50 else Reason.OK) for n in range(1_000)]
    for number in range(0, len(wanted), 10):
        quarantine.hold("deepseek", wanted[number : number + 10], "ValueError: so", T0)
        assert quarantine.size_bytes <= 40_000
    kept = read(quarantine)
    assert kept == [result for result in wanted if result in kept], "in order"
    assert wanted[50] in kept
    assert kept[-1] == wanted[-1]
    assert quarantine.dropped == len(wanted) - len(kept)
    assert quarantine.held["deepseek"].looks == len(kept)
    quarantine.close()


def test_a_service_of_any_name_has_a_file_inside_the_folder(tmp_path: Path) -> None:
    with closing(Quarantine(tmp_path / "q")) as quarantine:
        for name in ("../up", "..", "a/b", "ю"):
            quarantine.hold(name, looks(1), "ValueError", T0)
        assert {item.service for item in listed(tmp_path / "q")} == {"../up", "..", "a/b", "ю"}
    assert [path.name for path in tmp_path.iterdir()] == ["q"]


def test_a_retry_stops_at_the_first_batch_that_fails_and_goes_on_with_what_came_meanwhile(tmp_path: Path) -> None:
    with closing(held_of(tmp_path)) as quarantine:
        taken: list[Result] = []
        assert list(retry(quarantine, "deepseek", lambda _: "ValueError: still", clock.now)) == []
        assert quarantine.held["deepseek"].error == "ValueError: still"
        assert quarantine.held["deepseek"].looks == 6

        def judge(results: object) -> str:
            assert isinstance(results, tuple)
            taken.extend(results)
            if len(taken) == 6:
                quarantine.hold("deepseek", looks(1, 6), "", T0)
            return ""

        list(retry(quarantine, "deepseek", judge, clock.now))
        assert taken == looks(7)
        assert quarantine.held == {}
        assert list(tmp_path.glob("*.held")) == []


def test_dropped_looks_are_ticks_that_were_not_looked_at() -> None:
    again = look("ds-api", T0, Reason.SERVER_ERROR, 2)
    (first, second) = as_dropped([look("ds-api", T0, Reason.SERVER_ERROR), again, look("ds-api", T0 + MINUTE)])
    assert (first.run, second.run.tick) == (again.run, T0 + MINUTE)
    assert {first.reason, second.reason} == {Reason.DROPPED}


# The recorder


def recording(home: Path, play: Callable[[Recorder, time_machine.Traveller], Awaitable[None]], minute: int = 0) -> None:
    """Run ``play`` with an opened recorder under the story's clock."""

    async def scene(traveller: time_machine.Traveller) -> None:
        seen = Seen(clock.now)
        engine = open_engine(f"sqlite:///{home / 'test.db'}")
        spool, quarantine = Spool(home / "spool" / "local"), Quarantine(home / "quarantine" / "local")
        recorder = Recorder(Settled(CATALOGUE), engine, spool, quarantine, seen, registry_for(seen)[1])
        recorder.apply(recorder.config)
        await recorder.on_frame(ProberAlive(since=clock.now()))
        await recorder.open()
        try:
            await play(recorder, traveller)
        finally:
            await recorder.close()

    with time_machine.travel(T0 + minute * MINUTE, tick=False) as traveller:
        asyncio.run(scene(traveller))


async def take(recorder: Recorder, traveller: time_machine.Traveller, minutes: range, *, sweep: bool = False) -> None:
    for minute in minutes:
        traveller.move_to(taken_at(minute))
        await recorder.on_frame(frame(minute, story(minute)))
        if sweep:
            traveller.move_to(taken_at(minute) + NEAR)
            await recorder.sweep()
            await recorder.sign_of_life()


def test_a_held_service_heals_into_what_an_undisturbed_run_gives(tmp_path: Path) -> None:
    """Poisoned before its outage of minutes 10 to 15 and mended after it; nobody sweeps meanwhile."""

    async def play(recorder: Recorder, traveller: time_machine.Traveller) -> None:
        quarantine = recorder.judging.quarantine
        await take(recorder, traveller, range(8))
        execute(tmp_path, POISON)
        await take(recorder, traveller, range(8, 20))
        assert list(quarantine.held) == ["deepseek"]
        assert recorder.seen.held_services == 1
        assert recorder.seen.held_looks == quarantine.looks == sum(len(story(n)[:-1]) for n in range(8, 20))
        assert [len(runs(recorder.engine, probe)) for probe in ("ds-api", "ds-reg", "oa-api")] == [8, 8, 20]
        ask(quarantine.directory, "deepseek", Request.RETRY)
        await recorder.try_held()
        assert list(quarantine.held) == ["deepseek"], "the cause is still there"
        assert quarantine.requests() == {}
        execute(tmp_path, "DROP TRIGGER poison")
        await recorder.try_held()
        assert list(quarantine.held) == ["deepseek"], "it is not time yet, and nobody asks"
        ask(quarantine.directory, "deepseek", Request.RETRY)
        await recorder.try_held()
        assert quarantine.held == {}
        assert (recorder.seen.held_services, recorder.seen.held_looks) == (0, 0)
        await take(recorder, traveller, range(20, 26))
        await recorder.roll_up()

    recording(tmp_path, play)
    healed, other = (open_engine(f"sqlite:///{tmp_path / name}") for name in ("test.db", "other.db"))
    migrate(other)
    publish(other)
    for minute in range(26):
        flow.record(other, story(minute), taken_at(minute))
    flow.roll_up(other, taken_at(25))
    mine, theirs = after_kills.picture(healed), after_kills.picture(other)
    assert {name: mine[name] for name in mine if name != "alerts"} == {
        name: theirs[name] for name in theirs if name != "alerts"
    }
    (incident,) = [item for item in reads.incidents(healed, public=True) if item.service == "deepseek" and item.impact]
    assert incident.started_at == T0 + 10 * MINUTE + (incident.started_at - T0) % MINUTE
    for engine in (healed, other):
        engine.dispose()


def test_while_a_service_is_held_its_page_is_unknown_and_the_operator_is_told_what_to_do(tmp_path: Path) -> None:
    async def play(recorder: Recorder, traveller: time_machine.Traveller) -> None:
        await take(recorder, traveller, range(3), sweep=True)
        execute(tmp_path, POISON)
        await take(recorder, traveller, range(3, 20), sweep=True)
        shot = reads.snapshot(recorder.engine, clock.now(), public=True)
        health = {part.id: part.health for service in shot.services for part in service.components}
        assert health["deepseek/api"] is Health.UNKNOWN
        assert health["openai/api"] is Health.OPERATIONAL
        told = {view.alert.rule: view.alert for view in reads.alerts(recorder.engine, open_only=True)}
        why = worded(told[Rule.QUARANTINE].summary["why"], lexicon())
        assert why.startswith("deepseek cannot be judged since 2026-01-05 08:04 UTC (IntegrityError")
        assert why.endswith("): see chatwatch quarantine list")
        execute(tmp_path, "DROP TRIGGER poison")
        ask(recorder.judging.quarantine.directory, "deepseek", Request.RETRY)
        await recorder.try_held()
        await take(recorder, traveller, range(20, 22), sweep=True)
        open_rules = {view.alert.rule for view in reads.alerts(recorder.engine, open_only=True)}
        assert Rule.QUARANTINE not in open_rules
        opened = [item for item in reads.incidents(recorder.engine, public=True) if item.service == "deepseek"]
        assert T0 + 10 * MINUTE <= min(item.started_at for item in opened) < T0 + 11 * MINUTE

    recording(tmp_path, play)


def test_a_row_that_nobody_can_read_stops_its_own_service_and_its_page_turns_unknown(tmp_path: Path) -> None:
    """The incident of an outage is damaged on the disk; folded again from its events it is whole."""

    def health(engine: Engine) -> dict[str, str]:
        with reading(engine) as connection:
            return {row.id: row.health for row in connection.execute(select(COMPONENT.c.id, COMPONENT.c.health))}

    async def play(recorder: Recorder, traveller: time_machine.Traveller) -> None:
        await take(recorder, traveller, range(13), sweep=True)
        assert health(recorder.engine)["deepseek/api"] == Health.MAJOR
        execute(tmp_path, "UPDATE incident SET body = '{' WHERE service = 'deepseek' AND resolved_us IS NULL")
        await take(recorder, traveller, range(13, 20), sweep=True)
        found = health(recorder.engine)
        assert (found["deepseek/api"], found["openai/api"]) == (Health.UNKNOWN, Health.OPERATIONAL)
        assert list(recorder.judging.quarantine.held) == ["deepseek"]
        assert len(runs(recorder.engine, "oa-api")) == 20
        flow.rebuild(recorder.engine)
        ask(recorder.judging.quarantine.directory, "deepseek", Request.RETRY)
        await recorder.try_held()
        assert recorder.judging.quarantine.held == {}
        await take(recorder, traveller, range(20, 30), sweep=True)
        assert health(recorder.engine)["deepseek/api"] == Health.OPERATIONAL
        spans = after_kills.picture(recorder.engine)["spans"]
        mine = sorted(row[1:] for row in spans if row[0] == "deepseek/api")
        assert all(before[1] == after[0] for before, after in pairwise(mine)), "they touch"
        (incident,) = [one for one in reads.incidents(recorder.engine, public=True) if "deepseek/api" in one.components]
        assert incident.resolved_at is not None
        assert T0 + 15 * MINUTE < incident.resolved_at < T0 + 30 * MINUTE

    recording(tmp_path, play)


def test_what_a_person_reads_of_the_error_holds_no_secret(tmp_path: Path) -> None:
    secret = "sk-canary-4711-never-shown"

    async def play(recorder: Recorder, traveller: time_machine.Traveller) -> None:
        recorder.apply(replace(recorder.config, secrets=(secret,)))
        execute(tmp_path, POISON.replace("a poisoned row", f"Bearer {secret}"))
        await take(recorder, traveller, range(3))
        assert list(recorder.judging.quarantine.held) == ["deepseek"]
        assert secret not in recorder.judging.alert()

    recording(tmp_path, play)
    assert not [path for path in tmp_path.rglob("*.held") if secret.encode() in path.read_bytes()]


def test_the_recorder_tries_again_at_its_start_and_then_ever_less_often(tmp_path: Path) -> None:
    async def before(recorder: Recorder, traveller: time_machine.Traveller) -> None:
        await take(recorder, traveller, range(2))
        execute(tmp_path, POISON)
        await take(recorder, traveller, range(2, 4))
        judging, waits = recorder.judging, []
        for _ in range(7):
            now_s = clock.monotonic()
            wait_s = next(wait for wait in range(5_000) if judging.due(now_s + wait))
            list(judging.retry("deepseek", Request.RETRY))
            waits.append(round(wait_s / FIRST_RETRY_S))
        assert waits == [1, 2, 4, 8, 16, 30, 30]

    async def after(recorder: Recorder, _: time_machine.Traveller) -> None:
        execute(tmp_path, "DROP TRIGGER poison")
        await recorder.try_held()
        assert recorder.judging.quarantine.held == {}
        assert len(runs(recorder.engine, "ds-api")) == 4

    recording(tmp_path, before)
    recording(tmp_path, after, minute=5)


def test_after_a_restart_ticks_that_are_held_are_not_called_missed(tmp_path: Path) -> None:
    async def before(recorder: Recorder, traveller: time_machine.Traveller) -> None:
        await take(recorder, traveller, range(2))
        execute(tmp_path, POISON)
        await take(recorder, traveller, range(2, 5))

    async def after(recorder: Recorder, traveller: time_machine.Traveller) -> None:
        await take(recorder, traveller, range(8, 9))
        execute(tmp_path, "DROP TRIGGER poison")
        await recorder.try_held()
        found = runs(recorder.engine, "ds-api")
        assert [result.run.tick for result in found] == [story(n)[0].run.tick for n in range(9)]
        assert [result.outcome for result in found] == [*[Outcome.OK] * 5, *[Outcome.MISSED] * 3, Outcome.OK]

    recording(tmp_path, before)
    recording(tmp_path, after, minute=8)


def test_what_is_held_is_not_held_again_by_a_worker_that_starts_before_the_database_was_proven(tmp_path: Path) -> None:
    async def before(recorder: Recorder, traveller: time_machine.Traveller) -> None:
        await take(recorder, traveller, range(2))
        execute(tmp_path, POISON)
        await take(recorder, traveller, range(2, 5))

    async def after(recorder: Recorder, _: time_machine.Traveller) -> None:
        wanted = [result.run for minute in range(2, 5) for result in story(minute) if result.run.probe != "oa-api"]
        held = [result.run for result in read(recorder.judging.quarantine)]
        assert sorted(held, key=str) == sorted(wanted, key=str)

    recording(tmp_path, before)
    recording(tmp_path, after, minute=5)
    recording(tmp_path, after, minute=5)


def test_a_drop_leaves_unknown_time_and_not_silence(tmp_path: Path) -> None:
    """What the looks say is at fault: as not looked at, the ticks can be recorded."""

    async def play(recorder: Recorder, traveller: time_machine.Traveller) -> None:
        await take(recorder, traveller, range(10))
        execute(
            tmp_path,
            "CREATE TRIGGER poison BEFORE INSERT ON result WHEN NEW.reason < 120 AND NEW.series ="
            " (SELECT id FROM series WHERE probe = 'ds-api') BEGIN SELECT RAISE(ABORT, 'too much'); END",
        )
        await take(recorder, traveller, range(10, 20))
        ask(recorder.judging.quarantine.directory, "deepseek", Request.DROP)
        await recorder.try_held()
        assert recorder.judging.quarantine.held == {}
        execute(tmp_path, "DROP TRIGGER poison")
        await take(recorder, traveller, range(20, 22), sweep=True)
        found = runs(recorder.engine, "ds-api")
        assert [result.run.tick for result in found] == [story(n)[0].run.tick for n in range(22)]
        assert {result.reason for result in found[10:20]} == {Reason.DROPPED}
        assert [item for item in reads.incidents(recorder.engine, public=True) if item.service == "deepseek"] == []

    recording(tmp_path, play)


@pytest.mark.slow
@pytest.mark.parametrize(
    "point",
    [
        Point("monitor/recorder/quarantine.py", "hold"),
        Point("monitor/recorder/durability/records.py", "write_all", "return"),
        Point("monitor/recorder/quarantine.py", "hold", "return"),
        Point("sqlalchemy/engine/default.py", "do_commit", "return", "_record_batch"),
    ],
    ids=["committed, not held", "held, not flushed", "held, not acknowledged", "others committed"],
)
def test_nothing_acknowledged_is_lost_wherever_the_recorder_is_killed_over_quarantine(
    tmp_path: Path, point: Point
) -> None:
    url, spool, folder = f"sqlite:///{tmp_path / 'test.db'}", tmp_path / "spool", tmp_path / "spool-quarantine"
    engine = open_engine(url)
    migrate(engine)
    publish(engine)
    flow.record(engine, story(0), taken_at(0))
    execute(tmp_path, POISON)
    minute, kills = 1, 0
    for times in (1, 2, 4):
        ended = run(record, url, spool, minute, 6, 1, point=point, times=times)
        kills += ended.killed
        minute = max(ended.said, default=minute - 1) + 1
        with closing(Quarantine(folder)) as quarantine:
            kept = {result.run for result in read(quarantine)} if quarantine.held else set()
        others = {result.run for result in runs(engine, "oa-api")} | after_kills.spooled(spool)
        due = {result.run for n in range(1, minute) for result in story(n)}
        waiting = after_kills.spooled(spool)
        assert {one for one in due if one.probe.startswith("ds")} <= kept | waiting
        assert {one for one in due if one.probe.startswith("oa")} <= others
    assert kills == 3
    execute(tmp_path, "DROP TRIGGER poison")
    assert not run(record, url, spool, minute, 2, 1).killed
    with closing(Quarantine(folder)) as quarantine:
        list(
            retry(
                quarantine,
                "deepseek",
                lambda some: "".join(flow.record(engine, some, taken_at(40)).unjudged),
                clock.now,
            )
        )
        assert quarantine.held == {}
    for probe in ("ds-api", "ds-reg", "oa-api"):
        found = [result.run for result in runs(engine, probe)]
        assert len(found) == len(set(found))
        assert {one.run for n in range(minute) for one in story(n) if one.run.probe == probe} <= set(found)
    engine.dispose()
