"""Thresholds of the rules before the sequential test are still read, with a hint of what to write instead."""

from typing import Any

import pytest

from monitor.core.catalogue import Policy
from monitor.core.checks.former import FORMER, hints, modern
from monitor.core.scenario import notation


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"open_after_failures": 3}, {"shortest_outage_s": 10.0}),
        ({"second_look_after_s": 20.0}, {"shortest_outage_s": 40.0}),
        ({"open_after_failures": 4, "second_look_after_s": 2.0}, {"shortest_outage_s": 6.0}),
        ({"open_after_failures": 1}, {"shortest_outage_s": 1.0, "false_pages_per_year": 10_000.0}),
        ({"confirm_at_once": False, "open_after_failures": 3}, {"early_looks": False}),
        ({"rate_open_ratio": 0.2}, {"failure_ratio": 0.1}),
        ({"rate_open_ratio": 0.9}, {"failure_ratio": 0.15}),
        ({"rate_open_ratio": 0.01}, {"failure_ratio": 0.05}),
        ({"window_looks": 9, "close_after_successes": 4, "rate_window_s": 60.0, "rate_close_ratio": 0.1}, {}),
    ],
)
def test_what_a_former_threshold_promised_is_kept_where_there_is_something_to_keep(
    given: dict[str, Any], found: dict[str, Any]
) -> None:
    assert modern(given) == found


def test_every_former_threshold_has_a_hint_and_no_other_has() -> None:
    assert len(hints(dict.fromkeys(FORMER, 1))) == len(FORMER)
    assert hints({"shortest_outage_s": 5.0}) == ()
    assert hints({"open_after_failures": 3}) == (
        "open_after_failures is read as before the sequential test; write shortest_outage: 10s",
    )
    assert hints({"window_looks": 5}) == ("window_looks is read as before the sequential test; leave it out",)


def test_a_recorded_scenario_may_still_name_them_and_today_s_names_go_first() -> None:
    assert notation.policy({"open_after_failures": 5, "window_looks": 5}) == Policy(shortest_outage_s=20.0)
    both = notation.policy({"open_after_failures": 5, "shortest_outage_s": "50s"})
    assert both == Policy(shortest_outage_s=50.0)
