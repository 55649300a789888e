"""Any JSON: one field, and what its values mean."""

from __future__ import annotations

from dataclasses import replace

from monitor.core.model.warning_codes import WarningCode
from monitor.probes.answers import dig
from monitor.probes.registration.detector import Detector, Heard, Reading, missing, unread
from monitor.text.cleaner import clean


def read(heard: Heard) -> Reading:
    """Return what the answer says."""
    extra = heard.extra
    try:
        value = dig(heard.document, extra.path)
    except KeyError:
        return missing(clean(extra.path, 100) or "value")
    if isinstance(value, dict | list):
        return missing(f"plain value at {clean(extra.path, 100)}")
    word = (
        {True: "true", False: "false", None: "null"}[value] if value is None or isinstance(value, bool) else str(value)
    )
    meaning = (extra.mapping or {}).get(word)
    excerpt = f"{clean(extra.path, 100)}: {clean(word, 100)}"
    if meaning is None:
        return unread(f"{excerpt} is not in the mapping", WarningCode.REGISTRATION_UNMAPPED_VALUE)
    return Reading((replace(meaning, excerpt=excerpt),))


KIND = Detector("json", read, needs=("path", "mapping"))
