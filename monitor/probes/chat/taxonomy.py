"""The failure taxonomy of a chat answer as one table: ordered rows, the first that matches names the reason.

Only what was seen goes in, so every row can be tried on a recorded answer. A mid-stream error is classed by its own
code (rows 5 to 12) before row 18 takes what is left. Vendors' codes are those of the error pages of OpenAI, Anthropic,
DeepSeek, OpenRouter, Google, Moonshot, Alibaba and Zhipu, read in November 2026; those of xAI and Mistral are as public
clients of 2026 record them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from monitor.core.model.reasons import Reason
from monitor.core.model.warning_codes import WarningCode
from monitor.probes.chat.canary import Verdict
from monitor.probes.chat.reply import ApiError, Reply


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
    has_room: bool = False
    """The vendor says that our limits are not used up."""
    """A header says that nothing of our own limit remains."""
    asked_to_wait: bool = False
    """There was a ``Retry-After``."""
    end: End = End.COMPLETE
    reply: Reply = field(default_factory=Reply)
    headers_s: float | None = None
    canary: Verdict = Verdict.NONE
    objectives: Objectives = Objectives()
    worked_before: bool = False
    """The same request was answered earlier."""
    listed: bool | None = None
    """Is the model in the vendor's list? ``None`` when nobody looked."""
    steady: bool = False
    """We have asked at this pace for a while, so that ``slow_down`` cannot be about our ramp."""


class Row(NamedTuple):
    """One row; ``reason`` is fixed, or taken from what was seen."""

    number: int
    when: Callable[[Seen], bool]
    reason: Reason | Callable[[Seen], Reason]


def classify(seen: Seen) -> tuple[Row, Reason]:
    """Return the first row that matches and its reason."""
    row = next(row for row in ROWS if row.when(seen))
    return row, row.reason if isinstance(row.reason, Reason) else row.reason(seen)


def _error(seen: Seen) -> ApiError:
    return seen.reply.error or ApiError()


def status(seen: Seen) -> int:
    """Return the HTTP status, or the one that an error after HTTP 200 names."""
    return seen.status if seen.status >= 400 else _error(seen).status or seen.status


def _named(seen: Seen, *names: str) -> bool:
    error = _error(seen)
    return error.type.lower() in names or error.code.lower() in names


def _says(seen: Seen, *phrases: str) -> bool:
    message = _error(seen).message.lower()
    return any(phrase in message for phrase in phrases)


def _refused(seen: Seen, *statuses: int) -> bool:
    """Tell whether the vendor's words may be taken for a refusal: with one of these statuses, or after a 200."""
    return status(seen) in statuses or status(seen) < 300


def _good(seen: Seen) -> bool:
    """Check for an answer that came to its end: what remains to judge is its time and its content."""
    reply = seen.reply
    return bool(reply.finish_reason) and reply.error is None and (reply.thought_only or _has_token(reply))


def _has_token(reply: Reply) -> bool:
    return bool(reply.token_times) or bool(reply.text.strip())


def _region(seen: Seen) -> bool:
    phrases = ("country, region, or territory", "region is not supported", "location is not supported")
    return _named(seen, "unsupported_country_region_territory") or (
        _refused(seen, 400, 403, 451) and _says(seen, *phrases)
    )


def _policy(seen: Seen) -> bool:
    if seen.reply.finish_reason in ("content_filter", "refusal", "sensitive"):
        return True
    named = _named(seen, "content_filter", "content_policy_violation", "data_inspection_failed", "1301")
    flagged = _says(seen, "content exists risk", "flagged", "moderation", "content management policy", "guardrail")
    return named or (_refused(seen, 400, 403) and flagged)


_MONEY = (
    "credit_balance_exhausted",
    "insufficient_quota",
    "insufficient_balance",
    "insufficient_credits",
    "billing_error",
    "billing_not_active",
    "billing_hard_limit_reached",
    "enforced_spend_limit_reached",
    "exceeded_current_quota_error",  # Moonshot
    "arrearage",  # Alibaba
    "1113",  # Zhipu: in arrears
    "1304",  # Zhipu: today's limit
    "1308",  # the plan's limit for some hours
    "1309",  # the plan has ended
    "1310",  # the plan's limit for the week or month
    "1313",  # fair use
)


_OUT_OF_MONEY = (
    "spend limit",
    "credit balance is too low",
    "insufficient balance",
    "usage limit",
    "in arrears",
    "any credits",  # xAI says so with a 403
    "all available credits",  # and so with a 429
    "out of credits",
    "exceeded your current quota",  # Google
    "quota exceeded for",
    "欠费",
)


