"""The failure taxonomy of a chat answer as one table: ordered rows, the first that matches names the reason.

Only what was seen goes in, so every row can be tried on a recorded answer. A mid-stream error is classed by its own
code (rows 5 to 12) before row 18 takes what is left. The words of refusals are in :mod:`refusals`, those of finish
reasons in :mod:`endings`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from monitor.core.model.reasons import Reason
from monitor.core.model.warning_codes import WarningCode
from monitor.probes.chat.answer import refusals
from monitor.probes.chat.answer.canary import Verdict
from monitor.probes.chat.answer.endings import Ending
from monitor.probes.chat.answer.reply import Reply
from monitor.probes.chat.answer.seen import End, Seen, error_of, status


class Row(NamedTuple):
    """One row; ``reason`` is fixed, or taken from what was seen."""

    number: int
    when: Callable[[Seen], bool]
    reason: Reason | Callable[[Seen], Reason]


def classify(seen: Seen) -> tuple[Row, Reason]:
    """Return the first row that matches and its reason."""
    row = next(row for row in ROWS if row.when(seen))
    return row, row.reason if isinstance(row.reason, Reason) else row.reason(seen)


def _good(seen: Seen) -> bool:
    """Check for an answer that came to its end: what remains to judge is its time and its content."""
    reply = seen.reply
    came = reply.done or bool(reply.finish_reason)
    return came and reply.error is None and (reply.thought_only or _has_token(reply))


def _has_token(reply: Reply) -> bool:
    return bool(reply.token_times) or bool(reply.calls) or bool(reply.vectors) or bool(reply.text.strip())


def _queue_s(seen: Seen) -> float | None:
    return seen.reply.times(seen.headers_s).queue_s


def _over(value_s: float | None, limit_s: float | None) -> bool:
    return value_s is not None and limit_s is not None and value_s > limit_s


def _half_arrived(seen: Seen) -> bool:
    """Tell a whole answer that was on its way when the deadline came from one that was never begun."""
    return seen.end is End.DEADLINE and seen.reply.payload_s is not None and not _has_token(seen.reply)


def _queued_to_death(seen: Seen) -> bool:
    reply = seen.reply
    if reply.error or _has_token(reply) or reply.finish_reason:
        return False
    return seen.end is End.DEADLINE or (seen.end is not End.STALLED and reply.keepalives > 0 and reply.undecodable == 0)


def _stalled(seen: Seen) -> bool:
    """Tell tokens that began and stopped; an early ``stop`` and a server that closes after a silence are no end."""
    reply = seen.reply
    if seen.end is End.STALLED:
        return not reply.is_ended
    return bool(reply.finish_reason) and not reply.is_ended and seen.silent_s >= LINGER_S


def _truncated(seen: Seen) -> bool:
    reply = seen.reply
    if seen.end is End.CUT:
        return not reply.is_ended
    return not reply.finish_reason and not reply.done and reply.events > 0


def _empty(seen: Seen) -> bool:
    reply = seen.reply
    return not _has_token(reply) and not reply.undecodable and not reply.thought_only and not refusals.policy(seen)


def _slow(seen: Seen) -> bool:
    times, limits = seen.reply.times(seen.headers_s), seen.objectives
    return (
        _over(times.ttft_s, limits.first_token_s)
        or _over(times.tpot_s, limits.tpot_s)
        or _over(times.last_token_s, limits.answer_s)
    )


LINGER_S = 5.0
"""A silence that is longer than this, before a server ends an answer that was not over, is a stall."""
_UNREACHABLE = frozenset(Reason) - {Reason.NETWORK, Reason.DNS, Reason.TIMEOUT_HEADERS}
HTML_IS_A_WALL = frozenset({*range(200, 300), 403, 405})
"""With these a web page where data was due means that a robot, a proxy or a wrong address is the matter. A plain 502
or 503 page of the vendor's own front server is its outage and goes on to rows 11 and 12, and a 401 asks for a key
however it looks."""

ROWS: tuple[Row, ...] = (
    Row(1, lambda s: s.wire is Reason.NETWORK, Reason.NETWORK),
    Row(2, lambda s: s.wire is Reason.DNS, Reason.DNS),
    Row(3, lambda s: s.wire in _UNREACHABLE, lambda s: s.wire or Reason.INTERNAL),
    Row(
        4,
        lambda s: bool(s.wall) or (s.html and s.status in HTML_IS_A_WALL),
        lambda s: s.page[0] if s.page else Reason.BLOCKED,
    ),
    Row(5, refusals.auth, Reason.AUTH),
    Row(6, refusals.region, Reason.REGION),
    Row(7, refusals.quota, Reason.QUOTA),
    Row(14, refusals.retired, Reason.MODEL_RETIRED),
    Row(14, refusals.unknown_model, Reason.CONFIG),
    Row(8, refusals.own_rate, Reason.RATE_LIMIT),
    Row(9, refusals.ramp, Reason.RATE_LIMIT),
    Row(10, refusals.throttled, Reason.THROTTLED),
    Row(11, refusals.overloaded, Reason.OVERLOADED),
    Row(12, refusals.server_error, Reason.SERVER_ERROR),
    Row(13, lambda s: status(s) == 408 or s.wire is Reason.TIMEOUT_HEADERS, Reason.TIMEOUT_HEADERS),
    Row(23, refusals.policy, Reason.POLICY),
    Row(14, lambda s: s.status >= 300 or 400 <= status(s) <= 499, Reason.CONFIG),
    Row(15, lambda s: _good(s) and _over(_queue_s(s), s.objectives.first_token_s), Reason.QUEUED),
    Row(16, _half_arrived, Reason.TIMEOUT_TOTAL),
    Row(16, _queued_to_death, Reason.TIMEOUT_QUEUED),
    Row(17, _stalled, Reason.STALLED),
    Row(18, lambda s: s.reply.error is not None or s.reply.ending is Ending.BROKEN, Reason.MIDSTREAM_ERROR),
    Row(25, lambda s: s.end is End.DEADLINE and not s.reply.is_ended, Reason.SLOW),
    Row(14, lambda s: bool(s.reply.other_protocol) and not _has_token(s.reply), Reason.CONFIG),
    Row(19, _truncated, Reason.TRUNCATED),
    Row(21, _empty, Reason.EMPTY),
    Row(22, lambda s: not _good(s), Reason.MALFORMED),
    Row(24, lambda s: s.canary is Verdict.WRONG, Reason.QUALITY),
    Row(25, _slow, Reason.SLOW),
    Row(20, lambda _: True, Reason.OK),
)
"""In the order of matching; numbers are those of the published table. Rows 14 about the model stand before row 8,
because gateways answer so with any status; row 23 before the catch-all of row 14, because some vendors refuse a prompt
with a 400; the first row 25 is an answer that our own deadline cut while tokens were still arriving; the last row 14 is
an answer in another protocol than the one that we asked in."""


def warnings(seen: Seen) -> tuple[WarningCode, ...]:
    """Return what is worth knowing of an answer that is no failure."""
    reply = seen.reply
    if not (reply.finish_reason or reply.done):
        return ()
    found = {
        WarningCode.PROTOCOL_CONTENT_TYPE: seen.odd_type,
        WarningCode.PROTOCOL_NOT_STREAMED: seen.not_streamed,
        WarningCode.PROTOCOL_NO_FINISH: not (reply.finish_reason or reply.vectors) or reply.finish_displaced,
        WarningCode.PROTOCOL_NO_DONE: not reply.done,
        WarningCode.PROTOCOL_NO_USAGE: reply.output_tokens is None,
        WarningCode.PROTOCOL_BAD_EVENT: reply.undecodable > 0,
        WarningCode.PROTOCOL_BAD_UTF8: reply.is_torn,
        WarningCode.PROTOCOL_CUT_AFTER_END: seen.end is End.CUT,
        WarningCode.CHAT_SPENT_ON_REASONING: reply.thought_only,
    }
    return tuple(name for name, is_so in found.items() if is_so)


def refusal(seen: Seen) -> str:
    """Say what came instead of an answer, in the vendor's words."""
    if seen.wall:
        return f"{seen.wall} turned the robot away with HTTP {seen.status}"
    if seen.page:
        return seen.page[1]
    if seen.html:
        return f"HTTP {seen.status} with a web page where data was due"
    error = error_of(seen)
    names = " ".join(dict.fromkeys(name for name in (error.type, error.code) if name))
    where = f"HTTP {seen.status}" if seen.status >= 300 else f"error after HTTP {seen.status}"
    return f"{where} {names}: {error.message}".rstrip(": ")
