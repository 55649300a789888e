"""What an alert says about sign-up: by which way, for whom, and in which tense."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from monitor.core.entities import Alert
from monitor.core.model.registration import Method, Registration
from monitor.text.countries import country
from monitor.text.lexicon import Lexicon

_WORST_FIRST = (Registration.FAILING, Registration.RESTRICTED, Registration.CLOSED, Registration.DELAYED)
_MOST = 4
"""Country codes and domains that a title names."""
Say = Callable[[str], str]


def sign_up(alert: Alert, resolved: bool, words: Lexicon, plain: Say) -> str:
    """Return "sign-up by phone is restricted to China (+86); by e-mail and Google is closed".

    ``plain`` makes a text from outside harmless.
    """
    state = str(alert.summary.get("registration", ""))
    if resolved and state == Registration.OPEN:
        return words.section("signup", "open")
    tense = "signup_was" if resolved else "signup_is"
    ways = _telling([way for way in alert.summary.get("ways", ()) if isinstance(way, Mapping)], words, plain)
    said = [clause for word in _WORST_FIRST for clause in _clauses(word, ways, words, tense, plain)]
    if said:
        return words.fill("signup", "start", clauses=words.section("signup", "between").join(said))
    if state in _WORST_FIRST:
        clause = words.fill("signup", "whole", state=words.section(tense, state), limit="")
        return words.fill("signup", "start", clauses=clause)
    if resolved:
        return words.section("signup", "was_restricted")
    return words.section("signup", "open_and_watched" if state == Registration.OPEN else "unknown")


def _telling(ways: Sequence[Mapping[str, Any]], words: Lexicon, plain: Say) -> list[Mapping[str, Any]]:
    """Leave out sign-up as a whole where a single way says the same of itself, and for whom."""
    single = {way.get("after") for way in ways if _name(way, words)}
    return [way for way in ways if _name(way, words) or _limit(way, words, plain) or way.get("after") not in single]


def _clauses(
    word: Registration, ways: Sequence[Mapping[str, Any]], words: Lexicon, tense: str, plain: Say
) -> list[str]:
    """Return a clause per condition; ways under the same condition are told together."""
    by_limit: dict[str, list[str]] = {}
    for way in ways:
        if way.get("after") == word:
            by_limit.setdefault(_limit(way, words, plain), []).append(_name(way, words))
    state = words.section(tense, word)
    return [
        words.fill("signup", "by" if all(names) else "whole", names=words.join(names), state=state, limit=limit)
        for limit, names in by_limit.items()
    ]


def _name(way: Mapping[str, Any], words: Lexicon) -> str:
    method = str(way.get("method", ""))
    return words.section("method_inline", method) if method in set(Method) - {Method.ANY} else ""


def _limit(way: Mapping[str, Any], words: Lexicon, plain: Say) -> str:
    codes = [country(str(code), words) for code in way.get("country_codes") or ()]
    domains = [plain(str(name)) for name in way.get("email_domains") or ()]
    said = [words.fill("signup", "to_codes", items=_listed(codes, words))] if codes else []
    said += [words.fill("signup", "to_domains", items=_listed(domains, words))] if domains else []
    said += [words.section("signup", "to_invited")] if way.get("invite_required") else []
    said += [words.section("signup", "to_approved")] if way.get("approval_required") else []
    ratio, places = way.get("failed_ratio"), [plain(str(name)) for name in way.get("places") or ()]
    if isinstance(ratio, int | float):
        said += [words.fill("signup", "to_share", share=f"{100 * ratio:.0f} %")]
    said += [words.fill("signup", "from_places", items=_listed(places, words))] if places else []
    return words.section("signup", "and").join(said)


def _listed(items: Sequence[str], words: Lexicon) -> str:
    left, shown = len(items) - _MOST, words("list_comma").join(items[:_MOST])
    return words("and_more", names=shown, n=left) if left > 0 else shown
