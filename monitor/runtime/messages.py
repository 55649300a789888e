"""What prober and recorder say to each other: one dataclass a message, one union a direction, one codec for both.

A message is one line of JSON, ``{"ack":{"number":7}}``: its kind and its fields. A batch's results follow it, one line
each, as :mod:`monitor.core.codec` wrote them; they are not read here, since results are nearly all that is ever sent.

Reading is tolerant of a peer of another version: fields that are unknown are skipped, those that are missing take
their default, and a kind that is unknown is told apart (:class:`UnknownKind`), so that it can be left out. Everything
else that is no message raises :class:`FrameError`. To add a message, write its class and put it into its union: mypy
then names every place that must deal with it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, ClassVar, Generic, TypeVar, get_args

from monitor.config.settled import Settings
from monitor.core.catalogue import Catalogue
from monitor.core.codec import Convert, converters, to_json


class FrameError(Exception):
    """The stream holds something else than our messages."""


class UnknownKind(FrameError):  # noqa: N818  # no fault: the peer is of another version
    """A message of a kind that this version does not know."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """What a probe remembers, as text of :mod:`monitor.probes.memory`."""

    at: datetime
    body: str


@dataclass(frozen=True, slots=True)
class Batch:
    """Results in the order of their looks; acknowledged once they are committed or safely on disk."""

    kind: ClassVar = "batch"
    number: int
    memories: Mapping[str, Remembered] = field(default_factory=dict)
    """What probes remember now, for the worker that looks at them next."""
    left: tuple[str, ...] = ()
    """Probes of which nothing more will come."""
    ending: bool = False
    """Nothing more will come of any probe."""
    lines: tuple[bytes, ...] = ()
    """The results, without line ends."""


@dataclass(frozen=True, slots=True)
class ProberAlive:
    """The prober lives, and how."""

    kind: ClassVar = "alive"
    blind: str = ""
    """Why it believes that our own network is broken; empty while it sees."""
    lag_s: float = 0.0
    since: datetime | None = None
    """Since when it looks at everything without having been told what is its own."""
    pending: int = 0
    """Results that were not acknowledged yet."""
    dropped: int = 0
    """Results given up since the start."""


@dataclass(frozen=True, slots=True)
class Receiver:
    """A channel: its kind, and its options as JSON with their secrets, or why it is switched off."""

    kind: str
    options: str = field(default="", repr=False)
    disabled: str = ""


@dataclass(frozen=True, slots=True)
class Configured:
    """What is in force from now on; the first message of all. What comes behind it was looked at by it.

    Secrets in it go from one process of ours to the other through a socket pair that nobody else holds.
    """

    kind: ClassVar = "configured"
    catalogue: Catalogue
    settings: Settings
    channels: Mapping[str, Receiver] = field(default_factory=dict, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    tokens: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Refused:
    """The configuration that we were asked to read again is faulty; the one before stays in force."""

    kind: ClassVar = "refused"


@dataclass(frozen=True, slots=True)
class Ack:
    """A batch is safe."""

    kind: ClassVar = "ack"
    number: int


@dataclass(frozen=True, slots=True)
class RecorderAlive:
    """The recorder lives, though the database may keep it waiting."""

    kind: ClassVar = "alive"


@dataclass(frozen=True, slots=True)
class JobReport:
    """A job reported in."""

    kind: ClassVar = "beat"
    probe: str
    at: datetime
    failed: bool = False
    text: str = ""


@dataclass(frozen=True, slots=True)
class MemoryHandover:
    """What a probe remembers that another worker looked at before; ``cut_off`` if that one died over it."""

    kind: ClassVar = "carried"
    probe: str
    memory: Remembered
    cut_off: bool = False


@dataclass(frozen=True, slots=True)
class Own:
    """The probes to look at, and no others. A new one begins after its time; without a time it begins now."""

    kind: ClassVar = "own"
    probes: Mapping[str, datetime | None]


FromProber = Batch | ProberAlive | Configured | Refused
FromRecorder = Ack | RecorderAlive | JobReport | MemoryHandover | Own

M = TypeVar("M", bound=FromProber | FromRecorder)


class Codec(Generic[M]):
    """The messages of one direction as bytes."""

    def __init__(self, kinds: tuple[Any, ...]) -> None:
        self._kinds: dict[str, tuple[Convert, Convert]] = {kind.kind: converters(kind) for kind in kinds}
        assert len(self._kinds) == len(kinds), "two messages of one kind"

    def dumps(self, message: M) -> bytes:
        """Return a message as bytes. A number that JSON cannot write raises ``ValueError``: it is a fault of ours."""
        fields = self._kinds[message.kind][0](message)
        lines = fields.pop("lines", ())
        return b"\n".join([to_json({message.kind: fields}).encode("ascii"), *lines])

    def loads(self, data: bytes) -> M:
        """Return the message in ``data``. Raises :class:`FrameError`, and nothing else, when there is none."""
        head, *lines = data.split(b"\n")
        try:
            found = json.loads(head)
            if not isinstance(found, dict) or len(found) != 1:
                raise FrameError("a frame without a message")
            ((kind, fields),) = found.items()
            if kind not in self._kinds:
                raise UnknownKind(f"a message of the unknown kind {kind[:40]!r}")
            message: M = self._kinds[kind][1](fields)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise FrameError(f"a frame that cannot be read ({type(error).__name__})") from None
        return replace(message, lines=tuple(lines)) if isinstance(message, Batch) else message


FROM_PROBER: Codec[FromProber] = Codec(get_args(FromProber))
FROM_RECORDER: Codec[FromRecorder] = Codec(get_args(FromRecorder))
