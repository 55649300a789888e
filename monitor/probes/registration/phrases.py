"""What a vendor's own words say of registration, in English and Chinese.

The phrases (:mod:`vocabulary`) are those of January 2025 and their kin, and those of sign-up that breaks: banners,
incident texts, sign-up pages. A sentence counts only as a statement about now and about registration as such:
questions, conditions, plans, the past and negations say nothing, "no longer" says the opposite, and a plan, a feature
or an event that one signs up for is another matter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

from monitor.core.model.registration import Method, MethodReading, Registration, Source
from monitor.probes.registration.matters import is_other_matter
from monitor.probes.registration.vocabulary import (
    APPROVAL,
    AVAILABLE,
    BROKEN,
    CLOSED,
    CODES,
    DELAYED,
    INVITE,
    LIMITED,
    METHOD_WORDS,
    OPEN,
    PHONE_ONLY,
    SIGNUP,
    Phrase,
)
from monitor.text.cleaner import clean, printable
from monitor.text.countries import country_codes

EXCERPT_CHARS = 300
_SENTENCE_CHARS = 600
_SENTENCES = 4000
_CLAUSES = 40
"""Cuts within one sentence. A stranger's page may have as many commas as it likes; people write fewer."""


class Statement(NamedTuple):
    """One thing a text says of registration, with the sentence that says it."""

    phrase: str
    reading: MethodReading


