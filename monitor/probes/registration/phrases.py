"""What a vendor's own words say of registration, in English and Chinese.

The phrases are those of January 2025 and their kin: banners, incident texts, sign-up pages. A sentence counts only as a
statement about now: questions, conditions, plans, the past and negations say nothing, "no longer" says the opposite.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

from monitor.core.model.registration import Method, MethodReading, Registration, Source
from monitor.text.cleaner import clean, printable
from monitor.text.countries import country_codes

EXCERPT_CHARS = 300
_SENTENCE_CHARS = 600
_SENTENCES = 4000
_CLAUSES = 40
"""Cuts within one sentence. A stranger's page may have as many commas as it likes; people write fewer."""

_SIGNUP = r"(?:registrations?|register(?:ing)?|sign[- ]?ups?|signing up|account creation|new (?:accounts?|users?))"
_METHODS = {
    Method.EMAIL: r"\be-?mails?\b|邮箱|邮件",
    Method.PHONE: r"\b(?:phone|mobile|sms)\b|手机|短信",
    Method.GOOGLE: r"\bgoogle\b|谷歌",
    Method.APPLE: r"\bapple\b|苹果",
    Method.MICROSOFT: r"\bmicrosoft\b|微软",
    Method.GITHUB: r"\bgithub\b",
    Method.WECHAT: r"\bwechat\b|\bweixin\b|微信",
    Method.SSO: r"\b(?:sso|single sign-on|saml|oauth|oidc)\b",
}
_METHOD_WORDS = {method: re.compile(pattern) for method, pattern in _METHODS.items()}


class Phrase(NamedTuple):
    """A named pattern. Group ``p`` is the predicate: what a negation before it would turn round."""

    name: str
    state: Registration
    pattern: re.Pattern[str]


class Statement(NamedTuple):
    """One thing a text says of registration, with the sentence that says it."""

    phrase: str
    reading: MethodReading


def _phrases(state: Registration, **patterns: str) -> tuple[Phrase, ...]:
    return tuple(Phrase(name, state, re.compile(text.replace("SIGNUP", _SIGNUP))) for name, text in patterns.items())


