"""Did a form let us in? Success has to be shown; a refusal of our account is ours, and trouble the service's.

Shown is it by the declared text, or by a cookie that is called like a session and a page behind the redirect that is
neither the log-in page again nor one of trouble, refusal or a check for robots. What shows neither success nor
refusal nor trouble is *unknown*: who may not judge an answer accuses nobody.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple
from urllib.parse import urljoin, urlsplit

from monitor.core.model.reasons import Reason
from monitor.probes import base
from monitor.probes.answers import is_html, robot_wall
from monitor.probes.page import Page, is_other_site, read_page
from monitor.text.refusals import is_account_path, is_robot_path, refusal_in, refusal_in_address
from monitor.text.trouble import foreign_in, trouble_in, trouble_in_path
from monitor.wire import Answer

_LOG_IN_PATH = re.compile(r"(?:^|[/_-])(?:log-?in|log_in|sign-?in|sign_in|signin|denied)(?:$|[/_.-])")
_ENDED = re.compile(r"(?i);\s{0,9}(?:max-age\s{0,9}=\s{0,9}[0-]|expires\s{0,9}=[^;]{0,9}\b01[ -]jan[ -]1970)")
_SESSION = re.compile(
    r"sess|sid(?![a-z])|auth|token|jwt|ticket|identity|logged|log-?in|remember|account|user|credential|sso|passport"
)
_NO_SESSION = re.compile(
    r"csrf|xsrf|forgery|flash|message|error|lang|locale|theme|guest|anon|visit|waf|state|nonce|consent|track|analytic"
)
_SHOW = "set expect to what a signed-in user sees"


class Form(NamedTuple):
    """What was asked, as far as the answer is judged by it."""

    url: str
    expect: str
    sites: tuple[str, ...]


def refusal_said(answer: Answer) -> str:
    """Return the words with which an answer refuses our account, or ``""``."""
    if is_html(answer.headers, answer.body):
        return refusal_in(read_page(answer.text, answer.url).words)
    return refusal_in(answer.text[:4000])


def followed(form: Form, answer: Answer) -> str | None:
    """Return the address that a redirect leads in to; ``None`` where the redirect alone decides."""
    if not 300 <= answer.status < 400 or _expected_there(form, answer) or _turned_back(form, answer):
        return None
    target = urljoin(form.url, answer.headers.get("location", ""))
    return target if _is_same_origin(target, form.url) and (form.expect or has_session(answer)) else None


def next_hop(form: Form, landing: Answer) -> str | None:
    """Return where a page behind a log-in redirects to, while that may still be a way in; else ``None``."""
    location = landing.headers.get("location", "")
    if not 300 <= landing.status < 400 or not location or _at(form, location, "", landing.url):
        return None
    target = urljoin(landing.url, location)
    return target if _is_same_origin(target, form.url) else None


def _is_same_origin(one: str, other: str) -> bool:
    """Say whether two addresses have one scheme, host and port: cookies go nowhere else."""
    first, second = urlsplit(one), urlsplit(other)
    return (first.scheme, first.netloc.casefold()) == (second.scheme, second.netloc.casefold())


def form_success(form: Form, answer: Answer, landing: Answer | None) -> tuple[Any, ...]:
    """Return reason and detail of an answer to a form; ``landing`` is what stood behind its redirect, if opened."""
    if 300 <= answer.status < 400:
        return _redirected(form, answer, landing)
    if not answer.body.strip():
        return Reason.EMPTY, f"HTTP {answer.status} without a word where the answer to a log-in is due"
    page = read_page(answer.text, answer.url)
    said = refusal_in(page.words if is_html(answer.headers, answer.body) else answer.text[:4000])
    if form.expect and form.expect in answer.text and not (said and page.asks_password):
        return Reason.OK, "signed in"
    where = f"HTTP {answer.status}"
    if bad := _no_way_in(page, said, where):
        return bad
    if form.expect:
        return Reason.CONTENT, "the answer lacks the expected text"
    return Reason.CONFIG, f"{where} shows neither a session nor a refusal; {_SHOW}"


def _redirected(form: Form, answer: Answer, landing: Answer | None) -> tuple[Any, ...]:
    where = f"HTTP {answer.status}"
    if _expected_there(form, answer):
        return Reason.OK, "signed in"
    if refused := _turned_back(form, answer):
        return refused
    if landing is not None:
        if bad := _bad_landing(form, landing):
            return bad
        if form.expect and form.expect in landing.text:
            return Reason.OK, "signed in"
    if form.expect:
        return Reason.CONTENT, f"{where} without the expected text; {_SHOW}"
    if has_session(answer):
        return Reason.OK, "signed in: a redirect with a session"
    return Reason.CONFIG, f"{where} without a session; {_SHOW}"


def _no_way_in(page: Page, said: str, where: str) -> tuple[Reason, str] | None:
    """Return why a page is not what a signed-in user sees, or ``None``."""
    if page.challenge:
        return Reason.BLOCKED, f"{page.challenge} turned the robot away with a page of its own"
    if said and (page.is_notice or page.asks_password):
        return Reason.AUTH, f'{where} "{said}": the test account was refused'
    if (trouble := trouble_in(page.words)) and (page.is_notice or page.asks_password):
        return trouble.reason, f'the page says "{trouble.words}"'
    if page.asks_password:
        return Reason.AUTH, f"{where} with the log-in form again: the test account was refused"
    if page.is_notice and (foreign := foreign_in(page.words)):
        return Reason.CHANGED, f'the page says "{foreign}"'
    return None


def _bad_landing(form: Form, landing: Answer) -> tuple[Reason, str] | None:
    """Return why the page behind the redirect is no way in, or ``None``."""
    where = f"a redirect to HTTP {landing.status}"
    if wall := robot_wall(landing.status, landing.headers, landing.body):
        return Reason.BLOCKED, f"{wall} turned the robot away behind the log-in"
    if landing.status >= 500:
        return (Reason.OVERLOADED if landing.status in (503, 529) else Reason.SERVER_ERROR), where
    location = landing.headers.get("location", "") if 300 <= landing.status < 400 else ""
    if location and (said := _at(form, location, where, landing.url)):
        return said
    if landing.status in (401, 403):
        return Reason.AUTH, f"{where}: the test account was refused"
    if landing.status >= 300:
        return Reason.CONFIG, f"{where}, which shows no signed-in user; {_SHOW}"
    if not landing.body.strip():
        return Reason.EMPTY, f"{where} without a word where the page of a signed-in user is due"
    page = read_page(landing.text, landing.url)
    words = refusal_in(page.words if is_html(landing.headers, landing.body) else landing.text[:4000])
    return _no_way_in(page, words, where)


def _expected_there(form: Form, answer: Answer) -> bool:
    """Say whether the address that the answer leads to shows the declared text; a query quotes what it likes."""
    location = answer.headers.get("location", "")
    shown = location if "?" in form.expect else location.partition("?")[0]
    return bool(form.expect) and form.expect in shown and not refusal_in_address(location)


def _turned_back(form: Form, answer: Answer) -> tuple[Reason, str] | None:
    """Return why a redirect, with what its cookies say, is no way in, or ``None``."""
    where = f"HTTP {answer.status}"
    for line in answer.headers.get_list("set-cookie"):
        if said := refusal_in_address(line.partition(";")[0].partition("=")[2]):
            return Reason.AUTH, f'{where} with "{said}" in a cookie: the test account was refused'
    return _at(form, answer.headers.get("location", ""), where)


def _at(form: Form, address: str, where: str, seen_from: str = "") -> tuple[Reason, str] | None:
    """Return why an address is none where somebody who signed in is led to, or ``None``."""
    try:
        target = urljoin(seen_from or form.url, address)
        path = urlsplit(target).path
    except ValueError:
        return Reason.CHANGED, f"{where} to an address that cannot be read"
    tail = "/" + target.partition("://")[2].partition("/")[2]
    said = trouble_in_path(tail)
    if said == "trouble":
        return Reason.CONTENT, f"{where} to a page of trouble"
    if is_other_site(target, form.url, form.sites):
        return Reason.CHANGED, f"{where} to another site, {base.host_of(target) or 'an unreadable address'}"
    if words := refusal_in_address(tail):
        return Reason.AUTH, f'{where} with "{words}" in the address: the test account was refused'
    if is_robot_path(path):
        return Reason.BLOCKED, f"{where} to a check for robots"
    if is_account_path(path):
        return Reason.AUTH, f"{where} to a page for accounts that may not in: the test account was refused"
    same_page = path.rstrip("/") == urlsplit(form.url).path.rstrip("/")
    if said or same_page or _LOG_IN_PATH.search(path.casefold()):
        back = "an error page" if said else "the log-in page"
        return Reason.AUTH, f"{where} back to {back}: the test account was refused"
    return None


def _cookies(answer: Answer) -> list[str]:
    """Return the cookies (``name=value``) that the answer sets and does not end at once."""
    lines = answer.headers.get_list("set-cookie")
    pairs = [line.partition(";")[0].strip() for line in lines if line and not _ENDED.search(line)]
    return [pair for pair in pairs if pair.partition("=")[2].strip('" ')]


def has_session(answer: Answer) -> bool:
    """Tell whether a cookie that is set is called like a session; frameworks set others for everybody."""
    names = [pair.partition("=")[0].casefold() for pair in _cookies(answer)]
    return any(_SESSION.search(name) and not _NO_SESSION.search(name) for name in names)


def cookies_of(answer: Answer) -> str:
    """Return what a browser would send back."""
    return "; ".join(_cookies(answer))[:8000]
