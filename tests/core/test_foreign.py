"""Text and times that servers write: cleaned by one rule and read by one rule."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from monitor.text.cleaner import plain
from monitor.text.units import retry_after_s


@pytest.mark.parametrize(
    ("foreign", "shown"),
    [
        ("a\r\nb\u202e\x1b[31m", "a b [31m"),
        ("深度\u3000求索", "深度 求索"),
        ("pay\u200bpal\ufeff", "paypal"),
        ("\x00\u2028 \ue000\U000e0041", ""),
        (None, "None"),
        ("x" * 9999, "x" * 299 + "…"),
    ],
)
def test_what_comes_from_outside_is_one_line_that_shows_all_that_is_in_it(foreign: object, shown: str) -> None:
    assert plain(foreign) == shown
    assert plain(shown) == shown
    assert plain(foreign).isprintable()


@pytest.mark.parametrize("limit", [-1, 30])
def test_a_server_is_waited_for_as_it_asks_and_never_longer_than_we_allow(limit: int) -> None:
    now = datetime(2026, 1, 2, 12, tzinfo=UTC)
    longest_s = 3600.0 if limit < 0 else limit
    for value, wait_s in {"1.5": 1.5, "Fri, 02 Jan 2026 12:00:30 -0000": 30.0, "99999999999999999999": 1e20}.items():
        assert retry_after_s(value, now, longest_s) == min(wait_s, longest_s)
    for nonsense in ("", "-5", "soon", "1e3", "Fri, 02 Jan 99999 12:00:30 GMT", "\u0661"):
        assert retry_after_s(nonsense, now, longest_s) is None
