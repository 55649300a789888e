from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.maintenance import ORDINALS, WEEKDAYS, Maintenance, Window, covering, repeat_fault, windows

from .making import at


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def starts(item: Maintenance, since: str, until: str) -> list[str]:
    return [f"{window.starts_at:%m-%dT%H:%M}" for window in windows(item, utc(since), utc(until))]


def test_a_single_window_is_found_only_where_it_is() -> None:
    once = Maintenance("m", "deepseek", (), utc("2026-03-01T02:00"), utc("2026-03-01T04:00"))
    assert starts(once, "2026-03-01T03:00", "2026-03-02T00:00") == ["03-01T02:00"]
    assert starts(once, "2026-03-01T04:00", "2026-03-02T00:00") == []
    assert starts(once, "2026-02-01T00:00", "2026-03-01T02:00") == []


def test_a_recurring_window_keeps_its_wall_clock_time_over_daylight_saving() -> None:
    weekly = Maintenance("m", "d", (), utc("2026-03-15T01:00"), utc("2026-03-15T02:00"), "weekly", "Europe/Berlin")
    assert starts(weekly, "2026-03-14T00:00", "2026-04-07T00:00") == [
        "03-15T01:00",
        "03-22T01:00",
        "03-29T01:00",
        "04-05T00:00",
    ]
    autumn = Maintenance("m", "d", (), utc("2026-10-24T01:30"), utc("2026-10-24T02:30"), "daily", "Europe/Berlin")
    assert starts(autumn, "2026-10-24T00:00", "2026-10-26T12:00") == ["10-24T01:30", "10-25T02:30", "10-26T02:30"]


def test_a_start_that_does_not_exist_moves_to_the_end_of_the_gap_and_a_double_one_is_the_earlier() -> None:
    spring = Maintenance("m", "d", (), utc("2026-03-28T01:30"), utc("2026-03-28T02:30"), "daily", "Europe/Berlin")
    assert starts(spring, "2026-03-29T00:00", "2026-03-30T12:00") == ["03-29T01:00", "03-30T00:30"]
    autumn = Maintenance("m", "d", (), utc("2026-10-24T00:30"), utc("2026-10-24T01:30"), "daily", "Europe/Berlin")
    assert starts(autumn, "2026-10-25T00:00", "2026-10-26T00:00") == ["10-25T00:30"]


def test_a_recurrence_far_in_the_past_ends_when_it_should_and_costs_nothing() -> None:
    daily = Maintenance(
        "m", "d", (), utc("2001-01-01T02:00"), utc("2001-01-01T03:00"), "daily", "UTC", utc("2026-03-02T12:00")
    )
    assert starts(daily, "2026-03-01T00:00", "2026-03-09T00:00") == ["03-01T02:00", "03-02T02:00"]


def monthly(first: str, repeat: str, zone: str = "UTC", hours: float = 1) -> Maintenance:
    begins = utc(first)
    return Maintenance("m", "d", (), begins, begins + timedelta(hours=hours), repeat, zone)


@pytest.mark.parametrize(
    ("first", "repeat", "expected"),
    [
        ("2026-01-15T02:00", "monthly", ["01-15", "02-15", "03-15", "04-15", "05-15"]),
        ("2026-01-15T02:00", "monthly on 15", ["01-15", "02-15", "03-15", "04-15", "05-15"]),
        ("2026-01-31T02:00", "monthly", ["01-31", "02-28", "03-31", "04-30", "05-31"]),
        ("2026-01-30T02:00", "monthly on 30", ["01-30", "02-28", "03-30", "04-30", "05-30"]),
        ("2026-01-04T02:00", "monthly on first sunday", ["01-04", "02-01", "03-01", "04-05", "05-03"]),
        ("2026-01-13T02:00", "monthly on second tuesday", ["01-13", "02-10", "03-10", "04-14", "05-12"]),
        ("2026-01-30T02:00", "monthly on last friday", ["01-30", "02-27", "03-27", "04-24", "05-29"]),
    ],
)
def test_a_monthly_window_is_on_its_day_in_every_month(first: str, repeat: str, expected: list[str]) -> None:
    item = monthly(first, repeat)
    assert repeat_fault(item) == ""
    assert starts(item, "2026-01-01T00:00", "2026-06-01T00:00") == [f"{day}T02:00" for day in expected]


