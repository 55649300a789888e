"""The only reader of time.

Everything below takes ``now`` as an argument; the programs call these two functions and pass the answer down.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime


def now() -> datetime:
    """Return the current time as an aware UTC ``datetime``."""
    return datetime.now(UTC)


def monotonic() -> float:
    """Return seconds on a clock that never steps; only differences mean anything."""
    return time.monotonic()
