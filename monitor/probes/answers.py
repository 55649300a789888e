"""Reading of answers and connections that several kinds need: evidence, robot walls, rate limits.

Sources: RFC 9110 10.2.3 (Retry-After); Cloudflare "Detect a challenge page response" (``cf-mitigated``); AWS WAF
developer guide (``x-amzn-waf-action``); rate-limit headers as the API documents of OpenAI, Anthropic and OpenRouter
give them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple

from monitor.core.model.observations import Certificate, Evidence, Observation, Phases
from monitor.core.model.reasons import Reason
from monitor.probes.base import LONGEST_WAIT_S, shown_url
from monitor.text import units
from monitor.wire import Connection, text_of

EXPIRY_WARNING_S = 14 * 86400.0
RATE_LIMIT_HEADERS = 40
"""Looked at in one answer."""

_KEPT = re.compile(
    r"(?i)content-type|content-length|server|date|via|location|retry-after(?:-ms)?|cf-ray|cf-mitigated|x-cache"
    r"|x-amzn-waf-action|(?:x-)?request-id|x-generation-id|openai-processing-ms|(?:x-|anthropic-)?ratelimit-.+"
)
_EXCERPT_BYTES = 8192  # the base cuts to 2 KB after redaction, so that no secret is cut in two before it is found


def evidence(url: str, headers: Mapping[str, str], body: bytes | str = b"") -> Evidence:
    """Keep what people need to see of an answer. Cookies and unknown headers are dropped."""
    head = body[:_EXCERPT_BYTES]
    text = head if isinstance(head, str) else text_of(headers, head)
    kept = {name.lower(): value for name, value in headers.items() if _KEPT.fullmatch(name)}
    if "location" in kept:
        kept["location"] = shown_url(kept["location"])
    return Evidence(shown_url(url), text, kept)


def is_html(headers: Mapping[str, str], body: bytes = b"") -> bool:
    """Tell whether an answer is a web page, by its type or, without one, by its first characters."""
    kind = headers.get("content-type", "").lower()
    if kind:
        return "text/html" in kind or "application/xhtml" in kind
    return body.lstrip()[:15].lower().startswith((b"<!doctype html", b"<html"))


_WALLS = (
    ("Cloudflare", re.compile(rb"cdn-cgi/challenge-platform|_cf_chl_opt|cf-chl-|<title>Just a moment")),
    ("Cloudflare", re.compile(rb"Attention Required! \| Cloudflare|cf-error-details.{0,400}blocked", re.S)),
    (
        "Cloudflare",
        re.compile(rb"You are being rate limited|<span>Error</span>\s*<span>10(?:06|07|09|10|12|15|20)</span>"),
    ),
    ("Vercel", re.compile(rb"Vercel Security Checkpoint")),
    ("Google", re.compile(rb"detected unusual traffic from your computer network|/sorry/index\?")),
    ("AWS WAF", re.compile(rb"awswaf\.com|AwsWafIntegration|aws-waf-token")),
    ("Alibaba Cloud WAF", re.compile(rb"aliyun_waf|acw_sc__v2|errors\.aliyun\.com")),
    (
        "Akamai",
        re.compile(rb"(?i:errors\.edgesuite\.net|<h1>Access Denied</h1>.{0,400}Reference(?:&#32;| )(?:&#35;|#))", re.S),
    ),
    ("Akamai", re.compile(rb"sec-if-cpt-container|sec-cp-challenge|akam-sw\.js")),
    ("DataDome", re.compile(rb"captcha-delivery\.com")),
    ("PerimeterX", re.compile(rb"px-captcha|_pxAppId|\"blockScript\"|perimeterx\.net")),
    ("Imperva", re.compile(rb"_Incapsula_Resource|Incapsula incident ID|Pardon Our Interruption")),
    ("Kasada", re.compile(rb"KPSDK")),
    ("Sucuri", re.compile(rb"Sucuri WebSite Firewall")),
    ("F5", re.compile(rb"The requested URL was rejected\. Please consult with your administrator")),
    (
        "Anubis",
        re.compile(rb"Making sure you(?:'|&#39;|&#x27;|\xe2\x80\x99)re not a bot|/\.within\.website/x/cmd/anubis"),
    ),
    ("DDoS-Guard", re.compile(rb"ddos-guard\.net|DDOS-GUARD")),
    ("a captcha", re.compile(rb"g-recaptcha|hcaptcha\.com/1/api\.js|challenges\.cloudflare\.com/turnstile")),
)
_CLOUDFLARE_CODE = re.compile(rb"error code: 1\d{3}\b")
"""What Cloudflare tells programs where people get a page: 1015 too many requests, 1020 refused by a rule."""
_WALL_STATUS = frozenset({202, 401, 403, 405, 406, 428, 429, 503})
_WALL_HEADERS = (
    ("Cloudflare", "cf-mitigated", {"challenge", "block"}),
    ("Vercel", "x-vercel-mitigated", {"challenge", "deny"}),
    ("AWS WAF", "x-amzn-waf-action", {"challenge", "captcha"}),
)
"""What a wall says of itself: a header and its values."""
_TOLD_TO_PROGRAMS = frozenset({"DataDome", "PerimeterX", "Akamai"})
"""These tell programs in JSON, too, where to solve their riddle."""


def robot_wall(status: int, headers: Mapping[str, str], body: bytes) -> str:
    """Return who turned the robot away, or ``""``; pages that are served with a captcha of their own are fine."""
    if status not in _WALL_STATUS:
        return ""
    for name, header, values in _WALL_HEADERS:
        if headers.get(header, "").lower() in values:
            return name
    if _CLOUDFLARE_CODE.match(body):
        return "Cloudflare"
    if status in (403, 429) and "x-kpsdk-ct" in headers:  # its riddle may come without a page
        return "Kasada"
    found = next((name for name, mark in _WALLS if mark.search(body[:65536])), "")
    return found if is_html(headers, body) or found in _TOLD_TO_PROGRAMS else ""


def retry_after_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return how long the vendor asks us to wait: 0 for a date in the past, at most ``LONGEST_WAIT_S``."""
    if (value := headers.get("retry-after-ms", "").strip()).isdecimal():
        return min(float(value) / 1000, LONGEST_WAIT_S)
    return units.retry_after_s(headers.get("retry-after", ""), now, LONGEST_WAIT_S)