_NEGATION = re.compile(
    r"(?:\bnot|n't|\bnever|\bno|\bwithout|\bneither|\bnor)\W+(?:\w+\W+){0,2}$|(?:[不未没无非]|并未|没有)[^,]{0,2}$"
)
_PAST = re.compile(
    r"\b(?:was|were|had(?! to\b)|(?<!be )(?<!is )(?<!are )used to)\b"
    r"|\b(?:previously|earlier|formerly|yesterday|in the past)\b"
    r"|\blast (?:night|week|month|year)\b"
    r"|曾经?|此前|之前|昨[天日]|上周|去年"
)
_LASTED = re.compile(r"\bfor (?:\w+ ){0,4}?(?:minutes?|hours?|half an hour)\b|持续(?:了|约)")
_LONG_AGO = re.compile(
    r"\b(?:previously|earlier|formerly|yesterday|in the past|ago|at the time|post-?mortem)\b"
    r"|\blast (?:night|week|month|year)\b"
    r"|\bbetween \S+ .{0,20}?\band\b|\bfrom \d\S* .{0,12}?(?:to|until|till|through)\b"
    r"|\bon (?:mon|tues|wednes|thurs|fri|satur|sun)day\b"
    r"|\bin (?:january|february|march|april|may|june|july|august|september|october|november|december)\b"
    r"|曾经?|此前|之前|昨[天日]|上周|去年|今早|早些时候"
)
_DONE = re.compile(
    r"\b(?:(?:has|have) (?:now |since |been |fully )*(?:resolved|fixed|mitigated|recovered|restored|corrected|solved)"
    r"|(?:is|are) (?:now |fully )*(?:resolved|fixed|restored|back to normal)|we(?:'ve| have)? (?:resolved"
    r"|fixed|restored|mitigated)"
    r"|no longer|back to normal)\b|(?:已经?|现已|均已)(?:全部|完全|全面|得到)?(?:恢复|修复|解决|排除)"
)
_PLAN = re.compile(
    r"\b(?:will|would|shall|might|may|could|should|going to|plans?|planned|planning|considering|unless|until|once"
    r"|before|hope|aim|expect\w*|working (?:on|to))\b|(?<!had )\bto (?=\w+$|$)|即将|将|计划|预计|争取|逐步|考虑|尽快"
)
_UNDER_WAY = re.compile(
    r"\b(?:being|partial(?:ly)?|gradual(?:ly)?|slowly|start(?:s|ing|ed)?|begin(?:s|ning)?|began"
    r"|in the process|try(?:ing)?|continu\w+"
    r"|soon|unsure)\b|正在|陆续|部分|努力|等待|仍"
)
"""What is being mended is not mended."""
_HEDGE = re.compile(r"\b(?:may|might|could|can|will|would|expect(?:ed)?)\b|将|可能|会")
_PERHAPS = re.compile(r"\b(?:may|might|can|could(?= not|n't))\b|可能|会")
_CONDITION = re.compile(
    r"^\W*(?:if|when|whenever|unless|should|in case|suppose|why|how|what)\b|如果|若|假如|一旦|万一|为什么"
    r"|怎么|\bif you\b|如(?:遇|您|有|需)|当您"
)
_PEOPLE_WITH_ACCOUNTS = re.compile(
    r"(?:无需|无须|不用|不需要?|免)注册(?:即可)?|(?<!新)(?:已|老|的)?注册(?:用户|会员)(?!时)(?:数量?|总数|人数)?|已注册|注册(?:成功)?[之以]?后"
    r"|新?注册的?(?:用户|会员|账号|账户)(?!时)(?=[^,]{0,10}?(?:使用|调用|每[天日]|上传|领取|登[录陆]|购买|发送|访问|体验|对话|赠))"
)
_OPTIONAL = re.compile(r"\boptional\b|\bif you have\b|选填|可选|可不填|非必填|无需|不需要|没有邀请码也")
_CONTEXT = re.compile(rf"{SIGNUP}|\baccounts?\b|\baccess\b|\bnew users?\b|新用户|注册|账号|账户|帐号|帐户")
_ABOUT = re.compile(
    rf"{SIGNUP}|\bcreat(?:e|ing|ed) (?:\w+ ){{0,3}}accounts?\b|\bsign(?:ing)? up\b|注册|(?:创建|新建"
    rf"|开通)(?:新的?)?(?:用户)?(?:账号|账户|帐号|帐户)|(?:账号|账户|帐号|帐户)的?(?:创建|开通)"
    r"|(?:账号|账户|帐号|帐户)[^,]{0,4}(?:无法|不能)被?(?:创建|注册|开通)"
)
_REASSURANCE = re.compile(
    r"(?:existing|registered|current) users (?:can|may|are able to) (?:still )?(?:log|sign) ?in"
    r"|(?:已注册|现有|老)用户[^。]{0,6}可以?正常登[录陆]"
)
_DOMAIN = re.compile(r"@([a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){1,4})")
_PERMITS = re.compile(r"\b(?:supported|allowed|accepted|available|possible|permitted)\b|支持|允许|接受|开放").search
_DOMAIN_ONLY = re.compile(r"\bonly\b.{0,80}?@[a-z0-9-]+\.|(?:仅|只)[^,]{0,20}@[a-z0-9-]+\.")
_FINITE = re.compile(
    r"\b(?:is|are|has|have|fails?|cannot|can't|currently|right now|at the moment|we)\b|目前|当前|暂时|正在"
    r"|抱歉|我们|部分|暂"
)
_FRAGMENT = re.compile(
    r"^\W*(?:can't|cannot|unable|having|trouble|problems?|issues?|errors?|fail(?:ed|ure)|(?:registration"
    r"|sign[- ]?up) (?:has )?failed|you\b)|^注册失败"
)
"""On a page of one's own, links and hints ("Trouble signing up") are no statements."""
_OUT_OF_ORDER = re.compile(r"\b(?:unavailable|not (?:currently )?(?:available|possible))\b|不可用|暂停使用|无法使用")
_FAULT = re.compile(
    r"\b(?:outages?|incident|errors?|failures?|disruption|technical|bug|malfunction|investigat\w+|(?:a"
    r"|the) fix|to fix)\b"
    r"|故障|异常|修复|排查|抢修|出错|报错"
)
"""Trouble, by which something is out of order that nobody closed on purpose."""
_IN_THE_WAY = re.compile(
    r"\b(?:errors?|issues?|bugs?|problems?|outages?|incident|failures?)\b[^,]{0,30}?\b(?:block|stop|halt|disabl|prevent)"
)
_AHEAD = re.compile(
    r"\btomorrow\b|\bnext (?:week|month)\b|\b(?:scheduled|planned) maintenance\b|maintenance window|明[天日]|维护期间"
)
_FOR_SOME = re.compile(
    r"海外|境外|国外|国际|非(?:中国)?大陆|港澳台|部分(?:地区|国家|用户)|\b(?:overseas|foreign|international|outside)\b"
    r"|\b(?:in|from|for) (?:the )?(?:eu|us|u\.s\.|uk|europe|asia|india|china|japan|italy|africa|germany|france|korea"
    r"|taiwan|brazil|russia|certain|some|several|select|many)\b"
)
"""A door that is shut to some is open to others."""
_BY_POLICY = re.compile(
    r"\b(?:under(?:age| \d+)|minors|children|sanction\w*|embargo\w*|unsupported|ineligible|banned|bots?)\b"
    r"|未满|未成年|不支持的(?:国家|地区)|被封"
)
"""Who may not sign up anyway has not been failed."""
_STILL = re.compile(r"\b(?:still|some|a few|remaining)\b|仍|部分|个别")
_LIST = re.compile(r"(?:登[录陆入][、/和及与]注册|注册[、/和及与]登[录陆入])")
_HEADING = re.compile(r"\b(outages?|disruptions?|issues?|problems?|errors?|degradation|incident|downtime)\s*[:–-]\s+")
_TITLE = re.compile(r"^(\W*(?:[\w-]+ ){0,3}?(?:registrations?|sign[- ]?ups?|account creation))\s*[:–-]\s+")
_SIMPLIFIED = str.maketrans(
    "註冊僅暫關閉開請碼號機戶帳復現經時務緩遲較隊單審錄陸無沒將預計為麼對許後內國門嗎問異處敗錯誤報創難決響應滿個會員訂閱障據頁寫執們讓從這與當導簡實題",
    "注册仅暂关闭开请码号机户账复现经时务缓迟较队单审录陆无没将预计为么对许后内国门吗问异处败错误报创难决响应满个会员订阅障据页写执们让从这与当导简实题",
) | {ord("’"): "'", ord("＋"): "+"}
_SENTENCE = re.compile(r"(?<=[.!?])\s+|(?<=[。！？；])|[;\n•·|]+")
_CLAUSE = re.compile(
    r"[,，、:：]\s*|\s+(?:but|while(?! (?:sign|regist|creat|try))|however|although|whereas)\s+|但是?|而(?!已)|[–—]"
)


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
    if low.endswith(("?", "？")) or low.rstrip("。.").endswith(("吗", "呢")) or _CONDITION.search(low):
        return
    if is_other_matter(low):
        return
    excerpt = clean(sentence, EXCERPT_CHARS)
    low = _TITLE.sub(r"\1 ", low)
    low = _HEADING.sub(r"\1 of ", _LIST.sub("注册", _PEOPLE_WITH_ACCOUNTS.sub("会员", low)))
    about = bool(_ABOUT.search(low))
    start, found = 0, list[tuple[str, MethodReading]]()
    for clause in _CLAUSE.split(low, _CLAUSES):
        place = low.find(clause, start)
        start = max(place, start)
        found += _of_clause(_Part(clause, start, low, about), source)
    fails = any(reading.state is Registration.FAILING for _name, reading in found) and _STILL.search(low)
    for name, reading in found:
        if not fails or reading.state is not Registration.OPEN:  # "restored, but some still cannot"
            yield Statement(name, replace(reading, excerpt=excerpt, url=url))