_OPEN = _phrases(
    Registration.OPEN,
    no_longer=r"(?P<p>no longer (?:being )?(?:temporarily )?(?:limit|restrict|clos|paus|suspend|disabl|delay)\w*)",
    reopened=r"SIGNUP\b.{0,40}?\b(?P<p>resumed|restored|re-?opened|re-?enabled|open again|available again"
    r"|back to normal|fully open|now open)",
    reopening=r"\b(?P<p>resumed|restored|re-?opened|re-?enabled|resuming|reopening)\b (?:\w+ ){0,3}SIGNUP",
    lifted=r"\b(?P<p>lifted|removed)\b (?:\w+ ){0,4}(?:limits?|limitations?|restrictions?)\b",
    limits_lifted=r"\b(?:limits?|limitations?|restrictions?)\b.{0,20}?SIGNUP\b.{0,30}?\b(?P<p>lifted|removed|ended)\b",
    is_open=r"SIGNUP\b (?:is|are|remains?) (?:now |currently |still )?(?P<p>open)\b"
    r"(?! (?:only|by)\b)(?! (?:to|for)\b(?! (?:everyone|everybody|all|anyone|the public|new users)))",
    zh_no_longer=r"(?P<p>不再(?:限制|暂停|关闭)|(?:已经?|全面|现已)(?:取消|解除))[^,]{0,12}(?:注册|限制)",
    zh_reopened=r"(?P<p>(?:已经?|现已|全面|重新)(?:恢复|开放|重新开放)).{0,8}注册|注册[^,]{0,10}(?P<q>(?:已经?|现已|全面|重新)(?:恢复|开放|重新开放)|恢复正常)",
)
_PHONE_ONLY = _phrases(
    Registration.RESTRICTED,
    phone_only=r"\b(?P<p>only)\b.{0,80}?\b(?:phone|mobile|numbers?)\b",
    phone_limited=r"\b(?P<p>limited|restricted)(?: only)? to\b.{0,60}?\b(?:phone|mobile|numbers?)\b",
    phone_except=r"\b(?P<p>other than|except(?: for| with)?|besides)\b.{0,60}?\b(?:phone|mobile|numbers?)\b",
    phone_last=r"\b(?:phone|mobile)(?: phone)?(?: numbers?)?(?: \(?\+\d{1,3}\)?)? (?P<p>only)\b",
    zh_phone_only=r"(?P<p>仅|只)(?:支持|限|允许|能|可以?|接受|开放|对)[^,]{0,24}?(?:手机|号码|\+\d)",
    zh_phone_except=r"(?P<p>限制|暂停|关闭|停止)了?[^,]{0,16}?手机号?码?(?:以外|之外)",
    zh_phone_besides=r"(?P<p>除了?)[^,]{0,16}?手机号?码?[^,]{0,4}?(?:以外|之外|外)",
)
_INVITE = _phrases(
    Registration.RESTRICTED,
    invite=r"\b(?P<p>(?:invite|invitation)[- ]only|by invitation|invit(?:e|ation)(?: code)?(?: is)? required"
    r"|requires? an? invit\w+|need an invit\w+|(?:enter|with) (?:your|an?) (?:invite|invitation)(?: code)?)",
    zh_invite=r"(?P<p>邀请码|邀请制|凭邀请|仅限受?邀)",
)
_APPROVAL = _phrases(
    Registration.RESTRICTED,
    waitlist=r"(?P<p>wait-?list)",
    approval=r"SIGNUP\b.{0,40}?\b(?P<p>(?:require|need)s? (?:manual |an? )?(?:review|approval|approved)"
    r"|(?:manually|must be) (?:approved|reviewed))",
    zh_waitlist=r"(?P<p>(?:候补|排队|等候|等待)名单|加入候补)",
    zh_approval=r"注册[^,]{0,10}(?P<p>需要?(?:人工|管理员)?审[核批])",
)
_CLOSED = _phrases(
    Registration.CLOSED,
    closed=r"SIGNUP\b(?: \w+){0,6}? (?P<p>closed|disabled|suspended|paused|halted|stopped|unavailable|turned off"
    r"|not (?:currently )?(?:available|open|accepted|possible|allowed))\b",
    closing=r"\b(?P<p>closed|closing|disabled|disabling|suspended|suspending|paused|pausing|halted|halting|stopped"
    r"|stopping)\b (?:\w+ ){0,3}SIGNUP",
    refusing=r"(?P<p>(?:not|n't) (?:currently )?(?:accepting|taking)) (?:\w+ ){0,2}SIGNUP",
    zh_closing=r"(?P<p>(?:暂停|停止|关闭|禁止)了?)(?:新?用户|新账号|对外|[^,]{0,6}?的?)注册",
    zh_closed=r"注册(?:功能|通道|入口|服务|渠道)?(?:已经|已|现已|暂时|目前|当前|均)*(?P<p>暂停|关闭|停止|不可用|未开放|禁用)",
    zh_not_open=r"(?P<p>(?:暂未|尚未|未|不)(?:对外)?开放)(?:新?用户)?注册",
)
_LIMITED = _phrases(
    Registration.RESTRICTED,
    limiting=r"\b(?P<p>limiting|restricting|limit|restrict|limited|restricted)\b (?!time)(?:\w+ ){0,3}SIGNUP",
    limited=r"SIGNUP\b(?: \w+){0,3}? (?:is|are|been|being|temporarily|currently) (?:\w+ ){0,2}?"
    r"(?P<p>limited|restricted)\b",
    zh_limited=r"(?P<p>限制)了?[^,]{0,16}?注册|注册[^,]{0,6}(?P<q>受限|受到限制)",
)
_DELAYED = _phrases(
    Registration.DELAYED,
    busy=r"SIGNUP\b(?: \w+){0,3}? (?P<p>busy|slow|slower|delayed|take longer|experience delays|with delays)\b",
    delays=r"\b(?P<p>delays?|slower|longer than usual)\b (?:\w+ ){0,3}SIGNUP",
    zh_busy=r"注册[^,]{0,10}?(?P<p>繁忙|较慢|缓慢|延迟|排队)",
)
_AVAILABLE = _phrases(
    Registration.OPEN,
    available=r"SIGNUP\b.{0,40}?\b(?P<p>available|works?|working|supported|unaffected)\b",
    zh_available=r"注册[^,]{0,6}(?P<p>正常|可用|不受影响)",
)