_REMAINING = re.compile(r"(?:[a-z]+-)?ratelimit\w*-(?:remaining(?:-[\w-]+)?|[\w-]+-remaining)")
_LEFT = re.compile(r"(?:^|[;,\s])(?:remaining|r)=(\d{1,15})")
_MOST = re.compile(r"(?:^|[;,\s])(?:limit|q)=(\d{1,15})")
"""In one header, as drafts of the IETF have it: ``limit=100, remaining=3``, and later ``"default";r=3`` beside
``RateLimit-Policy: "default";q=100``."""
_NUMBER = re.compile(r"\s*(\d{1,15})(?:\.\d+)?\s*(?:[,;/].*)?")


_OF_MANY = frozenset({"ratelimit", "x-ratelimit", "ratelimit-policy", "x-ratelimit-policy"})
"""Headers that may hold several limits."""


def rate_limits(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the rate-limit headers as they came, lower-cased; scales differ by vendor, so nothing is computed."""
    named = ((n.lower().replace("rate-limit", "ratelimit"), v) for n, v in headers.items() if len(n) <= 64)
    found = ((name, value[: 256 if name in _OF_MANY else 64]) for name, value in named if "ratelimit" in name)
    return dict(islice(found, RATE_LIMIT_HEADERS))


def _counters(headers: Mapping[str, str]) -> Iterator[tuple[int, int | None, str]]:
    """Yield of each counter what is left, the most (``None`` where it is not told) and of what.

    A limit of 0 or -1 is none: Azure sends both.
    """
    limits = rate_limits(headers)
    for name, value in limits.items():
        if _REMAINING.fullmatch(name) and (left := _NUMBER.fullmatch(value)):
            told = limits.get(name.replace("remaining", "limit"), "")
            most = _NUMBER.fullmatch(told)
            of = re.sub(r".*ratelimit|remaining|limit", "", name).replace("-", " ").strip()
            if (most is None and told.strip() != "-1") or (most is not None and int(most[1]) > 0):
                yield int(left[1]), int(most[1]) if most else None, of or "of the limit"
        elif name in _OF_MANY and not name.endswith("policy"):
            tops = _MOST.findall(value) or _MOST.findall(limits.get(f"{name}-policy", ""))
            rests = _LEFT.findall(value)
            for at, rest in enumerate(rests):
                yield int(rest), int(tops[at]) if len(tops) == len(rests) else None, "of the limit"


def limit_reached(headers: Mapping[str, str]) -> bool:
    """Tell whether a remaining-header says 0 under a real limit."""
    return any(left == 0 for left, _, _ in _counters(headers))


def is_own_limit(headers: Mapping[str, str]) -> bool:
    """Tell whether a 429 is about our own limit: it is used up, or we shall wait and nothing shows room in it."""
    if limit_reached(headers):
        return True
    return "retry-after" in headers and not has_room(headers)


_MANY = 1000
"""Tokens of which no question of ours needs as many."""


def has_room(headers: Mapping[str, str]) -> bool:
    """Tell whether the vendor says that our limits are not used up: every counter has room.

    Of requests one that is left is room, of anything else (tokens) more than a tenth: a question costs many.
    """
    rooms = [
        left > 0 if of.startswith(_PER_LOOK) else left > (_MANY if most is None else most / 10)
        for left, most, of in _counters(headers)
    ]
    return bool(rooms) and all(rooms)


_PER_LOOK = ("req", "quer", "call", "of the limit")
"""What a look costs one of."""


class Allowance(NamedTuple):
    """What is left of one of our limits."""

    left: int
    most: int
    of: str
    """What is counted: ``requests``, ``input tokens``."""

    def __str__(self) -> str:
        """Say it."""
        return f"{self.left} of {self.most} {self.of} left"

    @property
    def is_low(self) -> bool:
        """A tenth or less remains."""
        return self.left * 10 <= self.most


def tightest(headers: Mapping[str, str]) -> Allowance | None:
    """Return the limit of which the smallest share remains; ``None`` where the vendor tells no limit with its rest."""
    found = [Allowance(left, most, of) for left, most, of in _counters(headers) if most]
    return min(found, key=lambda one: one.left / one.most, default=None)


_MOST_PARSED_BYTES = 32 * 2**20
_PART_BYTES, _VALUE_BYTES = 160, 60
"""About what Python needs for an object or array, and for a value in it."""


def parse_json(body: bytes | str) -> Any:
    """Parse JSON; whatever is wrong with it (encoding, depth and size when parsed included) is a ``ValueError``."""
    if isinstance(body, str):
        parts, values = body.count("{") + body.count("["), body.count(",")
    else:
        parts, values = body.count(b"{") + body.count(b"["), body.count(b",")
    if len(body) + parts * _PART_BYTES + values * _VALUE_BYTES > _MOST_PARSED_BYTES:
        raise ValueError("two megabytes of empty objects would become seventy")
    try:
        return json.loads(body)
    except ValueError as error:
        if "integer string conversion" not in str(error):
            raise
        return json.loads(body, parse_int=float)  # thousands of digits: to a browser, too, it is infinite
    except RecursionError:
        raise ValueError("nested too deeply") from None


_STEP = re.compile(r"""\[(\d{1,9})\]|\["([^"]+)"\]|\['([^']+)'\]|\.?([^.\[\]]+)""")


