"""What a notice says about sign-up: by which way, for whom, and in which tense."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from monitor.channels.base import plain
from monitor.core.events import Alert
from monitor.core.model import Method, Registration

_WAYS = {Method.EMAIL: "e-mail", Method.PHONE: "phone", Method.SSO: "single sign-on", Method.WECHAT: "WeChat"}
_WAYS |= {Method.GITHUB: "GitHub"}
_WORST_FIRST = (Registration.RESTRICTED, Registration.CLOSED, Registration.DELAYED)
_STATES = {
    Registration.RESTRICTED: "{be} restricted",
    Registration.CLOSED: "{be} closed",
    Registration.DELAYED: "{work} with delays",
}
_MOST = 4
"""Country codes and domains that a title names."""


def sign_up(alert: Alert, resolved: bool) -> str:
    """Return "sign-up by phone is restricted to China (+86); by e-mail and Google is closed"."""
    state = str(alert.summary.get("registration", ""))
    if resolved and state == Registration.OPEN:
        return "sign-up is open again"
    tense = {"be": "was", "work": "worked"} if resolved else {"be": "is", "work": "works"}
    ways = [way for way in alert.summary.get("ways", ()) if isinstance(way, Mapping)]
    said = [clause for word in _WORST_FIRST for clause in _clauses(word, ways, tense)]
    if said:
        return "sign-up " + "; ".join(said)
    words = _STATES.get(Registration(state)) if state in list(Registration) else None
    if words:
        return "sign-up " + words.format(**tense)
    return "sign-up was restricted" if resolved else "sign-up is open again, and watched for a while"


def _clauses(word: Registration, ways: Sequence[Mapping[str, Any]], tense: Mapping[str, str]) -> list[str]:
    """Return a clause per condition; ways under the same condition are told together."""
    by_limit: dict[str, list[str]] = {}
    for way in ways:
        if way.get("after") == word:
            by_limit.setdefault(_limit(way), []).append(_name(way))
    said = []
    for limit, names in by_limit.items():
        by = " and ".join(filter(None, [", ".join(names[:-1]), names[-1]])) if all(names) else ""
        said.append(f"{f'by {by} ' if by else ''}{_STATES[word].format(**tense)}{limit}")
    return said


def _name(way: Mapping[str, Any]) -> str:
    method = str(way.get("method", ""))
    if method not in list(Method) or method == Method.ANY:
        return ""
    return _WAYS.get(Method(method), method.capitalize())


def _limit(way: Mapping[str, Any]) -> str:
    codes = [_country(str(code)) for code in way.get("country_codes", ())]
    domains = [plain(name, 60) for name in way.get("email_domains", ())]
    said = [f" to {_listed(codes)}"] if codes else []
    said += [f" to addresses at {_listed(domains)}"] if domains else []
    said += [" to invited people"] if way.get("invite_required") else []
    said += [" until somebody approves it"] if way.get("approval_required") else []
    return " and".join(said)


def _listed(items: Sequence[str]) -> str:
    left = len(items) - _MOST
    return ", ".join(items[:_MOST]) + (f" and {left} more" if left > 0 else "")


def _country(code: str) -> str:
    """Return "China (+86)". The tables are imported late: most senders never name a country."""
    if not (code.isascii() and code.isdigit() and len(code) <= 3):
        return f"+{plain(code, 8)}"
    from babel import Locale
    from phonenumbers import COUNTRY_CODE_TO_REGION_CODE

    regions = COUNTRY_CODE_TO_REGION_CODE.get(int(code), ("",))
    name = Locale.parse("en").territories.get(regions[0], "") if regions[0] != "001" else ""
    return f"{name} (+{code})" if name else f"+{code}"
