"""What a web page says when it is not the product: words of trouble in English and Chinese, kept as data in one place.

The phrases are those that chat services, gateways and hosts show with status 200: whole phrases, because single words
("unavailable", "maintenance") stand on many a good page. A page counts as the service's trouble only if it lacks the
marks of the product as well (:mod:`monitor.probes.marks`); a page with such words is never learned from.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from monitor.core.model.reasons import Reason

READ_CHARS = 4000
"""So much of a page's words is read: such a page says its one thing first."""


class Trouble(NamedTuple):
    """What a page says of itself."""

    reason: Reason
    words: str
    """The phrase that was found, as it stands on the page without capitals."""


_CAPACITY = (
    r"\b(?:at|over|reached|exceeded) (?:full |maximum |its |our )?capacity\b",
    r"\b(?:high|heavy|unusual|exceptional\w*) (?:\w+ )?(?:demand|traffic|load|volume|usage)\b",
    r"\btoo many (?:users|visitors|people|requests)\b",
    r"\b(?:servers?|systems?|services?|network) (?:is|are) (?:\w+ )?(?:busy|overloaded|overwhelmed)\b",
    r"\byou(?: are|(?:'|’)re| have been placed) (?:now )?in (?:line|(?:an?|the) (?:virtual )?(?:queue|line))\b",
    r"\bwaiting room\b|\bestimated wait(?:ing)?\b|\b(?:your|queue) position\b|\bwaiting in (?:line|the queue)\b",
    r"(?:正在|您在|排队中|需要)排队|排队中|预计(?:需要)?(?:等待|排队)|前面还有\w{0,8}(?:人|位)",
    r"(?:服务器?|系统|网络|当前)(?:\w{0,4})(?:繁忙|过载|拥挤)|访问(?:量|人数|用户)过(?:大|多)|请求(?:量)?过(?:大|多)|排队人数",
)
_MAINTENANCE = (
    r"\b(?:under|undergoing|down for|closed for|offline for) (?:\w+ ){0,2}maintenance\b",
    r"\b(?:scheduled|planned|emergency|site|system|server|routine) maintenance\b",
    r"\bmaintenance (?:mode|in progress|page|window|break)\b",
    r"\bperforming (?:\w+ ){0,3}maintenance\b",
    r"(?:系统|网站|服务器?|停机|例行|紧急|升级)维护|维护(?:中|升级|期间)|正在(?:进行)?(?:维护|升级)",
)
_REGION = (
    r"\b(?:not|isn(?:'|’)t|un)(?: yet| currently)? ?(?:available|supported|offered) in your (?:country|region|area)\b",
    r"(?:您|你)?所在的?(?:国家|地区|区域)\w{0,6}(?:不可用|不支持|无法(?:使用|访问)|暂未开放)|不支持(?:您|你)所在的?(?:国家|地区)",
)
_UNAVAILABLE = (
    r"\b(?:temporarily|currently|momentarily) (?:\w+ )?(?:unavailable|down|offline|out of service|not available)\b",
    r"\b(?:service|site|page|website|application|app|server) (?:is )?(?:temporarily )?(?:unavailable|unreachable)\b",
    r"\b(?:we(?:'|’)ll|we will|will) be (?:right )?back\b|\bbe (?:right )?back (?:soon|shortly|online)\b",
    r"\b(?:bad gateway|gateway time-?out|internal server error|service interruption|application error)\b",
    r"\b(?:something|this page|it) (?:went wrong|is not working|isn(?:'|’)t working)\b",
    r"\ban? (?:unexpected |internal |unknown )?error (?:has )?occurred\b",
    r"\bwe(?:'|’| a)re (?:down|offline|having trouble)\b",
    r"\b(?:is|are) experiencing (?:\w+ )?(?:an outage|issues|problems|difficulties)\b",
    r"(?:暂时|目前|当前|服务)(?:\w{0,4})(?:不可用|无法(?:访问|使用|提供服务|打开)|中断)|(?:暂停|停止|中断)(?:对外)?服务",
    r"(?:服务|系统|网站|网页|页面)(?:\w{0,3})(?:异常|故障|出错|崩溃)|出错了|稍后(?:再试|重试|回来|恢复)|即将恢复",
)
_PARKED = (
    r"\bdomain(?: name)?(?: \S+)? (?:is|may be|has been|has|was) (?:\w+ )?(?:for sale|parked|expired|suspended)\b",
    r"\b(?:web ?site|site|page|name|\S{1,60}\.[a-z]{2,10}) (?:is|may be) (?:now )?(?:for sale|parked)\b",
    r"\b(?:buy|acquire|register|renew|purchase|own) this domain\b|\bis this your domain\b|\bavailable for purchase\b",
    r"\bdomain parking\b|\bparked (?:free|domain|page)\b|\bexpired domain\b|\bdomain (?:expired|for sale)\b",
    r"\baccount (?:has been )?suspended\b|\bthis (?:web)?site (?:has been|is) (?:suspended|disabled|not configured)\b",
    r"(?:域名|网站|网址)(?:\w{0,6})(?:出售|转让|过期|到期|停放|未备案|已停用|未绑定|续费)|(?:出售|购买|转让)(?:此|该|本|这个)?域名",
)
_FOREIGN = (
    *_PARKED,
    r"\bwelcome to nginx\b|\bapache2? (?:\w+ )?default page\b|\bit works!|\biis windows server\b|\bindex of /",
    r"\bno such (?:app|site|bucket)\b|\bdeployment (?:could )?not (?:be )?found\b|\bsite not found\b|\bcoming soon\b",
    r"该站点|网站建设中|尚未备案",
)


