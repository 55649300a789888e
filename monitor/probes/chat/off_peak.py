"""When a vendor charges less: ``Mon-Fri 00-01 04-06 10-24`` and ``Sat-Sun``, whole hours of UTC."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

MARGIN = timedelta(minutes=10)
"""A question that is answered in the dear hours costs what they cost: nothing is booked too low near their begin."""
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WHEN = re.compile(r"([a-z]{3})(?:-([a-z]{3}))?((?: \d{1,2}-\d{1,2})*)")

Hours = frozenset[tuple[int, int]]
"""Day of the week (Monday is 0) and hour, in UTC."""


def parse(lines: Iterable[str]) -> Hours:
    """Return the hours that lines name; ``ValueError`` with what is wrong. Days without hours are whole days."""
    found: set[tuple[int, int]] = set()
    for line in lines:
        match = _WHEN.fullmatch(" ".join(line.lower().split()))
        first, last = (match[1], match[2] or match[1]) if match else ("", "")
        if match is None or first not in _DAYS or last not in _DAYS:
            raise ValueError(f'"{line[:40]}" names no hours; write "Mon-Fri 00-01 04-06" or "Sat-Sun" (UTC)')
        begin, length = _DAYS.index(first), (_DAYS.index(last) - _DAYS.index(first)) % 7 + 1
        for span in match[3].split() or ["0-24"]:
            start, end = (int(hour) for hour in span.split("-"))
            if not 0 <= start < end <= 24:
                raise ValueError(f'"{span}" is no span of hours between 00 and 24; write one past midnight as two')
            found |= {((begin + day) % 7, hour) for day in range(length) for hour in range(start, end)}
    return frozenset(found)


def is_cheap(hours: Hours, now: datetime) -> bool:
    """Tell whether a question that is asked now is answered in the hours that cost less."""
    moments = [at.astimezone(UTC) for at in (now, now + MARGIN)]
    return all((at.weekday(), at.hour) in hours for at in moments)
