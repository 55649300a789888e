"""What no look can be is put right, or left out, before it is judged: the times, numbers and texts of a result.

Judgement and both stores rely on it: a moment that lies outside the calendar, a duration that is no number or a text
that no database takes would stop everybody's results. The probes bound what strangers say; this is for what came
another way: another version's results, a damaged file, a bug of ours.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime
from enum import Enum
from typing import Any, TypeVar

from monitor.core.model.message_codes import MessageCode, coded
from monitor.core.model.observations import ChatTimes, Observation, Phases, Result
from monitor.core.model.reasons import Reason
from monitor.core.model.registration import MethodReading, Registration

EARLIEST, LATEST = datetime(1971, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
LONGEST_S = 86_400.0
MOST_ATTEMPTS = 10_000
MOST_S = 1e9
"""More seconds, tokens a second or dollars than any part of a look takes."""
MOST_COUNT = 2**31 - 1
MOST_BYTES = 2**62
_UNWRITABLE = re.compile("[\x00\ud800-\udfff]")
"""What a database does not take: PostgreSQL no NUL, neither of them half a surrogate pair."""

T = TypeVar("T")


def plausible(result: Result) -> Result | None:
    """Return the result as it can be judged, most often as it is; ``None`` if it has no place in time.

    A look of which nobody can say how long it took says nothing: it counts as a fault of ours.
    """
    run = result.run
    if not (EARLIEST <= run.tick <= LATEST and EARLIEST <= result.started_at <= LATEST):
        return None
    if not 1 <= run.attempt <= MOST_ATTEMPTS:
        return None
    if not 0 <= result.duration_s <= LONGEST_S:
        seen = Observation(Reason.INTERNAL, coded(MessageCode.IMPOSSIBLE_LENGTH, seconds=result.duration_s))
        result = replace(result, duration_s=0.0, observation=seen)
    if _UNWRITABLE.search(run.location + run.probe):
        result = replace(result, run=_texts(run))
    seen = result.observation
    better = _observation(seen)
    return result if better is seen else replace(result, observation=better)


def _observation(seen: Observation) -> Observation:
    if _is_plain(seen):
        return seen
    changes: dict[str, Any] = {}
    if seen.phases is not None:
        changes["phases"] = _numbers(seen.phases)
    if seen.chat is not None:
        changes["chat"] = _numbers(seen.chat)
    changes["http_status"] = _count(seen.http_status, MOST_COUNT)
    changes["bytes_received"] = _count(seen.bytes_received, MOST_BYTES)
    changes["retry_after_s"] = _seconds(seen.retry_after_s)
    if seen.registration:
        changes["registration"] = tuple(_reading(item) for item in seen.registration)
    better = _texts(replace(seen, **changes))
    return seen if better == seen else better


def _is_plain(seen: Observation) -> bool:
    """Say quickly of most looks that nothing is wrong with them."""
    phases = seen.phases
    return not (
        seen.chat is not None
        or seen.evidence is not None
        or seen.certificate is not None
        or seen.registration
        or seen.upstream is not None
        or seen.warnings
        or seen.retry_after_s is not None
        or _UNWRITABLE.search(f"{seen.detail}{seen.address}{seen.http_version}")
        or (seen.http_status is not None and not 0 <= seen.http_status <= MOST_COUNT)
        or (seen.bytes_received is not None and not 0 <= seen.bytes_received <= MOST_BYTES)
        or (phases is not None and _numbers(phases) is not phases)
    )


_LENGTHS = {kind: [item.name for item in fields(kind) if "float" in str(item.type)] for kind in (Phases, ChatTimes)}
_COUNTS = {kind: [item.name for item in fields(kind) if "int" in str(item.type)] for kind in (Phases, ChatTimes)}
P = TypeVar("P", Phases, ChatTimes)


def _numbers(part: P) -> P:
    """Return the part without numbers that it cannot have; the part itself if there are none."""
    kind = type(part)
    wrong: dict[str, Any] = {}
    for name in _LENGTHS[kind]:
        value = getattr(part, name)
        if value is not None and not -MOST_S <= value <= MOST_S:
            wrong[name] = 0.0 if name == "loop_lag_s" else None
    for name in _COUNTS[kind]:
        value = getattr(part, name)
        if value is not None and not 0 <= value <= MOST_COUNT:
            wrong[name] = 0 if name in ("keepalives", "chunks") else None
    return replace(part, **wrong) if wrong else part


def _reading(item: MethodReading) -> MethodReading:
    """Return the reading without a share that it cannot have."""
    share = item.failed_ratio
    possible = share is None or (item.state is Registration.FAILING and 0 <= share <= 1)
    return item if possible else replace(item, failed_ratio=None)


def _count(value: int | None, most: int) -> int | None:
    return value if value is not None and 0 <= value <= most else None


def _seconds(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) and abs(value) <= MOST_S else None


def written(text: str) -> str:
    """Return a text that every database takes."""
    return _UNWRITABLE.sub("\ufffd", text)


def _texts(value: T) -> T:
    """Return the same with every text in it written so that a database takes it."""
    found: Any = value
    if isinstance(value, Enum):
        return value
    if isinstance(value, str):
        found = written(value)
    elif isinstance(value, tuple):
        found = tuple(_texts(item) for item in value)
    elif isinstance(value, Mapping):
        found = {written(key): _texts(item) for key, item in value.items()}
    elif is_dataclass(value) and not isinstance(value, type):
        parts = {item.name: getattr(value, item.name) for item in fields(value)}
        kept = {name: _texts(part) for name, part in parts.items()}
        found = replace(value, **{name: part for name, part in kept.items() if part is not parts[name]})
    result: T = found
    return result