_NEGATION = re.compile(
    r"(?:\bnot|n't|\bnever|\bno|\bwithout|\bneither|\bnor)\W+(?:\w+\W+){0,2}$|[不未没无非][^,]{0,2}$"
)
_PAST = re.compile(
    r"\b(?:was|were|had|used to)\b|\b(?:previously|earlier|formerly|yesterday|in the past)\b"
    r"|\blast (?:night|week|month|year)\b"
    r"|曾经?|此前|之前|昨[天日]|上周|去年"
)
_PLAN = re.compile(
    r"\b(?:will|would|shall|might|may|could|should|going to|plans?|planned|planning|considering|unless|until|once"
    r"|before|hope|aim|expect\w*|working (?:on|to))\b|\bto (?=\w+$|$)|即将|将|计划|预计|争取|逐步|考虑|尽快"
)
_HEDGE = re.compile(r"\b(?:may|might|could|can|will|would)\b|将|可能|会")
_CONDITION = re.compile(
    r"^\W*(?:if|when|whenever|unless|should|in case|suppose|why|how|what)\b|如果|若|假如|一旦|万一|为什么|怎么"
)
_OTHER_MATTER = re.compile(
    r"\bregistrations? (?:for|to) (?:the |our )?(?:\w+ ){0,2}(?:webinar|event|conference|summit|meetup|workshop"
    r"|hackathon|devday|course|programs?|newsletter|beta)|\b(?:event|webinar|domain|device|vehicle|voter|trademark|model|webhook)"
    r" registration|活动注册|商标注册|域名注册|注册商标|\b(?:newsletter|mailing list)\b|unlimited"
)
_OPTIONAL = re.compile(r"\boptional\b|\bif you have\b|选填|可选|可不填|非必填|无需|不需要|没有邀请码也")
_CONTEXT = re.compile(rf"{_SIGNUP}|\baccounts?\b|\baccess\b|注册|账号")
_REASSURANCE = re.compile(
    r"(?:existing|registered|current) users (?:can|may|are able to) (?:still )?(?:log|sign) ?in"
    r"|(?:已注册|现有|老)用户[^。]{0,6}可以?正常登[录陆]"
)
_DOMAIN = re.compile(r"@([a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){1,4})")
_PERMITS = re.compile(r"\b(?:supported|allowed|accepted|available|possible|permitted)\b|支持|允许|接受|开放").search
_DOMAIN_ONLY = re.compile(r"\bonly\b.{0,80}?@[a-z0-9-]+\.|(?:仅|只)[^,]{0,20}@[a-z0-9-]+\.")
_SIMPLIFIED = str.maketrans(
    "註冊僅暫關閉開請碼號機戶帳復現經時務緩遲較隊單審錄陸無沒將預計為麼對許後內國門嗎問’＋",
    "注册仅暂关闭开请码号机户账复现经时务缓迟较队单审录陆无没将预计为么对许后内国门吗问'+",
)
_SENTENCE = re.compile(r"(?<=[.!?])\s+|(?<=[。！？；])|[;\n•·|]+")
_CLAUSE = re.compile(r"[,，、:：]\s*|\s+(?:but|while|however|although|whereas)\s+|但是?|而(?!已)|[–—]")


def _plain_letters(text: str) -> str:
    """Fold case, quotes and the traditional forms of the characters that the patterns use."""
    return text.casefold().translate(_SIMPLIFIED)


def sentences(text: str) -> Iterator[str]:
    """Yield the sentences of a text, bounded in number and length."""
    for number, sentence in enumerate(_SENTENCE.split(printable(text))):
        if number >= _SENTENCES:
            return
        if sentence and (stripped := sentence.strip()):
            yield stripped[:_SENTENCE_CHARS]


def statements(text: str, source: Source, url: str = "") -> tuple[Statement, ...]:
    """Return everything a text states of registration now, in order of place."""
    return tuple(said for sentence in sentences(text) for said in _of_sentence(sentence, source, url))


def says_existing_users_can_log_in(text: str) -> bool:
    """Tell whether the text reassures those who have an account."""
    return bool(_REASSURANCE.search(_plain_letters(printable(text))))


def _of_sentence(sentence: str, source: Source, url: str) -> Iterator[Statement]:
    low = _plain_letters(sentence)
    if not _CONTEXT.search(low) and "wait" not in low and "邀请" not in low and "invit" not in low:
        return
    if (
        low.endswith(("?", "？"))
        or low.rstrip("。.").endswith("吗")
        or _CONDITION.search(low)
        or _OTHER_MATTER.search(low)
    ):
        return
    excerpt = clean(sentence, EXCERPT_CHARS)
    start = 0
    for clause in _CLAUSE.split(low, _CLAUSES):
        place = low.find(clause, start)
        start = max(place, start)
        for name, reading in _of_clause(clause, start, low, source):
            yield Statement(name, replace(reading, excerpt=excerpt, url=url))


