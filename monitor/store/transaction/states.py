"""A probe's state as short text: it is written with every look, so its length is most of what a look costs on disk.

Times are kept as microseconds before the watermark and names as short codes. A field without a code would be written
in full, its times as they are. The codes are the format of every database there is: a field may be renamed, its code
may not. What the rules before the sequential test kept (``failed_mask``, ``mask_looks``, ``looks_since_recovery``,
``failed_at``, ``suspect_since``, ``partial``) is only read any more.
"""

from __future__ import annotations

import json
from typing import Any

from monitor.core.checks.probe_state import ProbeState, new_probe_state
from monitor.core.schedule import from_micros

CODES = {
    "failed_mask": "l",
    "mask_looks": "n",
    "slow_mask": "s",
    "looks_since_recovery": "f",
    "failed_in_a_row": "fr",
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
    "good_in_a_row": "gr",
    "fast_in_a_row": "br",
    "inconclusive_in_a_row": "b",
    "throttled_in_a_row": "th",
    "state_mask": "i",
    "evidence_at": "e",
    "answered_at": "aa",
    "reason": "r",
    "detail": "de",
    "last_reason": "lr",
    "last_detail": "ld",
    "key_worked_at": "k",
    "fast_since": "bs",
    "key_refusals": "rf",
    "key_refused_at": "ra",
    "failing_since": "rs",
    "network_worked_at": "ca",
    "last_failed_at": "lf",
    "score": "sc",
    "began_at": "sb",
    "major": "mj",
    "mask": "sm",
    "looks": "sl",
    "throttled_since": "ts",
    "ours_at": "o",
}
_NAMES = {code: name for name, code in CODES.items()}
_FORMER_NAMES = {
    "bad_at": "last_failed_at",
    "brisk_since": "fast_since",
    "refused": "key_refusals",
    "row_since": "failing_since",
    "cleared_at": "network_worked_at",
}
"""Names that fields were stored under, in full, before they had a code; their times were not distances."""
_TIMES = frozenset(name for name in CODES if name.endswith(("_since", "_at")) or name in ("since", "good_tick"))
_OWN = frozenset({"probe", "location", "tick", "attempt"})
_TWINS = {
    "good_tick": "tick",
    "good_since": "since",
    "fast_since": "good_since",
    "good_in_a_row": "mask_looks",
    "fast_in_a_row": "good_in_a_row",
    "looks_since_recovery": "mask_looks",
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
    short = {CODES.get(name, name): value for name, value in _without_twins(_USUAL | full).items()}
    text = _TWINNED + json.dumps(short, separators=(",", ":"))
    _remember(state, text)
    return text


def load_state(text: str, probe: str, location: str, tick_us: int, attempt: int) -> ProbeState:
    """Return the state that :func:`dump_state` wrote; an empty text is a probe that never looked."""
    if not text:
        return new_probe_state(probe, location)
    known_text, known = _PARSED.get((probe, location), ("", None))
    if known is not None and known_text == text and known.attempt == attempt and known.tick == from_micros(tick_us):
        return known
    data: dict[str, Any] = {}
    for code, value in json.loads(text.removeprefix(_TWINNED)).items():
        if (name := _NAMES.get(code)) is None:
            data[_FORMER_NAMES.get(code, code)] = value
        else:
            data[name] = value if value is None else _before(name, value, tick_us)
    if text.startswith(_TWINNED):
        data = _with_twins(_USUAL | {"tick": tick_us} | data)
    own = {"probe": probe, "location": location, "tick": tick_us, "attempt": attempt}
    state = ProbeState.from_json(data | own)
    _remember(state, text)
    return state


def _without_twins(full: dict[str, Any]) -> dict[str, Any]:
    """Leave out what equals its twin; what is blank while its twin is not is written as null."""
    kept = {name: value for name, value in full.items() if name not in _USUAL or _USUAL[name] != value}
    for name, twin in _TWINS.items():
        if full.get(name) == full.get(twin):
            kept.pop(name, None)
        elif name not in full:
            kept[name] = None
    return kept


def _with_twins(kept: dict[str, Any]) -> dict[str, Any]:
    for name, twin in _TWINS.items():
        if name not in kept and twin in kept:
            kept[name] = kept[twin]
        elif kept.get(name, 0) is None:
            del kept[name]
    return kept


def _before(name: str, value: Any, tick: int) -> Any:
    """Turn a time into its distance from the watermark, and back."""
    if name not in _TIMES:
        return value
    return [tick - at for at in value] if isinstance(value, list) else tick - value


def _remember(state: ProbeState, text: str) -> None:
    if len(_PARSED) >= _MOST:
        _PARSED.clear()
    _PARSED[state.probe, state.location] = (text, state)
