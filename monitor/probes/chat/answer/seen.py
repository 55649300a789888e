"""What was seen of an answer, as the rows of the taxonomy look at it, and the questions that they ask of its error."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache

from monitor.core.model.reasons import Reason
from monitor.probes.chat.answer.canary import Verdict
from monitor.probes.chat.answer.reply import ApiError, Reply


class End(Enum):
    """How reading the answer ended."""

    COMPLETE = "complete"
    """The server ended it, or the protocol's own end was seen."""
    CUT = "cut"
    """The connection broke in the middle of the body."""
    DEADLINE = "deadline"
    STALLED = "stalled"
    """Tokens had begun and none came for the stall limit."""


@dataclass(frozen=True, slots=True)
class Objectives:
    """Limits above which a good answer counts as slow; ``None`` means none."""

    first_token_s: float | None = None
    tpot_s: float | None = None
    answer_s: float | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything that the rows look at."""

    wire: Reason | None = None
    """Why the wire failed before there was a status."""
    status: int = 0
    html: bool = False
    wall: str = ""
    """Whose robot wall answered."""
    page: tuple[Reason, str] | None = None
    """What a web page with a good status says of itself, where data was due (``marks.undue_page``)."""
    limit_reached: bool = False
    """A header says that nothing of our own limit remains."""
    has_room: bool = False
    """The vendor says that our limits are not used up."""
    asked_to_wait: bool = False
    """There was a ``Retry-After``."""
    end: End = End.COMPLETE
    silent_s: float = 0.0
    """How long nothing had come when the server ended the answer."""
    odd_type: bool = False
    """The answer came under a media type that is not its own."""
    not_streamed: bool = False
    """A stream was asked for and the answer came whole."""
    reply: Reply = field(default_factory=Reply)
    headers_s: float | None = None
    canary: Verdict = Verdict.NONE
    asked: str = ""
    """What the canary asked for, for people."""
    objectives: Objectives = Objectives()
    worked_before: bool = False
    """The same request was answered earlier."""
    listed: bool | None = None
    """Is the model in the vendor's list? ``None`` when nobody looked."""
    steady: bool = False
    """We have asked at this pace for a while, so that ``slow_down`` cannot be about our ramp."""


def error_of(seen: Seen) -> ApiError:
    """Return the vendor's error, an empty one where there is none."""
    return seen.reply.error or ApiError()


def status(seen: Seen) -> int:
    """Return the HTTP status, or the one that an error after HTTP 200 names."""
    return seen.status if seen.status >= 400 else error_of(seen).status or seen.status


@lru_cache(maxsize=1024)
def _plain(name: str) -> str:
    return re.sub(r"[\W_]", "", name.lower())


def named(seen: Seen, *names: str) -> bool:
    """Tell whether type or code of the error is one of these names, in whatever casing and with whatever hyphens."""
    error = error_of(seen)
    told = {_plain(error.type), _plain(error.code)} - {""}
    return bool(told) and any(_plain(name) in told for name in names)


def says(seen: Seen, *phrases: str) -> bool:
    """Tell whether the error's message holds one of these phrases, which are lower case."""
    message = error_of(seen).message.lower()
    return any(phrase in message for phrase in phrases)


def refused(seen: Seen, *statuses: int) -> bool:
    """Tell whether the vendor's words may be taken for a refusal: with one of these statuses, or after a 200."""
    return status(seen) in statuses or status(seen) < 300