@lru_cache(maxsize=1024)
def steps(path: str) -> tuple[str, ...]:
    """Return the steps of a path like ``data.items[0].id`` or ``$.data["a.b"].0``; ``ValueError`` for no such path."""
    found, at = [], 1 if path == "$" or path.startswith(("$.", "$[")) else 0
    while at < len(path):
        step = _STEP.match(path, at)
        if step is None or (at == 0 and path[0] == "."):
            raise ValueError(f'"{path[:60]}" is no path into JSON; write data.items[0].id or data["a.b"]')
        found.append(step[step.lastindex or 0])
        at = step.end()
    return tuple(found)


def dig(value: Any, path: str) -> Any:
    """Follow a path (:func:`steps`) into parsed JSON; ``KeyError`` names the part that is missing."""
    try:
        parts = steps(path)
    except ValueError:
        raise KeyError(path) from None
    for part in parts:
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            raise KeyError(part)
    return value


def expiring(certificate: Certificate | None, warning_s: float, now: datetime) -> str:
    """Return what to say of a certificate (or one of its chain) that ends soon, else ``""``."""
    if certificate is None:
        return ""
    ends = min(certificate.not_after, certificate.chain_not_after or certificate.not_after)
    left = ends - now
    return f"certificate ends in {left.days} days" if left < timedelta(seconds=warning_s) else ""


def total_s(phases: Phases) -> float:
    """Return the vendor's and the network's share of the exchange: every phase, without our own overhead."""
    parts = (phases.dns_s, phases.connect_s, phases.tls_s, phases.request_s, phases.wait_s, phases.transfer_s)
    return sum(part or 0.0 for part in parts)


def connected(connection: Connection, detail: str, slow_s: float | None) -> Observation:
    """Return what a connection that worked shows: good, or slow."""
    took_s = total_s(connection.phases)
    if slow_s is not None and took_s > slow_s:
        return observed(connection, Reason.SLOW, f"{detail}; took {took_s:.3g} s, objective {slow_s:g} s")
    return observed(connection, Reason.OK, detail)


def observed(connection: Connection, reason: Reason, detail: str) -> Observation:
    """Return an observation with all that is known of a connection."""
    return Observation(
        reason,
        detail,
        address=connection.address,
        phases=connection.phases,
        certificate=connection.certificate,
        warnings=connection.warnings,
    )