_BUDGET = ("budget_exceeded", "budgetexceeded", "exceeded_budget", "exceededbudget", "max_budget_exceeded")
_OVER_BUDGET = re.compile(
    r"budget (?:has been |was |is )?exceeded|(?:exceed(?:ed|s|ing)?|crossed|over|above) (?:\w+ ){0,3}budget"
    r"|budget (?:limit )?(?:has been |was |is )?(?:reached|exhausted|used up|spent)"
    r"|insufficient_quota|exceeded your current quota"
)
"""A gateway's own words (LiteLLM and others) for money that we gave it, or a vendor's that it hands on: ours whatever
the status. A budget of tokens or time is another matter, and so are the words ``quota`` and ``limit`` alone."""
_OTHER_BUDGET = re.compile(r"(?:token|thinking|reasoning|time|latency|error|retry)s?[ _-]budget")


def _over_budget(seen: Seen) -> bool:
    message = _error(seen).message.lower()
    return bool(_OVER_BUDGET.search(message)) and not _OTHER_BUDGET.search(message)


def _quota(seen: Seen) -> bool:
    code = _error(seen).code.lower()
    return (
        status(seen) == 402
        or _named(seen, *_BUDGET)
        or _over_budget(seen)
        or _named(seen, *_MONEY)
        or code.endswith(("_spend_limit_exceeded", "_usage_limit_exceeded"))
        or (_refused(seen, 400, 403, 429) and _says(seen, *_OUT_OF_MONEY))
    )


_WRONG_KEY = ("api key not valid", "incorrect api key", "invalid api key", "api key expired")
"""Google and xAI say so with a 400."""


def _auth(seen: Seen) -> bool:
    refused = status(seen) in (401, 403) or _named(seen, "authentication_error", "permission_error", "invalid_api_key")
    refused = refused or (_refused(seen, 400) and _says(seen, *_WRONG_KEY))
    return refused and not _region(seen) and not _policy(seen) and not _quota(seen)


_RATE = (
    "rate_limit_exceeded",
    "rate_limit_error",
    "rate_limit_reached_error",
    "requests",
    "tokens",
    "resource_exhausted",
    "limit_requests",
    "1302",  # Zhipu: concurrency
)


def _own_rate(seen: Seen) -> bool:
    named = _named(seen, *_RATE) or _says(seen, "rate limit")
    return status(seen) == 429 and (seen.limit_reached or (named and seen.asked_to_wait and not seen.has_room))


_TOO_STEEP = ("slow_down", "limit_burst_rate")  # OpenAI; Alibaba


def _ramp(seen: Seen) -> bool:
    return _named(seen, *_TOO_STEEP) and not seen.steady


def _throttled(seen: Seen) -> bool:
    limited = status(seen) == 429 or (seen.status < 400 and _named(seen, "rate_limit_exceeded", "rate_limit_error"))
    return limited and not _named(seen, *_TOO_STEEP) and not _says_overload(seen)


def _says_overload(seen: Seen) -> bool:
    """Moonshot, Zhipu and Mistral say this with 429, others with 503, 529 or after a 200."""
    named = _named(seen, "overloaded_error", "overloaded", "engine_overloaded_error", "service_unavailable_error")
    full = _named(seen, "1305", "service_tier_capacity_exceeded", "3505")  # Zhipu; Mistral, by name or number
    return named or full or _says(seen, "overloaded", "too busy", "访问量过大")


def _overloaded(seen: Seen) -> bool:
    return (
        status(seen) in (503, 529)
        or _says_overload(seen)
        or _named(seen, *_TOO_STEEP, "unavailable")
        or _says(seen, "no available provider", "no instances available")
        or seen.reply.finish_reason == "insufficient_system_resource"
        or (status(seen) == 502 and _says(seen, "provider returned error", "provider"))
    )


def _server_error(seen: Seen) -> bool:
    named = _named(seen, "api_error", "server_error", "internal_server_error", "internal", "internal_error")
    return named or status(seen) >= 500


def _model_missing(seen: Seen) -> bool:
    named = _named(seen, "model_not_found", "not_found_error", "notfounderror")
    return named or (status(seen) in (400, 404) and _says(seen, "model"))


def _retired(seen: Seen) -> bool:
    return _model_missing(seen) and seen.worked_before and seen.listed is False


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


