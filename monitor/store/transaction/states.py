"""A probe's state as short text: it is written with every look, so its length is most of what a look costs on disk.

Times are kept as microseconds before the watermark and known names as short codes. A name without a code is written
in full, so a field that a newer version adds survives until it gets one.
"""

from __future__ import annotations

import json
from typing import Any

from monitor.core.checks.probe_state import ProbeState, new_probe_state
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
    "refused": "rf",
    "row_since": "rs",
    "cleared_at": "ca",
}
_NAMES = {code: name for name, code in CODES.items()}
_TIMES = frozenset(name for name in CODES if name.endswith(("_since", "_at")) or name in ("since", "good_tick"))
_OWN = frozenset({"probe", "location", "tick", "attempt"})
_TWINS = {
    "good_tick": "tick",
    "good_since": "since",
    "brisk_since": "good_since",
    "good_row": "seen",
    "brisk_row": "good_row",
    "fresh": "seen",
    "key_worked_at": "evidence_at",
    "answered_at": "evidence_at",
    "last_reason": "reason",
    "last_detail": "detail",
}
"""Field → the field that it usually equals, and then is left out. Those that others equal come before them."""
_USUAL = {"tick": 0, "reason": 0}
"""What is left out when it is this; the watermark is no distance from itself."""
_TWINNED = "2"
"""First character of a text that leaves twins out; an older one begins with a brace."""
_PARSED: dict[tuple[str, str], tuple[str, ProbeState]] = {}
"""The newest text of each series and what it says: most are read back just as they were written."""
_MOST = 20_000


def dump_state(state: ProbeState) -> str:
    """Return the state without probe, location and watermark, which its row holds."""
    data = state.to_json()
    tick = data.get("tick", 0)
    full = {name: _before(name, value, tick) for name, value in data.items() if name not in _OWN}
    told = {CODES.get(name, name): value for name, value in _without_twins(_USUAL | full).items()}
    text = _TWINNED + json.dumps(told, separators=(",", ":"))
    _remember(state, text)
    return text


def load_state(text: str, probe: str, location: str, tick_us: int, attempt: int) -> ProbeState:
    """Return the state that :func:`dump_state` wrote; an empty text is a probe that never looked."""
    if not text:
        return new_probe_state(probe, location)
    known_text, known = _PARSED.get((probe, location), ("", None))
    if known is not None and known_text == text and known.attempt == attempt and known.tick == from_micros(tick_us):
        return known
    data = {_NAMES.get(code, code): value for code, value in json.loads(text.removeprefix(_TWINNED)).items()}
    if text.startswith(_TWINNED):
        data = _with_twins(_USUAL | data)
    data = {name: _before(name, value, tick_us) for name, value in data.items()}
    own = {"probe": probe, "location": location, "tick": tick_us, "attempt": attempt}
    state = ProbeState.from_json(data | own)
    _remember(state, text)
    return state


def _without_twins(full: dict[str, Any]) -> dict[str, Any]:
    """Leave out what equals its twin; what is blank while its twin is not is written as null."""
    told = {name: value for name, value in full.items() if name not in _USUAL or _USUAL[name] != value}
    for name, twin in _TWINS.items():
        if full.get(name) == full.get(twin):
            told.pop(name, None)
        elif name not in full:
            told[name] = None
    return told


def _with_twins(told: dict[str, Any]) -> dict[str, Any]:
    for name, twin in _TWINS.items():
        if name not in told and twin in told:
            told[name] = told[twin]
        elif told.get(name, 0) is None:
            del told[name]
    return told


def _before(name: str, value: Any, tick: int) -> Any:
    """Turn a time into its distance from the watermark, and back."""
    if name not in _TIMES:
        return value
    return [tick - at for at in value] if isinstance(value, list) else tick - value


def _remember(state: ProbeState, text: str) -> None:
    if len(_PARSED) >= _MOST:
        _PARSED.clear()
    _PARSED[state.probe, state.location] = (text, state)
