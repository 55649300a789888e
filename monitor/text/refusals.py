"""What a sign-in says when it refuses an account: words in English and Chinese, kept as data in one place.

They are said of our account (a wrong password, a lock, a suspension), so they never count against the service.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_plus

from monitor.text.trouble import folded

_CREDENTIAL = (
    r"(?:user ?-?names?|user ?-?ids?|e-?mails?(?: address(?:es)?)?|passwords?|credentials?|log-?ins?|passcodes?)"
)
_WRONG = r"(?:invalid|incorrect|wrong|bad|unknown|unrecogni[sz]ed|mismatched)"
_ACCOUNT = r"\b(?:your |this |the |user )?(?:accounts?|users?)"
_ENDED = (
    r"(?:locked|suspended|disabled|deactivated|blocked|banned|restricted|terminated|closed|inactive|frozen|expired)"
)
_PATTERNS = (
    rf"\b{_WRONG}[ _-](?:\w+[ _-]){{0,3}}?{_CREDENTIAL}\b",
    rf"\b{_CREDENTIAL}(?: (?:and|or|/) (?:\w+ )?{_CREDENTIAL})?(?: \w+){{0,4}}? {_WRONG}\b",
    rf"\b{_CREDENTIAL}(?: \w+){{0,3}}? (?:(?:did |do |does )?not|d(?:id|o|oes)n(?:'|’)t) (?:match|found|exist)\w*",
    rf"{_ACCOUNT}(?: \w+){{0,3}}? {_ENDED}\b",
    rf"{_ACCOUNT} (?:was |is |could |does |do )?(?:not|n(?:'|’)t)(?: be)? (?:found|exist|verified|activated)\b",
    r"\b(?:no (?:such )?(?:account|user)|unknown (?:user|account))\b",
    r"\btoo many (?:\w+ ){0,3}(?:attempts|tries|logins|log-ins|sign-ins)\b",
    r"\b(?:log[- ]?in|sign[- ]?in|authenti\w+|authori[sz]ation)(?: \w+){0,2} (?:failed|failure|denied|unsuccessful)\b",
    r"\b(?:couldn(?:'|’)t|could not|can(?:'|’)t|cannot|unable to|failed to) (?:log|sign) (?:you )?in\b",
    r"\b(?:verify|confirm|activate) your (?:e-?mail|account)\b|\bpassword (?:has |is )?expired\b",
    r"\breset your password\b|\binvalid grant\b",
    r"(?:密码|口令|账[号户]|用户名?|邮箱|手机号|凭[证据])\w{0,8}(?:错误|有误|不正确|不对|无效|不存在|不匹配|未注册)",
    r"密码\w{0,3}过期|(?:错误|无效)的?(?:密码|账[号户]|用户名?|邮箱|凭[证据])|(?:找不到|没有)(?:该|此|这个)?(?:账[号户]|用户)",
    r"(?:账[号户]|用户)\w{0,6}(?:锁定|冻结|封禁|停用|禁用|封停|注销|受限|未激活|未验证)|(?:尝试|登[录陆入]|错误)次数过多",
    r"登[录陆入]失败|无法登[录陆入]|验证您?的?(?:邮箱|账[号户])",
)
_REFUSALS = re.compile("|".join(f"(?:{pattern})" for pattern in _PATTERNS))
_ACCOUNT_PATH = re.compile(
    r"(?:^|[/_.?&=-])(?:suspended|locked|banned|blocked|disabled|deactivated|inactive|unverified|verif(?:y|ication)"
    r"|(?:reset|change|expired)[-_]password|password[-_](?:reset|change|expired)|confirm(?:ation)?|activate)(?=$|[/_.?&=-])"
)
_ROBOT_PATH = re.compile(r"(?:^|[/_.?&=-])(?:(?:re|h)?captcha|challenge|robot|human|turnstile|waf)(?=$|[/_.?&=-])")


def refusal_in(words: str) -> str:
    """Return the words with which an account is refused, in text, JSON or an address's query; ``""`` for none."""
    found = _REFUSALS.search(folded(words.replace("_", " ")))
    return found[0].strip()[:80] if found else ""


def refusal_in_address(text: str) -> str:
    """Return the words of refusal that an address or a cookie carries in its coded form, or ``""``."""
    return refusal_in(re.sub(r"[+=&;/?.-]+", " ", unquote_plus(unquote_plus(text[:1000]))))


def is_account_path(path: str) -> bool:
    """Say whether an address is where accounts are sent that may not in: locked, or to be confirmed."""
    return bool(_ACCOUNT_PATH.search(path[:500].casefold()))


def is_robot_path(path: str) -> bool:
    """Say whether an address is that of a check for robots."""
    return bool(_ROBOT_PATH.search(path[:500].casefold()))