def _of_clause(clause: str, start: int, sentence: str, source: Source) -> Iterator[tuple[str, MethodReading]]:
    """Match the families in order of precedence; the first that speaks is the clause's statement."""
    about_signup = bool(re.search(rf"{_SIGNUP}|注册", sentence))
    if about_signup and (hit := _first(_OPEN, clause)):
        yield from _for_methods(hit, clause, source)
    elif (
        about_signup
        and (hit := _first(_PHONE_ONLY, clause))
        and ((codes := country_codes(sentence, start)) or _PERMITS(clause))
    ):
        yield hit.name, MethodReading(Method.PHONE, hit.state, source, codes)
        yield (
            hit.name,
            MethodReading(Method.ANY, hit.state, source),
        )  # without limits, so that it agrees with less precise sources
    elif about_signup and _DOMAIN_ONLY.search(clause):
        domains = tuple(dict.fromkeys(_DOMAIN.findall(sentence, start)))[:20]
        yield "email_domains", MethodReading(Method.EMAIL, Registration.RESTRICTED, source, email_domains=domains)
        yield "email_domains", MethodReading(Method.ANY, Registration.RESTRICTED, source)
    elif (hit := _first(_INVITE, clause)) and not _OPTIONAL.search(sentence):
        yield hit.name, MethodReading(Method.ANY, hit.state, source, invite_required=True)
    elif (hit := _first(_APPROVAL, clause)) and _CONTEXT.search(clause):
        yield hit.name, MethodReading(Method.ANY, hit.state, source, approval_required=True)
    elif hit := _first((*_CLOSED, *_LIMITED, *_DELAYED, *(_AVAILABLE if _methods(clause) else ())), clause):
        yield from _for_methods(hit, clause, source)


def _for_methods(hit: Phrase, clause: str, source: Source) -> Iterator[tuple[str, MethodReading]]:
    for method in _methods(clause) or (Method.ANY,):
        yield hit.name, MethodReading(method, hit.state, source)


def _methods(clause: str) -> tuple[Method, ...]:
    return tuple(method for method, words in _METHOD_WORDS.items() if words.search(clause))


def _first(family: Iterable[Phrase], clause: str) -> Phrase | None:
    for phrase in family:
        if (match := phrase.pattern.search(clause)) and _is_now(phrase, clause, match):
            return phrase
    return None


def _is_now(phrase: Phrase, clause: str, match: re.Match[str]) -> bool:
    """Tell whether the predicate is meant, and meant of the present."""
    group = "q" if match.groupdict().get("q") else "p"
    before = clause[: match.start(group)]
    hedged = _HEDGE.sub("", before) if phrase.state is Registration.DELAYED else before
    return not (_NEGATION.search(before[-40:]) or _PAST.search(clause) or _PLAN.search(hedged))


_SEVERITY = {Registration.DELAYED: 1, Registration.RESTRICTED: 2, Registration.CLOSED: 3}


def settled(said: Iterable[Statement]) -> tuple[tuple[MethodReading, ...], bool]:
    """Return one reading per method, and whether the text contradicts itself (then that method is unknown).

    Of several complaints the worst counts; but who asks for an invitation has not closed, and a reading with details
    (country codes, domains) stands for one without.
    """
    by_method: dict[Method, list[MethodReading]] = {}
    for statement in said:
        by_method.setdefault(statement.reading.method, []).append(statement.reading)
    readings, contradictory = [], False
    for method, found in by_method.items():
        bad = [reading for reading in found if reading.state is not Registration.OPEN]
        if bad and len(bad) < len(found):
            contradictory = True
            first = bad[0]
            readings.append(
                MethodReading(method, Registration.UNKNOWN, first.source, excerpt=first.excerpt, url=first.url)
            )
        else:
            readings.append(max(bad, key=_rank) if bad else found[0])
    return tuple(readings), contradictory


def _rank(reading: MethodReading) -> tuple[int, int]:
    detail = len(reading.country_codes) + len(reading.email_domains)
    if reading.invite_required or reading.approval_required:
        return 4, detail
    return _SEVERITY.get(reading.state, 0), detail
