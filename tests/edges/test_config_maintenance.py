"""Planned work in probes.yaml: read, put in force, and taken back, beside what people announce."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine

from monitor import flow
from monitor.config.faults import Code, ConfigError
from monitor.config.load import load
from monitor.core import commands
from monitor.core.catalogue import Catalogue, Planned
from monitor.core.maintenance import Maintenance, windows
from monitor.core.model.reasons import Reason
from monitor.store import reads
from monitor.store.connection.engine import open_engine
from monitor.store.upgrade import migrate
from tests.edges.flowing import CATALOGUE, MINUTE, T0, play, publish

FILE = """\
services:
  - id: shop
    name: Shop
    components: [{id: web, name: Web}]
    probes:
      - {id: page, component: web, kind: http, interval: 30s, timeout: 5s, options: {url: "https://shop.example/"}}
maintenance:
  - id: weekly
    service: shop
    components: [web]
    title: Upgrade
    starts: 2026-01-04 02:00
    lasts: 2h
    repeat: weekly
    time_zone: Europe/Berlin
    until: 2026-12-31 00:00
"""


def faults(tmp_path: Path, *changes: tuple[str, str]) -> list[tuple[str, int]]:
    text = FILE
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    file = tmp_path / "probes.yaml"
    file.write_text(text)
    try:
        load(file, {})
    except ConfigError as error:
        return [(fault.id, fault.line) for fault in error.faults]
    return []


def test_the_file_may_know_of_planned_work(tmp_path: Path) -> None:
    file = tmp_path / "probes.yaml"
    file.write_text(FILE)
    (found,) = load(file, {}).catalogue.planned
    assert (found.title, found.window.components, found.window.repeat) == ("Upgrade", ("shop/web",), "weekly")
    assert found.window.starts_at == datetime(2026, 1, 4, 1, 0, tzinfo=UTC)
    assert found.window.ends_at - found.window.starts_at == timedelta(hours=2)
    assert found.window.repeat_until == datetime(2026, 12, 30, 23, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([("service: shop\n", "service: shoop\n")], [(Code.UNKNOWN_NAME, 9), (Code.UNKNOWN_NAME, 10)]),
        ([("components: [web]", "components: [wob]")], [(Code.UNKNOWN_NAME, 10)]),
        ([("starts: 2026-01-04 02:00", "starts: Sunday")], [(Code.MAINTENANCE, 8)]),
        ([("starts: 2026-01-04 02:00", "starts: 2026-01-04T02:00Z")], [(Code.MAINTENANCE, 8)]),
        ([("repeat: weekly", "repeat: sometimes")], [(Code.MAINTENANCE, 8)]),
        ([("repeat: weekly", "repeat: monthly on 15")], [(Code.MAINTENANCE, 8)]),
        ([("Europe/Berlin", "Europe/Bärlin")], [(Code.MAINTENANCE, 8)]),
        ([("lasts: 2h", "lasts: 8d")], [(Code.MAINTENANCE, 8)]),
        ([("lasts: 2h", "lasts: 2")], [(Code.DURATION, 13)]),
        ([("    title: Upgrade\n", "")], [(Code.MISSING_KEY, 8)]),
        ([("    title:", "    titel: a\n    title:")], [(Code.UNKNOWN_KEY, 11)]),
    ],
)
def test_what_cannot_be_held_is_a_fault_with_its_line(
    tmp_path: Path, changes: list[tuple[str, str]], expected: list[tuple[Code, int]]
) -> None:
    assert faults(tmp_path, *changes) == [(code.value, line) for code, line in expected]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """Return a SQLite file: what is tested here is bookkeeping, the same over any database."""
    found = open_engine(f"sqlite:///{tmp_path}/chatwatch.db")
    migrate(found)
    yield found
    found.dispose()


HOUR = timedelta(hours=1)
DAILY = Maintenance("daily", "deepseek", (), T0 - 48 * HOUR, T0 - 46 * HOUR, "daily")


def planning(*windows: Maintenance) -> Catalogue:
    version = str(len(windows)) + "".join(f"{window.ends_at}" for window in windows)
    return replace(CATALOGUE, planned=tuple(Planned(window, "Upgrade") for window in windows), version=version)


def shown(engine: Engine, now: datetime) -> list[tuple[str, datetime, datetime]]:
    found = reads.snapshot(engine, now, public=True).maintenances
    return [(item.title, item.starts_at, item.ends_at) for item in found if item.starts_at < now + 20 * HOUR]


def test_planned_work_of_the_file_is_held_and_ends_when_it_leaves_the_file(engine: Engine) -> None:
    publish(engine, planning(DAILY), T0 + 10 * MINUTE)
    flow.command(
        engine, commands.ScheduleMaintenance("openai", (), "By hand", T0, T0 + 3 * HOUR), "alice", T0 + 10 * MINUTE
    )
    both = [("Upgrade", T0, T0 + 2 * HOUR), ("By hand", T0, T0 + 3 * HOUR)]
    assert sorted(shown(engine, T0 + 11 * MINUTE)) == sorted(both)
    publish(engine, replace(planning(DAILY), version="again"), T0 + 12 * MINUTE)
    assert sorted(shown(engine, T0 + 13 * MINUTE)) == sorted(both)
    publish(engine, planning(), T0 + 20 * MINUTE)
    assert shown(engine, T0 + 21 * MINUTE) == [("By hand", T0, T0 + 3 * HOUR)]


def test_what_changes_in_the_file_changes_from_now_on(engine: Engine) -> None:
    publish(engine, planning(DAILY), T0 + 10 * MINUTE)
    longer = replace(DAILY, ends_at=DAILY.ends_at + HOUR)
    publish(engine, planning(longer), T0 + 20 * MINUTE)
    assert shown(engine, T0 + 21 * MINUTE) == [("Upgrade", T0, T0 + 3 * HOUR)]
    publish(engine, planning(DAILY), T0 + 30 * MINUTE)
    assert shown(engine, T0 + 31 * MINUTE) == [("Upgrade", T0, T0 + 2 * HOUR)]


def test_what_a_person_called_off_stays_so_until_the_file_changes_it(engine: Engine) -> None:
    publish(engine, planning(DAILY), T0 + 10 * MINUTE)
    (item,) = {view.id for view in reads.snapshot(engine, T0 + 11 * MINUTE, public=True).maintenances}
    flow.command(engine, commands.CancelMaintenance(item), "alice", T0 + 12 * MINUTE)
    publish(engine, replace(planning(DAILY), version="again"), T0 + 13 * MINUTE)
    assert shown(engine, T0 + 14 * MINUTE) == []


def test_planned_work_pages_nobody_and_the_past_before_it_was_known_stays_as_it_was(engine: Engine) -> None:
    publish(engine, CATALOGUE, T0 - 3 * HOUR)
    play(engine, range(-130, -127), start=T0)  # an outage in a window of the day before it was announced
    play(engine, range(-127, -120), Reason.SERVER_ERROR, start=T0)
    before = reads.snapshot(engine, T0 - 119 * MINUTE, public=True).services[0].components[0].uptime.down_s
    assert before > 300
    earlier = replace(DAILY, starts_at=DAILY.starts_at - 3 * HOUR, ends_at=DAILY.ends_at - 2 * HOUR)
    publish(engine, planning(earlier), T0 + 10 * MINUTE)
    now = reads.snapshot(engine, T0 + 11 * MINUTE, public=True).services[0].components[0].uptime
    assert now.maintenance_s == 0
    assert now.down_s >= before
    play(engine, range(21 * 60 + 5, 21 * 60 + 8))
    count = len([view for view in reads.alerts(engine) if any(notice for notice in view.notices)])
    play(engine, range(21 * 60 + 8, 21 * 60 + 12), Reason.SERVER_ERROR)
    assert len([view for view in reads.alerts(engine) if any(notice for notice in view.notices)]) == count


GAPS = [
    ("Europe/Berlin", "2027-03-28 02:30", "daily", ["28 03:00-04:00", "29 02:30-03:30", "30 02:30-03:30"]),
    ("Europe/Berlin", "2027-03-28 02:00", "weekly", ["28 03:00-04:00", "04 02:00-03:00", "11 02:00-03:00"]),
    ("Europe/Berlin", "2027-03-28 02:59", "monthly", ["28 03:00-04:00", "28 02:59-03:59", "28 02:59-03:59"]),
    ("Europe/Berlin", "2027-03-28 02:30", "monthly on last sunday", ["28 03:00-04:00", "25 02:30-03:30"]),
    ("Europe/Berlin", "2027-03-27 02:30", "daily", ["27 02:30-03:30", "28 03:00-04:00", "29 02:30-03:30"]),
    ("Europe/Berlin", "2027-03-28 03:00", "daily", ["28 03:00-04:00", "29 03:00-04:00"]),
    ("Europe/Berlin", "2027-03-28 02:30", '""', ["28 03:00-04:00"]),
    ("Europe/Berlin", "2026-10-25 02:30", "daily", ["25 02:30-02:30", "26 02:30-03:30"]),
    ("America/Santiago", "2027-09-05 00:30", "daily", ["05 01:00-02:00", "06 00:30-01:30"]),
    ("America/New_York", "2027-03-14 02:15", "weekly", ["14 03:00-04:00", "21 02:15-03:15"]),
    ("Australia/Lord_Howe", "2027-10-03 02:15", "daily", ["03 02:30-03:30", "04 02:15-03:15"]),
]


@pytest.mark.parametrize(("zone", "starts", "repeat", "wanted"), GAPS)
def test_a_window_that_begins_in_a_gap_of_the_clock_is_late_once(
    tmp_path: Path, zone: str, starts: str, repeat: str, wanted: list[str]
) -> None:
    file = tmp_path / "probes.yaml"
    text = FILE.replace("Europe/Berlin", zone).replace("2026-01-04 02:00", starts).replace("lasts: 2h", "lasts: 1h")
    file.write_text(text.replace("repeat: weekly", f"repeat: {repeat}").replace("    until: 2026-12-31 00:00\n", ""))
    (found,) = load(file, {}).catalogue.planned
    since = datetime.fromisoformat(f"{starts[:10]}T00:00+00:00") - timedelta(days=1)
    local = ZoneInfo(zone)
    held = [
        f"{window.starts_at.astimezone(local):%d %H:%M}-{window.ends_at.astimezone(local):%H:%M}"
        for window in windows(found.window, since, since + timedelta(days=70))
    ]
    assert held[: len(wanted)] == wanted


@pytest.mark.parametrize(
    "zone", ["Europe", "US", "America/Argentina", "", "localtime", "../etc/passwd", "a" * 300, "posix"]
)
def test_a_folder_of_time_zones_is_no_time_zone(tmp_path: Path, zone: str) -> None:
    assert faults(tmp_path, ("Europe/Berlin", f'"{zone}"')) == [(Code.MAINTENANCE, 8)]
