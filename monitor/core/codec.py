"""Results as bytes: one line of ASCII JSON each, for the socket between prober and recorder and for the spool.

Only fields that differ from their default are written and unknown fields are skipped, so a result written by the
version before can be read by the one after it. Equality survives the round trip.
"""

from __future__ import annotations

import json
import math
import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

from monitor.core.model.observations import Result
from monitor.core.model.warning_codes import AnyWarning

Convert = Callable[[Any], Any]

to_json = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
"""Made once: ``json.dumps`` with other than its defaults makes an encoder for every text."""


class CodecError(ValueError):
    """The bytes are no result: torn, foreign, or of a version that knew other words."""


def dumps_result(result: Result) -> bytes:
    """Return ``result`` as one line of ASCII JSON without the line end; NaN and infinity raise :class:`CodecError`."""
    try:
        return to_json(converters(Result)[0](result)).encode("ascii")
    except (ValueError, OverflowError) as error:
        raise CodecError(f"a number or time that cannot be written: {error}") from error


def loads_result(data: bytes) -> Result:
    """Return the result that :func:`dumps_result` wrote; anything else raises :class:`CodecError`."""
    try:
        value = converters(Result)[1](json.loads(data))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise CodecError(f"not a result: {type(error).__name__}") from error
    assert isinstance(value, Result)
    return value


@cache
def converters(kind: Any) -> tuple[Convert, Convert]:
    """Return (to JSON, from JSON) for a type, as those of the model are: built once from its annotations.

    What is read may raise what :func:`loads_result` catches.
    """
    if kind == AnyWarning:
        return str, _checked(str)  # as text: another version may know other codes
    origin, args = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return _optional(*(arg for arg in args if arg is not type(None)))
    if origin is tuple:
        return _each(args[0])
    if origin is Mapping:
        return _values(args[1])
    if is_dataclass(kind):
        return _record(kind)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return (lambda member: member.value), kind
    if kind is datetime:
        return _write_time, _read_time
    return _same, _checked(kind)


def _same(value: Any) -> Any:
    return value


def _checked(kind: type) -> Convert:
    accepted = (int, float) if kind is float else (kind,)

    def read(value: Any) -> Any:
        if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
            raise TypeError(kind.__name__)
        if isinstance(value, int | float) and not math.isfinite(value):  # such a value could not be written back
            raise ValueError(kind.__name__)
        return value

    return read


def _write_time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()


def _read_time(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("a time without zone")
    return at.astimezone(UTC)


def _optional(inner: Any) -> tuple[Convert, Convert]:
    write, read = converters(inner)
    return (
        lambda value: None if value is None else write(value),
        lambda value: None if value is None else read(value),
    )


def _each(inner: Any) -> tuple[Convert, Convert]:
    write, read = converters(inner)

    def read_all(values: Any) -> tuple[Any, ...]:
        if not isinstance(values, list):  # a string would be split into its letters
            raise TypeError("list")
        return tuple(read(value) for value in values)

    return (list if write is _same else lambda values: [write(value) for value in values]), read_all


def _values(inner: Any) -> tuple[Convert, Convert]:
    write, read = converters(inner)
    return (
        lambda values: {key: write(value) for key, value in values.items()},
        lambda values: {key: read(value) for key, value in values.items()},
    )


def _record(kind: Any) -> tuple[Convert, Convert]:
    hints = get_type_hints(kind)
    columns = [(field.name, field.default, *converters(hints[field.name])) for field in fields(kind)]

    def write(value: Any) -> dict[str, Any]:
        present = ((name, default, put, getattr(value, name)) for name, default, put, _ in columns)
        return {name: put(item) for name, default, put, item in present if default is MISSING or item != default}

    def read(data: Any) -> Any:
        return kind(**{name: take(data[name]) for name, _, _, take in columns if name in data})

    return write, read
