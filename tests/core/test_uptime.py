import itertools
from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from monitor.core import uptime
from monitor.core.maintenance import Window
from monitor.core.model import Health
from monitor.core.schedule import micros

from .making import T0, at

MOMENTS = st.integers(0, 10**12).map(lambda us: T0 + timedelta(microseconds=us))
CHANGES = st.lists(st.tuples(MOMENTS, st.sampled_from(list(Health))), max_size=20)
WINDOWS = st.lists(
    st.tuples(MOMENTS, st.integers(1, 10**11)).map(
        lambda pair: Window(pair[0], pair[0] + timedelta(microseconds=pair[1]), "deepseek")
    ),
    max_size=5,
)


@given(CHANGES, WINDOWS, MOMENTS, MOMENTS)
def test_the_parts_add_up_to_wall_time_to_the_microsecond(
    changes: list[tuple[datetime, Health]], windows: list[Window], since: datetime, until: datetime
) -> None:
    known = uptime.spans(changes, until)
    found = uptime.shares(known, windows, "deepseek/api", since, until)
    assert found.total_us == max(0, micros(until) - micros(since))
    assert all(getattr(found, part) >= 0 for part in uptime._PARTS)
    assert found.ratio is None or 0 <= found.ratio <= 1


@given(CHANGES, WINDOWS, st.lists(MOMENTS, min_size=3, max_size=3))
def test_splitting_a_window_adds_up(
    changes: list[tuple[datetime, Health]], windows: list[Window], moments: list[datetime]
) -> None:
    a, b, c = sorted(moments)
    known = uptime.spans(changes, c)
    whole = uptime.shares(known, windows, "deepseek/api", a, c)
    parts = uptime.shares(known, windows, "deepseek/api", a, b) + uptime.shares(known, windows, "deepseek/api", b, c)
    assert whole == parts
    days = uptime.by_day(known, windows, "deepseek/api", a, c)
    assert sum((day for _, day in days), uptime.Shares()) == whole


@given(CHANGES, MOMENTS)
def test_spans_never_overlap_and_neighbours_differ(changes: list[tuple[datetime, Health]], until: datetime) -> None:
    known = uptime.spans(changes, until)
    for one, two in itertools.pairwise(known):
        assert one.start < one.end == two.start
        assert one.health is not two.health


def test_a_failure_reaches_back_to_its_first_look() -> None:
    known = uptime.spans([(at(0), Health.OPERATIONAL), (at(100), Health.MAJOR), (at(160), Health.OPERATIONAL)], at(200))
    found = uptime.shares(known, (), "deepseek/api", at(0), at(200))
    assert (found.operational_us, found.major_us) == (140_000_000, 60_000_000)
    assert found.ratio == 0.7


def test_maintenance_lies_over_an_outage_and_the_unknown_is_in_no_ratio() -> None:
    known = uptime.spans([(at(50), Health.OPERATIONAL), (at(100), Health.MAJOR), (at(150), Health.UNKNOWN)], at(200))
    window = Window(at(90), at(150), "deepseek", ("deepseek/api",))
    found = uptime.shares(known, [window], "deepseek/api", at(0), at(200))
    assert found == uptime.Shares(operational_us=40_000_000, maintenance_us=60_000_000, unknown_us=100_000_000)
    assert found.ratio == 1.0
    assert uptime.Shares(unknown_us=5).ratio is None


def test_a_partial_outage_is_no_uptime() -> None:
    known = uptime.spans([(at(0), Health.PARTIAL), (at(50), Health.DEGRADED)], at(100))
    assert uptime.shares(known, (), "deepseek/api", at(0), at(100)).ratio == 0.5
