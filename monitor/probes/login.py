"""Can an existing user log in? By the product's own sign-in endpoint with a test account, or by the edge alone.

Without an account only the page or endpoint is asked, and every look says so (``login.edge_only``): a sign-in that
refuses everyone would go unseen. Nothing of a successful answer is kept, because it holds a session.
Sources: Open WebUI ``routers/auths.py`` (400 for wrong credentials), LibreChat ``requireLocalAuth.js`` (404 and 422).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Self
from urllib.parse import urlencode, urlsplit, urlunsplit

from pydantic import AfterValidator, Field, SecretStr, field_validator, model_validator

from monitor.core.catalogue import Proof
from monitor.core.components.health import LEARNING
from monitor.core.model.observations import Observation
from monitor.core.model.reasons import Reason
from monitor.core.model.warning_codes import WarningCode
from monitor.probes import base
from monitor.probes.answers import dig, evidence, is_html, is_own_limit, parse_json, retry_after_s, robot_wall, steps
from monitor.probes.base import Context, Kind
from monitor.probes.login_form import Form, cookies_of, followed, form_success, next_hop, refusal_said
from monitor.probes.marks import PageOptions, judge_answer, not_data
from monitor.wire import Answer

PAGE_REDIRECTS = 3


@dataclass(frozen=True, slots=True)
class Product:
    """How a product's sign-in is asked and understood."""

    path: str
    """Where the credentials go, below the product's address."""
    edge: str
    """What is asked when there is no account."""
    expect: str
    """Dotted path that a successful answer has."""
    refused: frozenset[int]
    """Statuses that mean "wrong e-mail or password"."""


PRODUCTS = {
    "open_webui": Product("/api/v1/auths/signin", "/api/config", "token", frozenset({400, 401})),
    "librechat": Product("/api/auth/login", "/api/config", "token", frozenset({401, 404, 422})),
    "json": Product("", "", "", frozenset({400, 401, 422})),
    "form": Product("", "", "", frozenset({401, 422})),
    "edge": Product("", "", "", frozenset()),
}


class Options(PageOptions):
    """Options of the kind ``login``."""

    product: Annotated[str, AfterValidator(base.one_of(PRODUCTS))] = "edge"
    """``json`` and ``form`` post to ``url`` itself; ``edge`` only opens it."""
    url: str
    email: SecretStr | None = None
    password: SecretStr | None = None
    email_field: str = Field("email", min_length=1, max_length=100)
    password_field: str = Field("password", min_length=1, max_length=100)
    expect: str = ""
    """``json``: dotted path that a successful answer has; ``form``: text that it, the address it leads to or the page
    there contains, or none for a redirect with a session to a page that is not the log-in page."""

    @field_validator("url")
    @classmethod
    def _url(cls, value: str) -> str:
        return base.checked_url(value)

    @model_validator(mode="after")
    def _whole_account(self) -> Self:
        if (self.email is None) != (self.password is None):
            raise ValueError("a test account needs both email and password")
        if self.product == "edge" and self.email is not None:
            raise ValueError("the product edge takes no account; name the product, or json or form")
        if self.product == "json" and self.email is not None and not self.expect:
            raise ValueError("the product json needs expect, a path that a successful answer has")
        if self.product == "json":
            steps(self.expect)
        return self


async def run(options: Options, ctx: Context) -> Observation:
    """Sign in once with the test account, or open the edge where there is none."""
    if options.email is None or options.password is None:
        return await _edge(options, ctx)
    answer = await _sign_in(options, options.email, options.password, ctx)
    if (judged := await base.apart(ctx, partial(_refused, options, answer))) is None and options.product == "form":
        landing = await _landing(options, answer, ctx)
        form = Form(options.url, options.expect, options.sites)
        judged = await base.apart(ctx, partial(form_success, form, answer, landing))
    reason, detail, *warnings = judged or _json_success(options, PRODUCTS[options.product], answer)
    return _observation(reason, detail, answer, ctx, *warnings)


async def _sign_in(options: Options, email: SecretStr, password: SecretStr, ctx: Context) -> Answer:
    given = {options.email_field: email.get_secret_value(), options.password_field: password.get_secret_value()}
    is_form = options.product == "form"
    kind = "application/x-www-form-urlencoded" if is_form else "application/json"
    return await ctx.wire.fetch(
        "POST",
        _below(options.url, PRODUCTS[options.product].path),
        headers={"content-type": kind, "accept": "text/html" if is_form else "application/json"},
        content=urlencode(given).encode() if is_form else json.dumps(given).encode(),
        limits=ctx.limits(),
        redirects=0,  # credentials go to the configured address and nowhere else
    )


async def _edge(options: Options, ctx: Context) -> Observation:
    answer = await ctx.wire.fetch(
        "GET",
        _below(options.url, PRODUCTS[options.product].edge),
        headers={"accept": "text/html, application/json;q=0.9"},
        limits=ctx.limits(),
        redirects=PAGE_REDIRECTS,
    )
    failure = _failure(answer)
    if failure is None and PRODUCTS[options.product].edge:
        failure = not_data(answer)
    if failure is not None:
        return _observation(*failure, answer, ctx, WarningCode.LOGIN_EDGE_ONLY)
    page = await judge_answer(options, answer, options.url, ctx)
    learning = f"{LEARNING}: " if WarningCode.PAGE_LEARNING in page.warnings else ""
    detail = page.detail or f"{learning}HTTP {answer.status}; the page only, nobody signed in"
    return _observation(page.reason, detail, answer, ctx, WarningCode.LOGIN_EDGE_ONLY, *page.warnings)


