"""``Retry-After``, as servers write it, read in one place."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_NUMBER = re.compile(r"[0-9]{1,20}(?:\.[0-9]{1,9})?")


def retry_after_s(value: str, now: datetime | None, longest_s: float) -> float | None:
    """Read ``Retry-After`` (RFC 9110 10.2.3), a number of seconds or a date; None when it makes no sense.

    A date that is over asks for no wait; a date without a zone is UTC, and without ``now`` a date tells nothing. A
    server may keep us away for ``longest_s`` at most.
    """
    text = value.strip()
    if _NUMBER.fullmatch(text):
        return min(float(text), longest_s)
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if now is None:
        return None
    wait_s = ((at if at.tzinfo else at.replace(tzinfo=UTC)) - now).total_seconds()
    return min(max(0.0, wait_s), longest_s)
