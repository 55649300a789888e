"""Names of models: does an answer come from the model that was asked, and how long will that model be served.

A name may come back with its snapshot's date, its owner or a routing suffix: those are the same model. Another size or
version of it is not, however alike the names are.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import date, datetime

from monitor.core.model.warning_codes import AnyWarning, WarningCode, detailed

ANY = "*"
"""Written where a server answers under names of its own."""
_SNAPSHOT = re.compile(
    r"(?:[-@](?:20\d\d-[01]\d-[0-3]\d|20\d\d[01]\d[0-3]\d|\d{6}|\d{4}|\d{3}|latest|preview|stable|default)|:[a-z0-9-]+"
    r"|-v\d+:\d+)$"
)
_SPACES = re.compile(r"[\s_.]+")


def plain(name: str) -> str:
    """Return a name without its owner, its snapshot and its way of writing."""
    short = _SPACES.sub("-", name.strip().lower().rpartition("/")[2])
    while (less := _SNAPSHOT.sub("", short)) != short and less:
        short = less
    return short


def is_same(asked: str, told: str, known: Collection[str] = ()) -> bool:
    """Tell whether an answer's model is the one that was asked, or one of the *known* names that it answers under."""
    return ANY in known or plain(told) in {plain(name) for name in (asked, *known)}


_WITHIN = (
    (3, WarningCode.MODEL_ENDS_IN_3_DAYS),
    (14, WarningCode.MODEL_ENDS_IN_14_DAYS),
    (30, WarningCode.MODEL_ENDS_IN_30_DAYS),
)


def ending_soon(model: str, ends: Mapping[str, date], now: datetime) -> AnyWarning | None:
    """Return the warning that a model is served for 30, 14 or 3 days at most, with its last day."""
    last = ends.get(model)
    if last is None:
        return None
    code = next((code for days, code in _WITHIN if (last - now.date()).days <= days), None)
    return detailed(code, f"{model}, {last.isoformat()}") if code else None
