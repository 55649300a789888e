"""Durations as people write them, read and written in one place: ``30s``, ``500ms``, ``1h30m``, ``+5m1s``.

It lies on the lowest floor, because scenarios and the configuration read the same spelling. Durations in words are
:meth:`monitor.text.lexicon.Lexicon.duration`.
"""

from __future__ import annotations

import re

UNIT_S = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_PART = re.compile(rf"([0-9]+(?:\.[0-9]+)?)\s*({'|'.join(sorted(UNIT_S, key=len, reverse=True))})\s*")
_MOST_CHARS = 64
LONGEST_S = 36_525 * 86_400


def seconds(value: object, *, signed: bool = False) -> float:
    """Return the seconds of ``"500ms"``, ``"30s"``, ``"1h30m"`` or ``"7d"``; ``signed`` also takes ``"-2m"``.

    Raises ``ValueError`` with a hint for anything else: a bare number could mean any unit.
    """
    text = value.strip() if isinstance(value, str) and len(value) <= _MOST_CHARS else ""
    sign, rest = (text[:1], text[1:]) if signed and text[:1] in ("+", "-") else ("", text)
    total, at = 0.0, 0
    while part := _PART.match(rest, at):
        total, at = total + float(part[1]) * UNIT_S[part[2]], part.end()
    if not rest or at != len(rest):
        example = '"30s", "5m" or "+1h2m3s"' if signed else '"500ms", "30s", "5m", "1h30m" or "7d"'
        raise ValueError(f"write a duration with its unit, as in {example}")
    if total > LONGEST_S:
        raise ValueError("a duration of more than a hundred years is a slip of the keyboard")
    return -total if sign == "-" else total


def written(seconds_: float) -> str:
    """Return whole seconds as ``+1h2m3s`` or ``-1m30s``, which :func:`seconds` reads back."""
    left = abs(int(seconds_))
    parts = [(left // 3600, "h"), (left // 60 % 60, "m"), (left % 60, "s")]
    return ("-" if int(seconds_) < 0 else "+") + (
        "".join(f"{number}{unit}" for number, unit in parts if number) or "0s"
    )