class _Part(NamedTuple):
    """A clause, where it stands in its sentence, and whether the sentence speaks of signing up."""

    clause: str
    start: int
    sentence: str
    about: bool


def _of_clause(part: _Part, source: Source) -> Iterator[tuple[str, MethodReading]]:
    """Match the families in order of precedence; the first that speaks is the clause's statement."""
    clause, start, sentence, about = part
    if about and (hit := _first(OPEN, clause)):
        yield from _for_methods(hit, clause, source)
    elif (
        about
        and (hit := _first(PHONE_ONLY, clause))
        and ((codes := country_codes(sentence, start)) or _PERMITS(clause))
    ):
        yield hit.name, MethodReading(Method.PHONE, hit.state, source, codes)
        yield (
            hit.name,
            MethodReading(Method.ANY, hit.state, source),
        )  # without limits, so that it agrees with less precise sources
    elif about and _DOMAIN_ONLY.search(clause):
        domains = tuple(dict.fromkeys(_DOMAIN.findall(sentence, start)))[:20]
        yield "email_domains", MethodReading(Method.EMAIL, Registration.RESTRICTED, source, email_domains=domains)
        yield "email_domains", MethodReading(Method.ANY, Registration.RESTRICTED, source)
    elif (hit := _first(INVITE, clause)) and not _OPTIONAL.search(sentence):
        yield hit.name, MethodReading(Method.ANY, hit.state, source, invite_required=True)
    elif (hit := _first(APPROVAL, clause)) and _CONTEXT.search(clause):
        yield hit.name, MethodReading(Method.ANY, hit.state, source, approval_required=True)
    elif hit := _first((*CLOSED, *LIMITED, *DELAYED), clause):
        if hit.state is Registration.CLOSED:
            hit = hit._replace(state=_shut(clause, sentence))
        yield from _for_methods(hit, clause, source)
    elif about and _may_be_broken(part, source) and (hit := _first(BROKEN, clause)):
        share = failed_share(clause)
        for name, reading in _for_methods(hit, CODES.sub(" ", clause), source):
            yield name, replace(reading, failed_ratio=share)
    elif hit := _first(AVAILABLE if _methods(clause) else (), clause):
        yield from _for_methods(hit, clause, source)


def _shut(clause: str, sentence: str) -> Registration:
    """Return what "closed" means: nobody shut what is out of order, and what is shut to some is open to others."""
    if (_OUT_OF_ORDER.search(clause) and _FAULT.search(sentence)) or _IN_THE_WAY.search(clause):
        return Registration.FAILING
    return Registration.RESTRICTED if _FOR_SOME.search(clause) else Registration.CLOSED


