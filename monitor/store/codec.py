"""Between the nouns of the rules and what a column holds: whole microseconds and compact JSON."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, TypeAdapter

from monitor.core.entities import Alert
from monitor.core.model.alert_rules import rule_named
from monitor.core.schedule import from_micros as when
from monitor.core.schedule import micros as us

log = logging.getLogger("chatwatch.store")

T = TypeVar("T")

SECOND = 1_000_000
"""Microseconds."""
DAY = 86_400 * SECOND


def us_or_none(at: datetime | None) -> int | None:
    """Like :func:`us`, passing None through."""
    return None if at is None else us(at)


def when_or_none(micros: int | None) -> datetime | None:
    """Like :func:`when`, passing None through."""
    return None if micros is None else when(micros)


def span_us(seconds: float | None) -> int | None:
    """Return a length in seconds as whole microseconds, passing None through."""
    return None if seconds is None else round(seconds * SECOND)


def span_s(micros: int | None) -> float | None:
    """Return a length in microseconds as seconds, passing None through."""
    return None if micros is None else micros / SECOND


_ADAPTERS: dict[Any, TypeAdapter[Any]] = {}


def _with_rule(data: Any) -> Any:
    """Read an alert's rule as a member where it is one of ours: a union with text would keep it as text."""
    return {**data, "rule": rule_named(data["rule"])} if isinstance(data, dict) and "rule" in data else data


_READ: dict[Any, Any] = {Alert: Annotated[Alert, BeforeValidator(_with_rule)]}
"""Kinds whose stored form says less than their type."""


def _adapter(kind: type[T]) -> TypeAdapter[T]:
    """Return the adapter of a kind: building one costs milliseconds, so each is built once."""
    return _ADAPTERS.get(kind) or _ADAPTERS.setdefault(kind, TypeAdapter(_READ.get(kind, kind)))


def pack(kind: type[T], value: T) -> str:
    """Return a noun as compact JSON; fields that hold their default are left out."""
    return _adapter(kind).dump_json(value, exclude_defaults=True).decode()


def unpack(kind: type[T], text: str) -> T:
    """Return the noun that :func:`pack` wrote; fields that a newer version added are skipped."""
    return _adapter(kind).validate_json(text)


class DamagedRowError(ValueError):
    """A stored row cannot be read. The text says which, for the person whom it keeps from acting."""


def unpack_row(kind: type[T], text: str, what: str) -> T:
    """Like :func:`unpack`; raises :class:`DamagedRowError` that names the row."""
    try:
        return unpack(kind, text)
    except ValueError as error:
        raise DamagedRowError(f"{what} cannot be read from the database") from error


def unpack_or_none(kind: type[T], text: str, what: str) -> T | None:
    """Like :func:`unpack`, for what one damaged row must not withhold from everybody: None, and a line in the log."""
    try:
        return unpack(kind, text)
    except ValueError as error:
        log.error("a stored %s cannot be read and is left out (%s)", what, type(error).__name__)
        return None
