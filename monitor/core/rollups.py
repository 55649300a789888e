"""Results → minute, hour and day buckets that can be merged in any order.

A bucket counts outcomes and reasons and holds two sketches (:mod:`monitor.core.sketch`): seconds of the whole look
and time to first token. Only good looks enter the sketches: a timeout says nothing about how long an answer takes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from monitor.core import sketch
from monitor.core.model import Outcome, Reason, Result
from monitor.core.schedule import from_micros, micros

MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86_400
SIZES_S = (MINUTE_S, HOUR_S, DAY_S)


@dataclass(slots=True)
class Bucket:
    """Looks of one probe at one location that were due in ``[start, start + size_s)`` UTC."""

    probe: str
    location: str
    start: datetime
    size_s: int
    outcomes: dict[Outcome, int] = field(default_factory=dict)
    reasons: dict[Reason, int] = field(default_factory=dict)
    """Every reason but OK."""
    response: sketch.Sketch = field(default_factory=dict)
    ttft: sketch.Sketch = field(default_factory=dict)
    tokens_out: int = 0
    cost_micro_usd: int = 0

    @property
    def looks(self) -> int:
        """Looks that told something about the service: the denominator of every ratio."""
        return sum(count for outcome, count in self.outcomes.items() if outcome.is_evidence)


def bucket_start(at: datetime, size_s: int) -> datetime:
    """Start of the bucket a moment falls into; days are UTC days."""
    step = size_s * 1_000_000
    return from_micros(micros(at) // step * step)


def response_s(result: Result) -> float | None:
    """Seconds a good look took at the vendor: wait and transfer, connection and names included, our share not."""
    phases = result.observation.phases
    if result.outcome not in (Outcome.OK, Outcome.SLOW):
        return None
    if phases is None:
        return result.duration_s
    parts = (phases.dns_s, phases.connect_s, phases.tls_s, phases.request_s, phases.wait_s, phases.transfer_s)
    known = [part for part in parts if part is not None]
    return sum(known) if known else result.duration_s


def add(bucket: Bucket, result: Result) -> None:
    """Count one result in place."""
    outcome, reason, chat = result.outcome, result.reason, result.observation.chat
    bucket.outcomes[outcome] = bucket.outcomes.get(outcome, 0) + 1
    if reason is not Reason.OK:
        bucket.reasons[reason] = bucket.reasons.get(reason, 0) + 1
    took = response_s(result)
    if took is not None:
        sketch.add(bucket.response, took)
        if chat is not None and chat.ttft_s is not None:
            sketch.add(bucket.ttft, chat.ttft_s)
    if chat is not None:
        bucket.tokens_out += chat.output_tokens or 0
        bucket.cost_micro_usd += round((chat.cost_usd or 0.0) * 1e6)


def roll(results: Iterable[Result], size_s: int) -> list[Bucket]:
    """Return the buckets of the results by their ticks, ordered by probe, location and start."""
    found: dict[tuple[str, str, datetime], Bucket] = {}
    for result in results:
        start = bucket_start(result.run.tick, size_s)
        key = (result.run.probe, result.run.location, start)
        bucket = found.get(key)
        if bucket is None:
            bucket = found[key] = Bucket(*key, size_s)
        add(bucket, result)
    return [found[key] for key in sorted(found)]


def merge(buckets: Iterable[Bucket], size_s: int) -> list[Bucket]:
    """Return the same looks in buckets of a larger size; the order of the arguments does not matter."""
    found: dict[tuple[str, str, datetime], Bucket] = {}
    for bucket in buckets:
        key = (bucket.probe, bucket.location, bucket_start(bucket.start, size_s))
        total = found.get(key)
        if total is None:
            total = found[key] = Bucket(*key, size_s)
        _pour(total.outcomes, bucket.outcomes)
        _pour(total.reasons, bucket.reasons)
        _pour(total.response, bucket.response)
        _pour(total.ttft, bucket.ttft)
        total.tokens_out += bucket.tokens_out
        total.cost_micro_usd += bucket.cost_micro_usd
    return [found[key] for key in sorted(found)]


def _pour(into: dict[Any, int], counts: Mapping[Any, int]) -> None:
    for key, count in counts.items():
        into[key] = into.get(key, 0) + count