_WALL = (
    r"\bchecking (?:your|if the site) (?:browser|connection)\b|\bjust a moment\b",
    r"\b(?:verify|confirm|prove|check)(?:ing)? (?:that )?(?:you are|you(?:'|’)re) (?:a |not a )?(?:human|robot|bot)\b",
    r"\b(?:complete|pass) (?:the|a|this) (?:security check|captcha|verification)\b|\bare you (?:a robot|human)\b",
    r"\benable javascript and cookies to continue\b|\bunusual traffic from your (?:computer )?network\b",
    r"(?:完成|进行|通过)(?:\w{0,4})(?:安全验证|人机验证|滑块验证)|正在(?:验证|检查)(?:\w{0,4})(?:浏览器|真人|人类)|确认您是真人",
)


def _one(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns))


_TROUBLES = (
    (Reason.REGION, _one(_REGION)),
    (Reason.OVERLOADED, _one(_CAPACITY)),
    (Reason.CONTENT, _one(_MAINTENANCE)),
    (Reason.CONTENT, _one(_UNAVAILABLE)),
)
_OTHER = _one(_FOREIGN)
_FOR_SALE = _one(_PARKED)
_CHECK = _one(_WALL)
_PATH = re.compile(
    r"(?:^|[/_.?&=-])(?:(maintenance|unavailable|capacity|overload(?:ed)?|outage|sorry|down|5\d\d|busy)"
    r"|(errors?|fail(?:ed|ure)?|denied|invalid|expired))(?=$|[/_.?&=-])"
)
_SIMPLIFIED = str.maketrans(
    "維護暫時無開務網頁個統係錯稍後試復過載擁擠紛請訪問數隊異從將貨買賣轉讓過過備設級進門間來異見購續費還位區國驗證檢覽確認帳號碼戶誤鎖凍結註銷嘗錄陸敗據",
    "维护暂时无开务网页个统系错稍后试复过载拥挤纷请访问数队异从将货买卖转让过过备设级进门间来异见购续费还位区国验证检览确认账号码户误锁冻结注销尝录陆败据",
)


def trouble_in(words: str) -> Trouble | None:
    """Return what a page's words say of trouble at the service; ``None`` for words that say nothing of it."""
    text = folded(words)
    for reason, pattern in _TROUBLES:
        if found := pattern.search(text):
            return Trouble(reason, found[0][:80])
    return None


def foreign_in(words: str) -> str:
    """Return what shows that a page is somebody else's (a parked domain, a server's default page), or ``""``."""
    found = _OTHER.search(folded(words))
    return found[0][:80] if found else ""


def parked_in(words: str) -> str:
    """Return what shows that a domain is parked, for sale, expired or suspended, whatever stands in the title."""
    found = _FOR_SALE.search(folded(words))
    return found[0][:80] if found else ""


def wall_in(words: str) -> str:
    """Return what a page of its own says to somebody it takes for a robot, or ``""``."""
    found = _CHECK.search(folded(words))
    return found[0][:80] if found else ""


def trouble_in_path(path: str) -> str:
    """Return ``trouble`` for an address that a service in trouble sends to, ``error`` for an error page, or ``""``."""
    found = _PATH.search(path[:500].casefold())
    return "" if found is None else "trouble" if found[1] else "error"


def folded(words: str) -> str:
    """Return words without capitals, traditional characters and runs of spaces; the first ``READ_CHARS``."""
    return " ".join(words[:READ_CHARS].casefold().translate(_SIMPLIFIED).split())