def _may_be_broken(part: _Part, source: Source) -> bool:
    """Tell whether a sentence about trouble would be one about trouble that lasts, and no hint for its readers."""
    done_in = part.clause if _STILL.search(part.clause) else part.sentence
    if (
        _LONG_AGO.search(part.sentence)
        or _DONE.search(done_in)
        or _AHEAD.search(part.sentence)
        or _BY_POLICY.search(part.clause)
    ):
        return False
    return source is not Source.PAGE_TEXT or bool(_FINITE.search(part.sentence) and not _FRAGMENT.search(part.clause))


def _for_methods(hit: Phrase, clause: str, source: Source) -> Iterator[tuple[str, MethodReading]]:
    for method in _methods(clause) or (Method.ANY,):
        yield hit.name, MethodReading(method, hit.state, source)


def _methods(clause: str) -> tuple[Method, ...]:
    return tuple(method for method, words in METHOD_WORDS.items() if words.search(clause))


def _first(family: Iterable[Phrase], clause: str) -> Phrase | None:
    for phrase in family:
        if (match := phrase.pattern.search(clause)) and _is_now(phrase, clause, match):
            return phrase
    return None


def _is_now(phrase: Phrase, clause: str, match: re.Match[str]) -> bool:
    """Tell whether the predicate is meant, and meant of the present."""
    group = "q" if match.groupdict().get("q") else "p"
    before = clause[: match.start(group)]
    if _NEGATION.search(before[-40:]):
        return False
    if phrase.state is Registration.FAILING:  # what lasted so long and is not said to be over is told as it ends
        past = _PAST.search(clause) and not _LASTED.search(clause)
        return not (past or _UNTOUCHED.search(clause) or _PLAN.search(_PERHAPS.sub("", before)))
    if phrase.state is Registration.OPEN:  # "was resolved" tells of now, "is being resolved" does not
        past = (_PAST.search(match[0]) or _LONG_AGO.search(clause)) and not _DONE_WORD.match(match[group])
        return not (past or _PLAN.search(before) or _UNDER_WAY.search(before[-30:]))
    hedged = _HEDGE.sub("", before) if phrase.state is Registration.DELAYED else before
    return not (_PAST.search(clause) or _PLAN.search(hedged))


_UNTOUCHED = re.compile(r"未受|不受|没有?受|\b(?:unaffected|not (?:been )?affected)\b")
_DONE_WORD = re.compile(
    r"resolved|fixed|mitigated|solved|corrected|addressed|restored|recovered|lifted|removed|ended|over|gone"
)
_SHARE = re.compile(r"(\d{1,3}(?:\.\d+)?) ?(?:%|percent\b|per cent\b)")
_SUCCEEDS = re.compile(r"succe|成功|通过率|\b(?:go|goes|get) through\b|\bcomplete\b")
_ALL = re.compile(r"\b(?:all|every|any|nobody|no one|none|no new users?|everyone)\b|所有|全部|均|任何")
_NOT_ALL = re.compile(r"\b(?:some|not all|subset|part|few|in|for|from|with)\b (?!all\b)|部分|个别")
_FRACTIONS = (
    (re.compile(r"\bhalf\b(?! an hour)|一半|半数"), 1 / 2),
    (re.compile(r"\btwo[- ]thirds?\b|三分之二"), 2 / 3),
    (re.compile(r"\bthree[- ]quarters?\b(?! of an hour)|四分之三"), 3 / 4),
    (re.compile(r"\b(?:a|one)[- ](?:third|in three)\b|三分之一"), 1 / 3),
    (re.compile(r"\b(?:a|one)[- ](?:quarter|in four)\b(?! of an hour)|四分之一"), 1 / 4),
)


def failed_share(clause: str) -> float | None:
    """Return the share of attempts that a clause about broken sign-up says to fail, 0 to 1, if it says one."""
    given = _SHARE.search(clause)
    share = float(given[1]) / 100 if given else next((part for word, part in _FRACTIONS if word.search(clause)), None)
    if share is None:
        return 1.0 if _ALL.search(clause) and not _NOT_ALL.search(_LASTED.sub("", clause)) else None
    share = 1 - share if _SUCCEEDS.search(clause) else share
    return round(share, 4) if 0 <= share <= 1 else None


_SEVERITY = {Registration.DELAYED: 1, Registration.RESTRICTED: 2, Registration.FAILING: 3, Registration.CLOSED: 4}


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
        return 5, detail
    return _SEVERITY.get(reading.state, 0), detail
