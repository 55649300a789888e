"""What a sign-up page says: its announcements in words, and the ways to sign up that its markup offers."""

from __future__ import annotations

import re
from dataclasses import replace

from monitor.core.model.registration import Method, MethodReading, Registration, Source
from monitor.core.model.warning_codes import WarningCode
from monitor.probes.registration.detector import Detector, Heard, Reading
from monitor.probes.registration.matters import is_other_matter
from monitor.probes.registration.phrases import says_existing_users_can_log_in, settled, statements
from monitor.probes.registration.sign_up_page import OFFERS
from monitor.text.cleaner import Tag, attributes, clean, scan, visible_text

_PROVIDERS = {
    Method.GOOGLE: r"google|谷歌",
    Method.APPLE: r"\bapple\b|苹果",
    Method.MICROSOFT: r"microsoft|微软",
    Method.GITHUB: r"github",
    Method.WECHAT: r"wechat|微信",
    Method.SSO: r"\bsso\b|single sign-on",
    Method.PHONE: r"\b(?:phone|mobile)\b|手机",
    Method.EMAIL: r"\be-?mail\b|邮箱",
}
_INVITATION = re.compile(r"(?i)\b(?:continue|sign ?up|register|create (?:an |your )?account)\b.{0,20}\bwith\b|注册")
_SIGN_UP = re.compile(
    r"(?i)^\W*(?:sign ?up|register|create (?:an |your |my )?account|get started|注册|立即注册|创建账号|创建帐户)"
)
_SUBSCRIBE = re.compile(r"(?i)\bsubscribe\b|\bnotify me\b|\bget updates\b|\bkeep me posted\b|订阅")
_LOG_IN = re.compile(r"(?i)\blog ?in\b|\bsign ?in\b|登录|登陆")
_DISABLED = re.compile(r"(?i)(?:^|\s)disabled(?=[\s=/]|$)")
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
_BUTTON_CHARS = 80


def read(heard: Heard) -> Reading:
    """Return readings and warnings of a sign-up page; a page that neither says nor offers anything gives none.

    An announcement outweighs the form below it: a page may show fields that will refuse. With a "may be busy" the
    offered ways are delayed; with a restriction only the announcement counts.
    """
    page: str = heard.document
    text = visible_text(page)
    announced, contradictory = settled(statements(text, Source.PAGE_TEXT))
    warnings = [WarningCode.REGISTRATION_CONTRADICTORY] if contradictory else []
    if says_existing_users_can_log_in(text):
        warnings.append(WarningCode.REGISTRATION_EXISTING_USERS_CAN_LOG_IN)
    general = next((reading for reading in announced if reading.method is Method.ANY), None)
    if general and general.state not in (Registration.OPEN, Registration.DELAYED):
        return Reading(announced, tuple(warnings))
    offered = _offered(page)
    if not announced and not offered:
        warnings.append(WarningCode.REGISTRATION_NOTHING_TO_READ)
    spoken_of = {reading.method for reading in announced}
    base = general or MethodReading(Method.ANY, Registration.OPEN, Source.PAGE_TEXT)
    found = [replace(base, method=m, excerpt=base.excerpt or f"{OFFERS}{words}") for m, words in offered.items()]
    whole = [replace(found[0], method=Method.ANY)] if found and general is None else []
    further = (reading for reading in found if reading.method not in spoken_of)
    return Reading((*announced, *whole, *further), tuple(warnings))


def _offered(page: str) -> dict[Method, str]:
    """Return the ways to sign up that buttons and fields offer, with the words that say so.

    A field for an e-mail address alone may as well be a log-in or a newsletter: fields count only on a page with a
    button or heading that says "sign up", and not where one subscribes, or signs up for an event, without a password.
    """
    fields: dict[Method, str] = {}
    buttons: list[str] = []
    invites = another = has_password = False
    label: list[str] | None = None
    for item in scan(page):
        if isinstance(item, str):
            if label is not None:
                label.append(item)
            words = item.strip()[:_BUTTON_CHARS]
            if is_other_matter(words) or _SUBSCRIBE.search(words):
                another = True
            elif _SIGN_UP.search(words):
                invites = True
        elif item.name in ("button", "a"):
            if item.closing and label is not None:
                buttons.append(clean(" ".join(label), _BUTTON_CHARS))
            label = None if item.closing else []
        elif item.name == "input":
            has_password = has_password or attributes(item).get("type", "").lower() == "password"
            _field(item, fields, buttons)
    another = another or any(_SUBSCRIBE.search(words) for words in buttons)
    invites = invites or any(_SIGN_UP.search(words) and not is_other_matter(words) for words in buttons)
    found = dict(fields) if invites and (has_password or not another) else {}
    for words in buttons:
        if _INVITATION.search(words) and not _LOG_IN.search(words):
            found |= {method: words for method, name in _PROVIDERS.items() if re.search(name, words, re.IGNORECASE)}
    return found


def _field(tag: Tag, fields: dict[Method, str], buttons: list[str]) -> None:
    given = attributes(tag)
    kind = given.get("type", "text").lower()
    if kind in ("submit", "button"):
        buttons.append(clean(given.get("value", ""), _BUTTON_CHARS))
    if kind == "hidden" or _DISABLED.search(_QUOTED.sub("", tag.attributes)):
        return
    words = " ".join((kind, given.get("name", ""), given.get("autocomplete", ""), given.get("placeholder", ""))).lower()
    if kind == "email" or re.search(r"\be-?mail\b|邮箱", words):
        fields.setdefault(Method.EMAIL, "a field for an e-mail address")
    if kind == "tel" or re.search(r"\b(?:phone|mobile|tel)\b|手机", words):
        fields.setdefault(Method.PHONE, "a field for a telephone number")


KIND = Detector("page_text", read, redirects=3, is_page=True)
