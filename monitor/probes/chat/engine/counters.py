"""The counters of vLLM, SGLang and llama.cpp, read from what their servers publish. All of it is hostile until read.

Several series of one name (engines, ranks, models) are summed, shares of a cache are not: the fullest counts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from monitor.probes.answers import parse_json
from monitor.probes.chat.answer.reply import table
from monitor.probes.chat.engine.names import Engine

MOST_BYTES = 2 * 2**20
"""Of one answer; a server with many histograms and ranks publishes a few hundred kilobytes."""
MOST_SERIES = 4096
"""Of the wanted names together."""
_BIGGEST = 1e15
_SERIES = re.compile(rb"^(vllm|sglang|llamacpp)[:_]([a-z_]{3,60})(?:\{[^\n]*\})?[ \t]+([0-9.eE+-]{1,40})\s", re.M)
_LINE_CHARS = 120
_MOST_LINES = 8


@dataclass(frozen=True, slots=True)
class Counters:
    """What an engine counts; ``None`` where it does not say."""

    running: int | None = None
    waiting: int | None = None
    cache: float | None = None
    """0 to 1."""
    slots: int | None = None
    """How many requests it takes at once."""
    alive: bool = False
    """That it told is a sign of work: the loop that makes the tokens answered."""
    work: tuple[float, ...] = ()
    """Values that change while it works; empty when it publishes none of them."""
    lines: tuple[str, ...] = field(default=(), compare=False)
    """For people: name and value, never a label and never what somebody asked."""

    @property
    def is_known(self) -> bool:
        """True when it says at least how much it does."""
        return self.running is not None or self.waiting is not None

    @property
    def has_work(self) -> bool:
        """True when requests are with it."""
        return bool(self.running or self.waiting)


def read_metrics(engine: Engine, body: bytes) -> Counters:
    """Read a text of metrics; what is no finite number from 0 up counts as not said."""
    sums: dict[str, float] = {}
    most: dict[str, float] = {}
    for name, value in _wanted(engine, body):
        sums[name] = sums.get(name, 0.0) + value
        most[name] = max(most.get(name, 0.0), value)
    shown = (*engine.running, *engine.waiting, *engine.cache, *engine.work)
    moving = (*engine.cache, *engine.work)  # what arrives at an engine that hangs makes its queue longer
    share = _first(most, engine.cache)
    return Counters(
        _whole(_first(sums, engine.running)),
        _whole(_first(sums, engine.waiting)),
        None if share is None else min(share, 1.0),
        work=tuple(sums[name] for name in moving if name in sums) if any(name in sums for name in engine.work) else (),
        lines=_lines({f"{engine.prefix}:{name}": sums[name] for name in shown if name in sums}),
    )


def read_instead(engine: Engine, body: bytes) -> Counters:
    """Read the counts where there are no metrics: SGLang's load, llama.cpp's slots. Anything else tells nothing."""
    try:
        told = parse_json(body)
    except ValueError:
        return Counters()
    rows = [table(row) for row in (told if isinstance(told, list) else [told])[:MOST_SERIES]]
    if engine.prefix == "sglang":
        loads = [row for row in rows if _count(row.get("num_reqs")) is not None]
        if not loads:
            return Counters()
        waiting = sum(_count(row.get("num_waiting_reqs")) or 0 for row in loads)
        running = max(sum(_count(row.get("num_reqs")) or 0 for row in loads) - waiting, 0)
        return Counters(running, waiting, alive=True, lines=_lines({"running": running, "waiting": waiting}))
    slots = [row["is_processing"] for row in rows if isinstance(row.get("is_processing"), bool)]
    if not slots:
        return Counters()
    shown = {"slots": len(slots), "slots in use": sum(slots)}
    return Counters(sum(slots), slots=len(slots), alive=True, lines=_lines(shown))


def _wanted(engine: Engine, body: bytes) -> Iterator[tuple[str, float]]:
    prefix = engine.prefix.encode()
    names = {name.encode() for name in (*engine.running, *engine.waiting, *engine.cache, *engine.work)}
    left = MOST_SERIES
    for found in _SERIES.finditer(body[:MOST_BYTES] + b"\n"):
        if found[1] != prefix or found[2] not in names:
            continue
        left -= 1
        if left < 0:
            return
        try:
            value = float(found[3])
        except ValueError:
            continue
        if 0 <= value <= _BIGGEST:
            yield found[2].decode(), value


def _first(values: Mapping[str, float], names: tuple[str, ...]) -> float | None:
    return next((values[name] for name in names if name in values), None)


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)


def _count(value: Any) -> int | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return round(value) if is_number and math.isfinite(value) and 0 <= value <= _BIGGEST else None


def _lines(values: Mapping[str, float]) -> tuple[str, ...]:
    return tuple(f"{name} {value:g}"[:_LINE_CHARS] for name, value in values.items())[:_MOST_LINES]
