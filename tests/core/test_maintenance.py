from datetime import UTC, datetime

import pytest

from monitor.core.maintenance import Maintenance, Window, covering, windows

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
