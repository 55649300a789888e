"""Mergeable percentiles: counts in logarithmic buckets, relative error at most 1 %.

Bucket ``i`` holds the values in ``(γ^(i-1), γ^i]`` with γ = 1.02 and answers ``2 γ^i / (γ + 1)``, which is never
further than (γ - 1) / (γ + 1) = 0.99 % from any of them (Masson, Rim and Lee, *DDSketch*, VLDB 2019). Adding counts
is all that merging does, so it is associative, commutative and loses nothing; percentiles are never averaged.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

GAMMA = 1.02
SMALLEST = 1e-6
"""Seconds; anything below, zero included, counts as this."""
LARGEST = 1e6
_LOG = math.log(GAMMA)
_LOWEST = math.ceil(math.log(SMALLEST) / _LOG)
_HIGHEST = math.ceil(math.log(LARGEST) / _LOG)

Sketch = dict[int, int]
"""Bucket index → count."""


def index(value: float) -> int:
    """Return the bucket of a value in seconds; values outside the range go to its ends. NaN is refused."""
    if value <= SMALLEST:
        return _LOWEST
    if value >= LARGEST:
        return _HIGHEST
    if value != value:
        raise ValueError("a sketch takes no NaN")
    return math.ceil(math.log(value) / _LOG)


def add(sketch: Sketch, value: float) -> None:
    """Count one value in place."""
    where = index(value)
    sketch[where] = sketch.get(where, 0) + 1


def of(values: Iterable[float]) -> Sketch:
    """Return a sketch of the values."""
    sketch: Sketch = {}
    for value in values:
        add(sketch, value)
    return sketch


def merge(sketches: Iterable[Sketch]) -> Sketch:
    """Return the sum of the sketches; the arguments stay as they are."""
    total: Sketch = {}
    for sketch in sketches:
        for where, count in sketch.items():
            total[where] = total.get(where, 0) + count
    return total


def count(sketch: Sketch) -> int:
    """Return the number of values in it."""
    return sum(sketch.values())


def quantile(sketch: Sketch, q: float) -> float | None:
    """Value at rank ``floor(q * (n - 1))`` of the sorted values, within 1 %; ``None`` if there are none."""
    n = count(sketch)
    if not n:
        return None
    rank, below = math.floor(q * (n - 1)), 0
    for where in sorted(sketch):
        below += sketch[where]
        if below > rank:
            break
    return float(2 * GAMMA**where / (GAMMA + 1))


def encode(sketch: Sketch) -> bytes:
    """Pack as varints: first index (zigzag), then pairs of index gap and count. An empty sketch is ``b""``."""
    out = bytearray()
    last = 0
    for where in sorted(sketch):
        gap = where - last
        _put(out, (gap << 1) ^ (gap >> 63))
        _put(out, sketch[where])
        last = where
    return bytes(out)


def decode(blob: bytes) -> Sketch:
    """Inverse of :func:`encode`. Raises ``ValueError`` on a blob that is cut short."""
    sketch: Sketch = {}
    at = where = 0
    while at < len(blob):
        gap, at = _take(blob, at)
        where += (gap >> 1) ^ -(gap & 1)
        sketch[where], at = _take(blob, at)
    return sketch


def _put(out: bytearray, value: int) -> None:
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


def _take(blob: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(blob):
            raise ValueError("sketch blob is cut short")
        byte = blob[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
