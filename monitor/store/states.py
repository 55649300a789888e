"""A probe's state as short text: it is written with every look, so its length is most of what a look costs on disk.

Times are kept as microseconds before the watermark and known names as short codes. A name without a code is written
in full, so a field that a newer version adds survives until it gets one.
"""

from __future__ import annotations

import json
from typing import Any

from monitor.core.looks import ProbeState, new_probe_state
from monitor.core.schedule import from_micros

CODES = {
    "looks": "l",
    "seen": "n",
    "slow": "s",
    "fresh": "f",
    "failed_row": "fr",
    "failed_at": "fa",
    "down": "d",
    "partial": "p",
    "degraded": "g",
    "flapping": "fl",
    "since": "si",
    "suspect_since": "su",
    "slow_since": "ss",
    "good_since": "gs",
    "good_tick": "gt",
    "good_row": "gr",
    "brisk_row": "br",
    "blank": "b",
    "throttled": "th",
    "flips": "i",
    "evidence_at": "e",
    "answered_at": "aa",
    "reason": "r",
    "detail": "de",
    "last_reason": "lr",
    "last_detail": "ld",
    "key_worked_at": "k",
    "brisk_since": "bs",
}
_NAMES = {code: name for name, code in CODES.items()}
_TIMES = frozenset(name for name in CODES if name.endswith(("_since", "_at")) or name in ("since", "good_tick"))
_OWN = frozenset({"probe", "location", "tick", "attempt"})
_PARSED: dict[tuple[str, str], tuple[str, ProbeState]] = {}
"""The newest text of each series and what it says: most are read back just as they were written."""
_MOST = 20_000


def dump_state(state: ProbeState) -> str:
    """Return the state without probe, location and watermark, which its row holds."""
    data = state.to_json()
    tick = data.get("tick", 0)
    short = {CODES.get(name, name): _before(name, value, tick) for name, value in data.items() if name not in _OWN}
    text = json.dumps(short, separators=(",", ":"))
    _remember(state, text)
    return text


def load_state(text: str, probe: str, location: str, tick_us: int, attempt: int) -> ProbeState:
    """Return the state that :func:`dump_state` wrote; an empty text is a probe that never looked."""
    if not text:
        return new_probe_state(probe, location)
    known_text, known = _PARSED.get((probe, location), ("", None))
    if known is not None and known_text == text and known.attempt == attempt and known.tick == from_micros(tick_us):
        return known
    data = {_NAMES.get(code, code): value for code, value in json.loads(text).items()}
    data = {name: _before(name, value, tick_us) for name, value in data.items()}
    own = {"probe": probe, "location": location, "tick": tick_us, "attempt": attempt}
    state = ProbeState.from_json(data | own)
    _remember(state, text)
    return state


def _before(name: str, value: Any, tick: int) -> Any:
    """Turn a time into its distance from the watermark, and back."""
    if name not in _TIMES:
        return value
    return [tick - at for at in value] if isinstance(value, list) else tick - value


def _remember(state: ProbeState, text: str) -> None:
    if len(_PARSED) >= _MOST:
        _PARSED.clear()
    _PARSED[state.probe, state.location] = (text, state)