def _below(url: str, path: str) -> str:
    parts = urlsplit(url)
    return (
        url if not path or parts.path.endswith(path) else urlunsplit(parts._replace(path=parts.path.rstrip("/") + path))
    )


async def _landing(options: Options, answer: Answer, ctx: Context) -> Answer | None:
    """Open the page that a redirect leads a signed-in user to, with the session; ``None`` for none of theirs.

    Only the host that was asked gets the cookies, as a browser would do without a domain in them. What is not followed
    any more (the log-in page, another site) is judged by its address.
    """
    form, cookies, landing = Form(options.url, options.expect, options.sites), cookies_of(answer), None
    target = followed(form, answer)
    for _ in range(1 + PAGE_REDIRECTS):
        if target is None:
            break
        landing = await ctx.wire.fetch(
            "GET",
            target,
            headers={"accept": "text/html"},
            secret_headers={"cookie": cookies} if cookies else {},
            limits=ctx.limits(),
            redirects=0,
        )
        cookies = "; ".join(filter(None, (cookies, cookies_of(landing))))
        target = next_hop(form, landing)
    return landing


def _refused(options: Options, answer: Answer) -> tuple[Any, ...] | None:
    """Return reason and detail of a refusal or a failure, ``None`` for an answer that may be neither."""
    product = PRODUCTS[options.product]
    wall = robot_wall(answer.status, answer.headers, answer.body)
    if answer.status in product.refused and not wall:
        if not _explains_itself(options, answer):
            return Reason.CONFIG, f"HTTP {answer.status} without a word of the product: is the address right?"
        return Reason.AUTH, f"HTTP {answer.status}: the test account was refused"
    if answer.status == 403 and not is_html(answer.headers, answer.body):
        return Reason.AUTH, "HTTP 403: the test account may not sign in here"
    if 400 <= answer.status < 500 and not wall and (said := refusal_said(answer)):
        return Reason.AUTH, f'HTTP {answer.status} "{said}": the test account was refused'
    return _failure(answer)


def _explains_itself(options: Options, answer: Answer) -> bool:
    """Tell a product's "no such user" (a 404 in JSON) from a proxy's "no such page"."""
    return options.product == "form" or (answer.status == 401) or not is_html(answer.headers, answer.body)


def _failure(answer: Answer) -> tuple[Reason, str] | None:
    """Return the reason of an answer that is no sign-in page and no sign-in, or ``None``."""
    status = answer.status
    if wall := robot_wall(status, answer.headers, answer.body):
        return Reason.BLOCKED, f"{wall} turned the robot away with HTTP {status}"
    if status == 429:
        ours = is_own_limit(answer.headers)
        return (Reason.RATE_LIMIT if ours else Reason.THROTTLED), "HTTP 429"
    if status >= 500:
        return (Reason.OVERLOADED if status in (503, 529) else Reason.SERVER_ERROR), f"HTTP {status}"
    if status in (401, 403, 405, 202):
        return Reason.BLOCKED, f"HTTP {status} without a known challenge"
    if status >= 400:
        return Reason.CONFIG, f"HTTP {status}: is the address right?"
    return None


def _json_success(options: Options, product: Product, answer: Answer) -> tuple[Any, ...]:
    if answer.status >= 300:
        return (
            Reason.REDIRECT,
            f"HTTP {answer.status} to {base.host_of(answer.headers.get('location', '')) or 'a path'}",
        )
    if undue := not_data(answer):
        return undue
    try:
        document = parse_json(answer.body)
    except ValueError:
        return Reason.MALFORMED, "no JSON where the sign-in's answer is due"
    try:
        value = dig(document, options.expect or product.expect)
    except KeyError:
        value = None
    if value not in (None, "", False):
        return Reason.OK, "signed in"
    if isinstance(document, dict) and document.get("twoFAPending"):
        return Reason.OK, "password accepted, a second factor is asked for", WarningCode.LOGIN_SECOND_FACTOR
    if said := refusal_said(answer):
        return Reason.AUTH, f'HTTP {answer.status} "{said}": the test account was refused'
    return Reason.CONTENT, f"the answer has no {options.expect or product.expect}"


def _observation(reason: Reason, detail: str, answer: Answer, ctx: Context, *warnings: WarningCode) -> Observation:
    is_refusal = reason is not Reason.OK and answer.status >= 400
    return Observation(
        reason,
        detail,
        http_status=answer.status,
        http_version=answer.http_version,
        address=answer.address,
        bytes_received=answer.wire_bytes,
        phases=answer.phases,
        certificate=answer.certificate,
        retry_after_s=retry_after_s(answer.headers, ctx.now),
        warnings=(*warnings, *answer.warnings),
        evidence=evidence(answer.url, answer.headers, answer.body) if is_refusal else None,
    )


def proves(options: Options) -> Proof:
    """Say what a good look has seen: without an account nobody signs in."""
    return Proof.EDGE if options.email is None else Proof.WORK


KIND = Kind("login", Options, run, speaks_http=True, proves=proves)
