from dataclasses import replace
from typing import Any

import pytest

from monitor.core.catalogue import Policy
from monitor.core.components.soundness import policy_faults, probe_warnings

from .making import probe


def test_the_policy_out_of_the_box_is_sound() -> None:
    assert policy_faults(Policy()) == ()
    assert probe_warnings(probe()) == ()


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"false_pages_per_year": 0.0}, "between 0.001 and 10000"),
        ({"shortest_outage_s": 4000.0}, "between 0 and 3600 s"),
        ({"failure_ratio": 0.5}, "between 0.02 and 0.45"),
        ({"throttled_after": 0}, "at least 1"),
        ({"flap_start_percent": 10.0}, "below flap_start_percent"),
        ({"stale_after_intervals": 0.5}, "between two looks"),
        ({"slo_target_ratio": 99.0}, "between 0 and 1"),
    ],
)
def test_what_cannot_work_is_named(wrong: dict[str, Any], word: str) -> None:
    (fault,) = policy_faults(Policy(**wrong))
    assert word in fault


def test_a_window_with_hardly_a_look_is_warned_of() -> None:
    assert "window of 300 s" in probe_warnings(probe(interval_s=300))[0]
    (never,) = probe_warnings(probe(policy=Policy(slo_target_ratio=0.8)))
    assert "at 14.4, 6 can never fire" in never
    assert probe_warnings(probe(policy=Policy(failure_ratio=0.9))) == ()


def test_registration_that_is_read_too_rarely_to_be_known_is_warned_of() -> None:
    rare = replace(probe(interval_s=3600), tells_registration=True)
    assert any("unknown in between" in warning for warning in probe_warnings(rare))
    assert not any("unknown" in warning for warning in probe_warnings(replace(rare, interval_s=300)))
