"""A record as text for people or as one JSON object for machines."""

from __future__ import annotations

import json
import logging
import re
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime

from monitor.logs.events import Event
from monitor.logs.hiding import LONGEST_VALUE, Hidden

PREFIX = "chatwatch."
MOST_LINES = 30
"""Of a traceback the last ones: they say what happened."""
_BARE = re.compile(r"[\w./:@+,-]+")
_HEAD = ("time", "level", "program", "room", "event", "message")
_BESIDE = "  | "
"""Before every line of a traceback in text, so that no error's words look like a line of the log."""


def entry(record: logging.LogRecord, program: str, hidden: Hidden) -> dict[str, object]:
    """Return the record as the fields of a line, in their order, each one cleaned and redacted."""
    event = event_of(record)
    found: dict[str, object] = {
        "time": f"{datetime.fromtimestamp(record.created, UTC):%Y-%m-%dT%H:%M:%S}.{int(record.msecs):03d}Z",
        "level": _level(record.levelno),
        "program": program,
        "room": hidden.line(record.name.removeprefix(PREFIX), LONGEST_VALUE),
        "event": event,
        "message": hidden.line(_message(record)),
    }
    fields = getattr(record, "fields", {})
    for name, value in fields.items() if isinstance(fields, Mapping) else ():
        if isinstance(value, int | float):
            found[name] = value
        elif isinstance(value, tuple):
            if value:
                found[name] = [hidden.line(str(item), LONGEST_VALUE) for item in value]
        elif value:
            found[name] = hidden.line(str(value), LONGEST_VALUE)
    if record.exc_info and record.exc_info[1] is not None:
        found["traceback"] = "\n".join(_traceback(record.exc_info[1], hidden))
    return found


def event_of(record: logging.LogRecord) -> str:
    """Return the record's event: a member of ours, or that it is a library's."""
    event = getattr(record, "event", None)
    return event.value if isinstance(event, Event) else Event.LIBRARY.value


def as_json(found: Mapping[str, object]) -> str:
    """Return one JSON object in one line of ASCII, so that no terminal's or collector's character set breaks it."""
    return json.dumps(found, separators=(",", ":"))


def as_text(found: Mapping[str, object]) -> str:
    """Return ``time LEVEL program/room message  event=… service=…``, a traceback indented below it."""
    program, room = found["program"], found["room"]
    where = program if program == room else f"{program}/{room}"
    fields = [("event", found["event"])]
    fields += [(name, value) for name, value in found.items() if name not in (*_HEAD, "traceback")]
    line = f"{found['time']} {str(found['level']).upper():<7} {where} {found['message']}  "
    line += " ".join(f"{name}={_value(value)}" for name, value in fields)
    below = str(found["traceback"]).split("\n") if "traceback" in found else []
    return "\n".join([line, *(f"{_BESIDE}{item}" for item in below)])


def _level(number: int) -> str:
    for least, name in ((logging.ERROR, "error"), (logging.WARNING, "warning"), (logging.INFO, "info")):
        if number >= least:
            return name
    return "debug"


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # a library's arguments do not fit its format: print the format alone rather than lose the line
        return str(record.msg)


def _traceback(error: BaseException, hidden: Hidden) -> list[str]:
    lines = "".join(traceback.format_exception(error)).splitlines()
    shown = [f"… {len(lines) - MOST_LINES} lines above", *lines[-MOST_LINES:]] if len(lines) > MOST_LINES else lines
    return [" " * min(len(line) - len(line.lstrip(" ")), 12) + hidden.line(line, LONGEST_VALUE) for line in shown]


def _value(value: object) -> str:
    text = f"{value:g}" if isinstance(value, float) else ",".join(value) if isinstance(value, list) else str(value)
    return text if _BARE.fullmatch(text) else json.dumps(text, ensure_ascii=False)
