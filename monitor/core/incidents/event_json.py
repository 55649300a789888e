"""An incident's event as the JSON that is stored, and back: the one place that knows the shape of both.

Reading is tolerant, because rows of every earlier version, and of a later one that was taken back, must still open: a
missing or unreadable field takes its default, an unknown one is skipped, and an event that lacks what it is about, or
whose kind nobody knows, is no event (``None``) rather than an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields
from types import NoneType
from typing import Any, NamedTuple, get_args, get_type_hints

from monitor.core.codec import converters
from monitor.core.model.incident_events import KEPT, EventData, EventKind, class_of

_UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, OverflowError)


class _Column(NamedTuple):
    name: str
    default: Any
    """``MISSING`` where the field has none."""
    always: bool
    write: Callable[[Any], Any]
    read: Callable[[Any], Any]


def encode(what: EventData) -> dict[str, Any]:
    """Return the event's fields as JSON values; its kind and time are columns of their own."""
    held = ((column, getattr(what, column.name)) for column in _COLUMNS[what.kind])
    return {
        column.name: "" if value is None else column.write(value)
        for column, value in held
        if column.always or value != column.default
    }


def decode(kind: str, data: object) -> EventData | None:
    """Return a stored event; ``None`` where it cannot be told what happened."""
    if kind not in _KINDS or not isinstance(data, Mapping):
        return None
    held: dict[str, Any] = {}
    for column in _COLUMNS[EventKind(kind)]:
        if column.name in data:
            try:
                held[column.name] = column.read(data[column.name])
                continue
            except _UNREADABLE:  # of a version that knew other words
                pass
        if column.default is MISSING:
            return None
        held[column.name] = column.default
    return class_of(EventKind(kind))(**held)


_KINDS = frozenset(kind.value for kind in EventKind)


def _column(item: Field[Any], hint: Any) -> _Column:
    always = KEPT in getattr(hint, "__metadata__", ()) or item.default is item.default_factory  # both are missing
    hint = get_args(hint)[0] if hasattr(hint, "__metadata__") else hint
    default = item.default if item.default_factory is MISSING else item.default_factory()
    write, read = converters(hint)
    if NoneType not in get_args(hint) or str in get_args(hint):
        return _Column(item.name, default, always, write, read)
    # What is not known is written as the empty text.
    blank = None if default is MISSING else default
    return _Column(item.name, blank, always, write, lambda value: None if value == "" else read(value))


def _columns(kind: EventKind) -> tuple[_Column, ...]:
    found = class_of(kind)
    hints = get_type_hints(found, include_extras=True)
    return tuple(_column(item, hints[item.name]) for item in fields(found))


_COLUMNS = {kind: _columns(kind) for kind in EventKind}