def test_a_monthly_window_keeps_its_own_clock_and_its_own_calendar() -> None:
    # 00:30 on the first Sunday in Berlin is still Saturday in UTC, an hour earlier in winter than in summer.
    item = monthly("2026-02-28T23:30", "monthly on first sunday", "Europe/Berlin")
    assert repeat_fault(item) == ""
    assert starts(item, "2026-02-01T00:00", "2026-06-01T00:00") == ["02-28T23:30", "04-04T22:30", "05-02T22:30"]
    # 02:30 does not exist in Berlin on the last Sunday in March and exists twice on that in October.
    gap = monthly("2026-01-25T01:30", "monthly on last sunday", "Europe/Berlin")
    assert starts(gap, "2026-03-01T00:00", "2026-05-01T00:00") == ["03-29T01:00", "04-26T00:30"]
    assert starts(gap, "2026-10-01T00:00", "2026-12-01T00:00") == ["10-25T00:30", "11-29T01:30"]


REPEATING = st.builds(
    lambda day, hour, zone, hours: Maintenance("m", "d", (), day + hour, day + hour + hours, "", zone),
    st.integers(0, 10_000).map(lambda days: utc("2001-01-01T00:00") + timedelta(days=days)),
    st.integers(0, 47).map(lambda half: timedelta(minutes=30 * half)),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Shanghai", "Australia/Lord_Howe"]),
    st.integers(1, 40).map(lambda half: timedelta(minutes=30 * half)),
)


def repeats_of(item: Maintenance) -> list[str]:
    """Return every repeat that the first window could have."""
    day = item.starts_at.astimezone(ZoneInfo(item.time_zone))
    ordinal = ORDINALS[(day.day - 1) // 7] if day.day <= 28 else "last"
    weekly = f"monthly on {ordinal} {WEEKDAYS[day.weekday()]}"
    return ["daily", "weekly", "monthly", f"monthly on {day.day}", weekly]


@given(REPEATING, st.integers(0, 4), st.integers(0, 3000), st.integers(1, 400), st.floats(0, 1))
@settings(max_examples=300)
def test_windows_found_from_anywhere_are_those_found_from_the_beginning(
    single: Maintenance, which: int, days: int, span: int, cut: float
) -> None:
    item = replace(single, repeat=repeats_of(single)[which])
    assert repeat_fault(item) == ""
    since = item.starts_at + timedelta(days=days)
    until = since + timedelta(days=span)
    whole = list(windows(item, item.starts_at, until))
    late = list(windows(item, since, until))
    assert late == [window for window in whole if window.ends_at > since]
    assert all(a.ends_at <= b.starts_at for a, b in pairwise(late))
    assert all(window.ends_at - window.starts_at == item.ends_at - item.starts_at for window in late)
    middle = since + (until - since) * cut
    assert sorted({*windows(item, since, middle), *windows(item, middle, until)}, key=str) == sorted(late, key=str)
    days_of = {window.starts_at.astimezone(ZoneInfo(item.time_zone)).strftime("%Y-%m") for window in whole}
    if which >= 2:  # one a month, and none left out
        assert len(days_of) == len(whole)


@pytest.mark.parametrize(
    ("item", "word"),
    [
        (monthly("2026-01-15T02:00", "yearly"), "not 'yearly'"),
        (monthly("2026-01-15T02:00", "monthly on"), "not 'monthly on'"),
        (monthly("2026-01-15T02:00", "monthly on fifth sunday"), "monthly on first sunday"),
        (monthly("2026-01-15T02:00", "monthly on first sonntag"), "monthly on first sunday"),
        (monthly("2026-01-15T02:00", "monthly on 32"), "not 'monthly on 32'"),
        (monthly("2026-01-15T02:00", "monthly on 14"), "begins on Thursday, 15 January, which is not 14"),
        (monthly("2026-01-15T02:00", "daily", "Mars/Base"), "no time zone Mars/Base"),
        (monthly("2026-01-15T02:00", "daily", hours=24), "longer than the time until the next"),
        (replace(monthly("2026-01-15T02:00", "daily"), repeat_until=utc("2026-01-14T00:00")), "before the first"),
    ],
)
def test_a_repeat_that_cannot_work_is_told(item: Maintenance, word: str) -> None:
    assert word in repeat_fault(item)


@pytest.mark.parametrize(
    ("window", "component", "seconds", "covered"),
    [
        (Window(at(0), at(60), "deepseek"), "deepseek/api", 0, True),
        (Window(at(0), at(60), "deepseek"), "deepseek/api", 60, False),
        (Window(at(0), at(60), "deepseek"), "deepseek2/api", 10, False),
        (Window(at(0), at(60), "deepseek", ("deepseek/web",)), "deepseek/api", 10, False),
        (Window(at(0), at(60), "deepseek", ("deepseek/web",)), "deepseek/web", 10, True),
    ],
)
def test_what_a_window_covers(window: Window, component: str, seconds: float, covered: bool) -> None:
    assert window.covers(component, at(seconds)) is covered
    assert (covering([window], component, at(seconds)) is window) is covered
