from dataclasses import astuple
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from monitor.core.components import uptime
from monitor.core.components.uptime import Shares, Span
from monitor.core.maintenance import Window
from monitor.core.model.states import Health

from .making import T0, at

END = 40
HEALTHS = st.lists(st.sampled_from([*Health, None]), min_size=END, max_size=END)
WINDOWS = st.lists(st.tuples(st.integers(-5, END), st.integers(1, 15), st.sampled_from(["api", "web", ""])), max_size=4)
PARTS = {
    Health.OPERATIONAL: "operational_us",
    Health.DEGRADED: "degraded_us",
    Health.PARTIAL: "partial_us",
    Health.MAJOR: "major_us",
    Health.UNKNOWN: "unknown_us",
    None: "unknown_us",
}


def spans(seconds: list[Health | None]) -> list[Span]:
    """Return one span per second of which something is known; neighbours may be alike."""
    return [Span(at(n), at(n + 1), health) for n, health in enumerate(seconds) if health is not None]


def windows(found: list[tuple[int, int, str]]) -> list[Window]:
    return [
        Window(at(start), at(start + length), "deepseek", (f"deepseek/{name}",) if name else ())
        for start, length, name in found
    ]


@given(HEALTHS, WINDOWS, st.integers(-3, END + 3), st.integers(-3, END + 3))
def test_every_second_is_counted_once_and_maintenance_lies_over_all(
    seconds: list[Health | None], planned: list[tuple[int, int, str]], since: int, until: int
) -> None:
    counted = dict.fromkeys([*PARTS.values(), "maintenance_us"], 0)
    for second in range(since, until):
        under = any(start <= second < start + length and name != "web" for start, length, name in planned)
        known = seconds[second] if 0 <= second < END else None
        counted["maintenance_us" if under else PARTS[known]] += 1_000_000
    assert uptime.shares(spans(seconds), windows(planned), "deepseek/api", at(since), at(until)) == Shares(**counted)


@given(HEALTHS, WINDOWS, st.lists(st.integers(0, END * 1_000_000), min_size=3, max_size=3))
def test_splitting_a_window_adds_up_to_the_microsecond(
    seconds: list[Health | None], planned: list[tuple[int, int, str]], moments: list[int]
) -> None:
    a, b, c = (T0 + timedelta(microseconds=moment) for moment in sorted(moments))
    whole, first, second = (
        astuple(uptime.shares(spans(seconds), windows(planned), "deepseek/api", low, high))
        for low, high in ((a, c), (a, b), (b, c))
    )
    assert whole == tuple(map(sum, zip(first, second, strict=True)))
    assert sum(whole) == (c - a) // timedelta(microseconds=1)


def test_maintenance_lies_over_an_outage() -> None:
    known = [Span(at(50), at(100), Health.OPERATIONAL), Span(at(100), at(150), Health.MAJOR)]
    window = Window(at(90), at(150), "deepseek", ("deepseek/api",))
    found = uptime.shares(known, [window], "deepseek/api", at(0), at(200))
    assert found == Shares(operational_us=40_000_000, maintenance_us=60_000_000, unknown_us=100_000_000)
