"""One HTTP exchange against rules: status, headers, text, patterns, JSON, certificate, and time per phase."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import regex
from pydantic import Field, SecretStr, field_validator

from monitor.core.components.health import LEARNING
from monitor.core.model.observations import Observation, Phases
from monitor.core.model.reasons import Reason, Scope
from monitor.core.model.warning_codes import WarningCode
from monitor.probes import base
from monitor.probes.answers import (
    EXPIRY_WARNING_S,
    dig,
    evidence,
    expiring,
    is_html,
    is_own_limit,
    parse_json,
    retry_after_s,
    robot_wall,
    steps,
    total_s,
)
from monitor.probes.base import Context, Kind, Seconds, Words
from monitor.probes.marks import Found, PageOptions, judge_answer, not_data
from monitor.text.cleaner import brief
from monitor.wire import Answer, Exchange, WireError

PATTERN_LIMIT_S = 0.25


def status_range(text: str) -> tuple[int, int]:
    """Turn ``"200-399"`` or ``"204"`` into its bounds; ``ValueError`` outside 100–599."""
    low, _, high = text.partition("-")
    try:
        bounds = int(low), int(high or low)
    except ValueError:
        bounds = 0, 0
    if not 100 <= bounds[0] <= bounds[1] <= 599:
        raise ValueError(f'"{text}" is no range of HTTP statuses; write "200" or "200-399"')
    return bounds


class Options(PageOptions):
    """Options of the kind ``http``."""

    url: str
    method: Literal["GET", "HEAD", "POST", "OPTIONS"] = "GET"
    headers: dict[str, str] = Field(default_factory=dict)
    secret_headers: dict[str, SecretStr] = Field(default_factory=dict)
    """Sent to the URL's own origin only, also across redirects."""
    body: str = ""
    status: Words = ("200-399",)
    means: dict[int, Reason] = Field(default_factory=dict)
    """Status that is not accepted → what this server says with it, as ``503: service.loading``.
    Not with a web page, which comes from what stands in front of it."""
    contains: Words = ()
    absent: Words = ()
    regex: Words = ()
    """Patterns that must be found in the text, each within ``PATTERN_LIMIT_S``."""
    header_contains: dict[str, str] = Field(default_factory=dict)
    header_regex: dict[str, str] = Field(default_factory=dict)
    """Name of a header → a pattern that must be found in its value."""
    header_absent: Words = ()
    """Names of headers that must not be there."""
    json_path: dict[str, Any] = Field(default_factory=dict)
    """Path (``data.items[0].id``, ``$.data["a.b"]``) → the value it must have; ``null`` asks only that it is there."""
    slow_s: Seconds | None = None
    """Limit for the whole exchange, without our own overhead."""
    slow_dns_s: Seconds | None = None
    slow_connect_s: Seconds | None = None
    slow_tls_s: Seconds | None = None
    slow_wait_s: Seconds | None = None
    slow_transfer_s: Seconds | None = None
    expiry_warning_s: Seconds = EXPIRY_WARNING_S
    redirects: int = Field(0, ge=0, le=20)
    http2: bool = False

    @field_validator("url")
    @classmethod
    def _url(cls, value: str) -> str:
        return base.checked_url(value)

    @field_validator("status")
    @classmethod
    def _status(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            status_range(text)
        return value

    @field_validator("means")
    @classmethod
    def _means(cls, value: dict[int, Reason]) -> dict[int, Reason]:
        for status, reason in value.items():
            status_range(str(status))
            if reason.scope is not Scope.SERVICE:
                raise ValueError(f"{status} can only mean a failure of the service, service.…, not {reason}")
        return value

    @field_validator("regex", "header_regex")
    @classmethod
    def _patterns(cls, value: tuple[str, ...] | dict[str, str]) -> tuple[str, ...] | dict[str, str]:
        for pattern in value.values() if isinstance(value, dict) else value:
            try:
                regex.compile(pattern)
            except regex.error as error:
                raise ValueError(f"pattern does not compile: {error}") from None
        return value

    @field_validator("json_path")
    @classmethod
    def _paths(cls, value: dict[str, Any]) -> dict[str, Any]:
        for path in value:
            steps(path)
        return value

    @field_validator("headers")
    @classmethod
    def _headers(cls, value: dict[str, str]) -> dict[str, str]:
        return base.checked_headers(value)

    @field_validator("secret_headers")
    @classmethod
    def _secret_headers(cls, value: dict[str, SecretStr]) -> dict[str, SecretStr]:
        return base.checked_secret_headers(value)


async def run(options: Options, ctx: Context) -> Observation:
    """Ask once and compare the answer with the rules; the first rule that is broken is the reason."""
    asking = ctx.wire.stream(
        options.method,
        options.url,
        headers=options.headers,
        secret_headers=base.opened(options.secret_headers),
        content=options.body.encode(),
        limits=ctx.limits(),
        redirects=options.redirects,
        http2=options.http2,
    )
    async with asking as exchange:
        try:
            answer = await exchange.read()
        except WireError as error:
            return _broken_off(error, exchange)
    reason, detail, *notes = await _judged(options, answer, ctx)
    return Observation(
        reason,
        detail or f"{f'{LEARNING}: ' if WarningCode.PAGE_LEARNING in notes else ''}HTTP {answer.status}",
        http_status=answer.status,
        http_version=answer.http_version,
        address=answer.address,
        bytes_received=answer.wire_bytes,
        phases=answer.phases,
        certificate=answer.certificate,
        retry_after_s=retry_after_s(answer.headers, ctx.now) if answer.status >= 300 else None,
        warnings=(*notes, *answer.warnings),
        evidence=None if reason is Reason.OK else evidence(answer.url, answer.headers, answer.body),
    )


def _broken_off(error: WireError, exchange: Exchange) -> Observation:
    """Keep what came of an answer that broke in the middle."""
    return replace(
        base.from_wire(error),
        http_version=exchange.http_version,
        bytes_received=exchange.wire_bytes,
        warnings=exchange.warnings,
        evidence=evidence(exchange.url, exchange.headers, bytes(exchange.partial)),
    )


async def _judged(options: Options, answer: Answer, ctx: Context) -> tuple[Any, ...]:
    """Return reason, detail and warnings."""
    if wall := robot_wall(answer.status, answer.headers, answer.body):
        return Reason.BLOCKED, f"{wall} turned the robot away with HTTP {answer.status}"
    if not _accepted(answer.status, options.status):
        meant = options.means.get(answer.status)
        if meant and not is_html(answer.headers, answer.body):  # a page is a front server's, not the word of this one
            return meant, f"HTTP {answer.status}"
        return _refusal(answer, has_secret=bool(options.secret_headers))
    if options.json_path and (undue := not_data(answer)):
        return undue
    broken = next(_broken_header_rules(options, answer), "") or await _broken_body_rule(options, answer, ctx)
    if broken:
        too_slow = broken.startswith(_TOO_LONG)
        return (Reason.CONFIG if too_slow else Reason.CONTENT), broken
    # Rules about the content are marks of the product already, and better ones than can be learned.
    told = options.contains or options.regex or options.json_path or options.header_contains or options.header_regex
    page = Found() if told or options.method != "GET" else await judge_answer(options, answer, options.url, ctx)
    if page.reason is not Reason.OK:
        return page.reason, page.detail
    if detail := expiring(answer.certificate, options.expiry_warning_s, ctx.now):
        return Reason.CERTIFICATE_EXPIRING, detail, *page.warnings
    if detail := next(_slow(options, answer.phases), ""):
        return Reason.SLOW, detail, *page.warnings
    return Reason.OK, "", *page.warnings


def _accepted(status: int, ranges: tuple[str, ...]) -> bool:
    return any(low <= status <= high for low, high in map(status_range, ranges))


def _refusal(answer: Answer, *, has_secret: bool) -> tuple[Reason, str]:
    """Name a status that is not accepted. 401, 403 and 429 first of all say something of us, not of the service."""
    status, detail = answer.status, f"HTTP {answer.status}"
    if status == 429:
        ours = is_own_limit(answer.headers)
        return (Reason.RATE_LIMIT if ours else Reason.THROTTLED), detail
    if status == 403 and not has_secret:
        return Reason.BLOCKED, f"{detail} without a known challenge" if is_html(answer.headers, answer.body) else detail
    named = {401: Reason.AUTH, 403: Reason.AUTH, 402: Reason.QUOTA, 451: Reason.REGION, 408: Reason.TIMEOUT_HEADERS}
    named |= {503: Reason.OVERLOADED, 529: Reason.OVERLOADED}
    if status in named:
        return named[status], detail
    if 300 <= status <= 399:
        return Reason.REDIRECT, f"{detail} to {base.host_of(answer.headers.get('location', '')) or 'another path'}"
    return (Reason.SERVER_ERROR if status >= 500 else Reason.STATUS), detail


def _broken_header_rules(options: Options, answer: Answer) -> Iterator[str]:
    for name, text in options.header_contains.items():
        if text.lower() not in answer.headers.get(name, "").lower():
            yield f'header {name} does not contain "{text}"'
    for name in options.header_absent:
        if name in answer.headers:
            yield f"header {name} is there and must not be"


_TOO_LONG = "pattern took longer"


def _found(pattern: str, text: str) -> bool | None:
    """Say whether a pattern is found in a text; ``None`` when the search ran into its limit."""
    try:
        return regex.search(pattern, text, timeout=PATTERN_LIMIT_S, concurrent=True) is not None
    except TimeoutError:
        return None


async def _broken_body_rule(options: Options, answer: Answer, ctx: Context) -> str:
    text = answer.text
    for wanted in options.contains:
        if wanted not in text:
            return f'text does not contain "{wanted}"'
    for unwanted in options.absent:
        if unwanted in text:
            return f'text contains "{unwanted}"'
    searches = [(one, answer.headers.get(name, ""), f"header {name}: ") for name, one in options.header_regex.items()]
    searches += [(one, text, "") for one in options.regex]
    for pattern, searched, where in searches:
        # A thread, because a search that runs to its limit would otherwise hold up every other look.
        found = await base.apart(ctx, partial(_found, pattern, searched))
        if found is None:
            return f"{_TOO_LONG} than {PATTERN_LIMIT_S * 1000:.0f} ms: {pattern}"
        if not found:
            return f"{where}pattern not found: {pattern}"
    return _broken_json_rule(options.json_path, answer.body) if options.json_path else ""


def _broken_json_rule(rules: dict[str, Any], body: bytes) -> str:
    try:
        document = parse_json(body)
    except ValueError:
        return "the answer is not JSON"
    for path, wanted in rules.items():
        try:
            found = dig(document, path)
        except KeyError:
            return f"JSON has no {path}"
        if wanted is not None and (found != wanted or isinstance(found, bool) is not isinstance(wanted, bool)):
            return f"JSON {path} is {_typed(found)} and must be {_typed(wanted)}"
    return ""


def _typed(value: Any) -> str:
    """Return a value with what it is: the number 5 is not the text "5"."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, str):
        return f'the text "{brief(value, 60)}"'
    return f"{'the number ' if isinstance(value, int | float) else ''}{brief(value, 60)}"


def _slow(options: Options, phases: Phases) -> Iterator[str]:
    parts = {
        "DNS": (phases.dns_s, options.slow_dns_s),
        "connect": (phases.connect_s, options.slow_connect_s),
        "TLS": (phases.tls_s, options.slow_tls_s),
        "first byte": (phases.wait_s, options.slow_wait_s),
        "transfer": (phases.transfer_s, options.slow_transfer_s),
        "whole exchange": (total_s(phases), options.slow_s),
    }
    for name, (took_s, limit_s) in parts.items():
        if took_s is not None and limit_s is not None and took_s > limit_s:
            yield f"{name} took {took_s:.3g} s, objective {limit_s:g} s"


KIND = Kind("http", Options, run, speaks_http=True)