def _truncated(seen: Seen) -> bool:
    reply = seen.reply
    return not reply.finish_reason and (seen.end is End.CUT or reply.events > 0)


def _empty(seen: Seen) -> bool:
    reply = seen.reply
    return not _has_token(reply) and not reply.undecodable and not reply.thought_only and not _policy(seen)


def _slow(seen: Seen) -> bool:
    times, limits = seen.reply.times(seen.headers_s), seen.objectives
    return (
        _over(times.ttft_s, limits.first_token_s)
        or _over(times.tpot_s, limits.tpot_s)
        or _over(times.last_token_s, limits.answer_s)
    )


_BROKEN_OFF = frozenset({"error", "network_error", "network-error", "abort"})
"""Finish reasons that mean a failure: OpenRouter, Zhipu ("inference failed", after a 200), vLLM."""
_UNREACHABLE = frozenset(Reason) - {Reason.NETWORK, Reason.DNS, Reason.TIMEOUT_HEADERS}
_HTML_IS_A_WALL = frozenset({*range(200, 300), 401, 403, 405})
"""With these a web page where data was due means that a robot, a proxy or a wrong address is the matter. A plain 502
or 503 page of the vendor's own front server is its outage and goes on to rows 11 and 12."""

ROWS: tuple[Row, ...] = (
    Row(1, lambda s: s.wire is Reason.NETWORK, Reason.NETWORK),
    Row(2, lambda s: s.wire is Reason.DNS, Reason.DNS),
    Row(3, lambda s: s.wire in _UNREACHABLE, lambda s: s.wire or Reason.INTERNAL),
    Row(
        4,
        lambda s: bool(s.wall) or (s.html and s.status in _HTML_IS_A_WALL),
        lambda s: s.page[0] if s.page else Reason.BLOCKED,
    ),
    Row(5, _auth, Reason.AUTH),
    Row(6, _region, Reason.REGION),
    Row(7, _quota, Reason.QUOTA),
    Row(8, _own_rate, Reason.RATE_LIMIT),
    Row(9, _ramp, Reason.RATE_LIMIT),
    Row(10, _throttled, Reason.THROTTLED),
    Row(11, _overloaded, Reason.OVERLOADED),
    Row(12, _server_error, Reason.SERVER_ERROR),
    Row(13, lambda s: status(s) == 408 or s.wire is Reason.TIMEOUT_HEADERS, Reason.TIMEOUT_HEADERS),
    Row(14, _retired, Reason.MODEL_RETIRED),
    Row(23, _policy, Reason.POLICY),
    Row(14, lambda s: s.status >= 300 or 400 <= status(s) <= 499, Reason.CONFIG),
    Row(15, lambda s: _good(s) and _over(_queue_s(s), s.objectives.first_token_s), Reason.QUEUED),
    Row(16, _half_arrived, Reason.TIMEOUT_TOTAL),
    Row(16, _queued_to_death, Reason.TIMEOUT_QUEUED),
    Row(17, lambda s: s.end is End.STALLED and not s.reply.finish_reason, Reason.STALLED),
    Row(18, lambda s: s.reply.error is not None or s.reply.finish_reason in _BROKEN_OFF, Reason.MIDSTREAM_ERROR),
    Row(25, lambda s: s.end is End.DEADLINE and not s.reply.finish_reason, Reason.SLOW),
    Row(19, _truncated, Reason.TRUNCATED),
    Row(21, _empty, Reason.EMPTY),
    Row(22, lambda s: not _good(s), Reason.MALFORMED),
    Row(24, lambda s: s.canary is Verdict.WRONG, Reason.QUALITY),
    Row(25, _slow, Reason.SLOW),
    Row(20, lambda _: True, Reason.OK),
)
"""In the order of matching; numbers are those of the published table. Row 23 stands before the catch-all of row 14,
because some vendors refuse a prompt with a 400; the first row 25 is an answer that our own deadline cut while tokens
were still arriving."""


def warnings(seen: Seen) -> tuple[WarningCode, ...]:
    """Return what is worth knowing of an answer that is no failure."""
    reply = seen.reply
    if not reply.finish_reason:
        return ()
    found = {
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
    error = _error(seen)
    names = " ".join(dict.fromkeys(name for name in (error.type, error.code) if name))
    where = f"HTTP {seen.status}" if seen.status >= 300 else f"error after HTTP {seen.status}"
    return f"{where} {names}: {error.message}".rstrip(": ")
