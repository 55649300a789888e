"""The phrases by which vendors speak of registration, in English and Chinese: families of named patterns.

Texts are matched in small letters, simplified characters and without typographic quotes. Group ``p`` (or ``q``) is
the predicate: what a negation before it would turn round. ``SIGNUP`` stands for registration as a noun or gerund,
``CREATE`` for what a new user does, ``WORDS`` for a few words in between.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from monitor.core.model.registration import Method, Registration

_CORE = (
    r"registrations?|registering|sign[- ]?ups?|signing up|account (?:creation|registration|activation|sign[- ]?up)s?"
    r"|(?:creation of|creating) (?:an? |any |the )?(?:new |free )?(?:user )?accounts?|onboarding of new users"
)
NEW_PEOPLE = r"(?<!\bfor )(?<!\bto )(?<!\bfrom )(?<!\bby )(?<!\bof )(?<!\bin )new (?:user )?(?:accounts?|users?)"
"""Only where they are what is spoken of: a feature that is off "for new accounts" says nothing of registration."""
SIGNUP = rf"(?:{_CORE}|register|{NEW_PEOPLE})"
_CREATE = (
    r"(?:sign(?:ing)? up|regist(?:er|ering)|creat(?:e|ing) (?:an? |any |their |your |the |some )?(?:new "
    r"|free |user )*accounts?"
    r"|(?:complet(?:e|ing)|finish(?:ing)?) (?:the |their |your )?(?:\w+ )?"
    r"(?:registration|registering|sign[- ]?up|signing up)"
    r"|(?:mak(?:e|ing)|open(?:ing)?) (?:an? |new |an? new )?accounts?)"
)
_WORD = r"[\w'%./-]+ "
_ZH_ACCOUNT = r"(?:账号|账户|帐号|帐户)"
_ZH_CREATE = rf"(?:注册|(?:创建|新建|开通)(?:新的?)?(?:用户)?{_ZH_ACCOUNT}|{_ZH_ACCOUNT}的?(?:创建|开通|开户))"
_AS_PEOPLE = rf"(?:{_CORE}|register|{NEW_PEOPLE}(?! (?:to|from)\b(?! (?:sign|regist|creat))))"
"""What can be limited or stopped as such: "new users", but not "new users from uploading files"."""

METHOD_WORDS = {
    method: re.compile(pattern)
    for method, pattern in {
        Method.EMAIL: r"\be-?mails?\b|邮箱|邮件",
        Method.PHONE: r"\b(?:phone|mobile|sms)\b|手机|短信",
        Method.GOOGLE: r"\bgoogle\b|谷歌",
        Method.APPLE: r"\bapple\b|苹果",
        Method.MICROSOFT: r"\bmicrosoft\b|微软",
        Method.GITHUB: r"\bgithub\b",
        Method.WECHAT: r"\bwechat\b|\bweixin\b|微信",
        Method.SSO: r"\b(?:sso|single sign-on|saml|oauth|oidc)\b",
    }.items()
}
CODES = re.compile(
    r"\b(?:verification|confirmation|activation) (?:e-?mails?|sms|texts?|codes?)\b|(?:短信"
    r"|邮件)?验证码"
)
"""What is sent to prove an address names no way to sign up."""


class Phrase(NamedTuple):
    """A named pattern, and the state that it tells of."""

    name: str
    state: Registration
    pattern: re.Pattern[str]


def _phrases(state: Registration, **patterns: str) -> tuple[Phrase, ...]:
    return tuple(Phrase(name, state, re.compile(_spelled(text))) for name, text in patterns.items())


def _spelled(text: str) -> str:
    words = text.replace("ZHCREATE", _ZH_CREATE).replace("SIGNUP", SIGNUP).replace("CREATE", _CREATE)
    return words.replace("WORDS", f"(?:{_WORD}){{0,6}}?")


_FIXED = r"(?:resolved|fixed|mitigated|solved|corrected|addressed|remedied|over\b|gone\b)"
_TROUBLE = (
    r"(?:errors?|error rates?|issues?|problems?|failures?|failure rates?|trouble|difficult(?:y|ies)"
    r"|outages?|disruptions?"
    r"|degradation|interruptions?|incidents?|time-?outs?|instability|bugs?|degraded \w+(?: \w+)?|malfunctions?)"
)
OPEN = _phrases(
    Registration.OPEN,
    no_longer=r"(?P<p>no longer (?:being )?(?:temporarily )?(?:limit|restrict|clos|paus|suspend|disabl"
    r"|delay|fail|affect"
    r"|impact|broken|down|unavailable|block|throttl|slow)\w*)",
    reopened=r"SIGNUP\b.{0,40}?\b(?P<p>resumed|restored|recovered|re-?opened|re-?enabled"
    r"|(?:being )?(?:open|available|enabled|accepted|possible|allowed|live|up|running|up and running|unblocked) again"
    r"|back (?:to normal|online|up|in service)|returned to normal|normali[sz]ed|fully open|now open"
    r"|(?:works?|working|succeed\w*) (?:again|normally|as (?:expected|usual)|now)"
    r"|(?:(?:fully|now|again) )+operational|operational again|(?:functioning|operating) (?:again|normally)"
    r"|stable again)\b",
    operational=r"SIGNUP\b (?:is|are) (?P<p>(?:now |fully |again )*(?:operational|healthy|back))\b",
    reopening=r"\b(?P<p>resumed|restored|re-?opened|re-?enabled|resuming|reopening)\b (?:\w+ ){0,3}SIGNUP",
    lifted=r"\b(?P<p>lifted|removed)\b (?:\w+ ){0,4}(?:limits?|limitations?|restrictions?|caps?|quotas?"
    r"|pause|freeze|block|ban|wait-?list)\b",
    turned_on=r"\b(?P<p>turned|switched|brought|put) SIGNUP back (?:on|online|up)\b",
    limits_lifted=r"\b(?:limits?|limitations?|restrictions?)\b.{0,20}?SIGNUP\b.{0,30}?\b(?P<p>lifted"
    r"|removed|ended)\b|SIGNUP (?:limits?|limitations?|restrictions?)\b.{0,20}?\b(?P<q>lifted|removed|ended)\b",
    is_open=r"SIGNUP\b (?:is|are|remains?) (?:now |currently |still )?(?P<p>open)\b"
    r"(?! (?:only|by)\b)(?! (?:to|for)\b(?! (?:everyone|everybody|all|anyone|the public|new users)))",
    trouble_over=rf"\b{_TROUBLE}\b WORDS(?:SIGNUP|CREATE)\b.{{0,40}}?\b(?P<p>{_FIXED})",
    sign_up_trouble_over=rf"SIGNUP (?:\w+ ){{0,2}}?{_TROUBLE}\b.{{0,30}}?\b(?P<p>{_FIXED})",
    fixed=rf"\b(?P<p>fixed|resolved|mitigated|solved|corrected"
    rf"|addressed)\b (?:(?:[\w-]+ ){{0,4}}?(?:{_TROUBLE}|cause)\b"
    r" WORDS(?:SIGNUP|CREATE)|(?:the |our )?SIGNUP\b(?! (?:pages?|forms?|buttons?|links?|texts?)\b))",
    over_and_works=r"\b(?P<p>resolved|fixed|restored|over)\b and (?:\w+ ){0,2}?SIGNUP (?:\w+ ){0,2}?"
    r"(?:work\w*|available|back|up|operational|enabled|open)\b",
    can_again=r"\b(?:users?|people|customers?|everyone|everybody|anyone|you)\b "
    r"(?P<p>(?:can|may|are able to|should be able to) (?:(?:now|again|once (?:again|more)) CREATE"
    r"|CREATE\b.{0,30}?\b(?:again|once more|normally|as usual)))",
    can_be_made_again=r"new (?:user )?accounts? (?P<p>can (?:(?:now|again|once again) be (?:created"
    r"|registered|opened)|be (?:created|registered|opened)\b.{0,20}?\b(?:again|normally|as usual)))",
    invite_gone=r"\b(?:invit\w+|wait-?list|approval)(?: \w+){0,2}? (?:is|are) (?P<p>no longer (?:required"
    r"|needed|necessary))",
    zh_no_longer=r"(?P<p>不再(?:限制|暂停|关闭)|(?:已经?|全面|现已)(?:取消|解除|放开))[^,]{0,12}(?:注册|限制)",
    zh_reopened=r"(?P<p>(?:已经?|现已|全面|重新)(?:恢复|开放|重新开放)).{0,8}注册"
    r"|注册[^,]{0,10}(?P<q>(?:已经?|现已|全面|重新)(?:恢复|开放|重新开放)|恢复正常|恢复(?:了|$|[。!]))",
    zh_fixed=r"(?:ZHCREATE|注册)[^,]{0,12}?(?P<p>(?:已经?|现已|均已|得到|得以|全部)(?:全部|完全|全面"
    r"|得到)?(?:解决|修复|恢复|排除|消除|解除|取消|放开|开放)|(?:已经?|现已)可以?(?:正常)?使用)"
    r"|(?P<q>已经?(?:修复|解决|排除))[^,]{0,16}注册",
    zh_can_again=r"(?P<p>(?:现在|现已|已经?|又|重新|再次)[^,]{0,8}?可以?(?:正常|重新|再次)?ZHCREATE"
    r"|可以?(?:重新|再次|正常)ZHCREATE了)",
)
PHONE_ONLY = _phrases(
    Registration.RESTRICTED,
    phone_only=r"\b(?P<p>only)\b.{0,80}?\b(?:phone|mobile|numbers?)\b",
    phone_limited=r"\b(?P<p>limited|restricted)(?: only)? to\b.{0,60}?\b(?:phone|mobile|numbers?)\b",
    phone_required=r"SIGNUP\b.{0,20}?\b(?P<p>requires?|needs?) an? .{0,40}?\b(?:phone|mobile)\b",
    phone_except=r"\b(?P<p>other than|except(?: for| with)?|besides)\b.{0,60}?\b(?:phone|mobile|numbers?)\b",
    phone_last=r"\b(?:phone|mobile)(?: phone)?(?: numbers?)?(?: \(?\+\d{1,3}\)?)? (?P<p>only)\b",
    zh_phone_only=r"(?P<p>仅|只)(?:支持|限|允许|能|可以?|接受|开放|对)[^,]{0,24}?(?:手机|号码|\+\d)",
    zh_phone_except=r"(?P<p>限制|暂停|关闭|停止)了?[^,]{0,16}?手机号?码?(?:以外|之外)",
    zh_phone_besides=r"(?P<p>除了?)[^,]{0,16}?手机号?码?[^,]{0,4}?(?:以外|之外|外)",
)
INVITE = _phrases(
    Registration.RESTRICTED,
    invite=r"\b(?P<p>(?:invite|invitation)[- ]only|by invit(?:e|ation)|invit(?:e|ation)(?: code)?(?: is"
    r"|s are)? (?:required|needed)"
    r"|requires? an? invit\w+|need an invit\w+|(?:enter|with) (?:your|an?) (?:invite|invitation)(?: code)?)",
    zh_invite=r"(?P<p>邀请码|邀请制|凭邀请|仅限受?邀|受邀)",
)
APPROVAL = _phrases(
    Registration.RESTRICTED,
    waitlist=r"(?P<p>wait(?:ing)?[- ]?list)",
    approval=r"(?:SIGNUP|account requests?)\b.{0,40}?\b(?P<p>(?:require|need)s? (?:manual |an? "
    r"|the )?(?:\w+ )?(?:review|approval|approved)"
    r"|(?:manually|(?:must|have to|has to|needs? to) be) (?:approved|reviewed)"
    r"|subject to (?:\w+ )?(?:approval|review)|(?:wait for|await|pending|awaiting) (?:\w+ )?(?:approval|review))",
    zh_waitlist=r"(?P<p>(?:候补|排队|等候|等待)名单|加入候补)",
    zh_approval=r"(?:注册|新用户|新账号|新账户)[^,]{0,10}(?P<p>需要?(?:经|由|通过)?(?:人工|管理员)?审[核批]"
    r"|(?:采[取用]|实行|实施|改为)?(?:人工)?审[核批]制)",
)
_SHUT = (
    r"closed|disabled|suspended|paused|halted|stopped(?! working)|unavailable|turned off|switched off|blocked|on hold"
    r"|shut(?: down| off)?|frozen|on pause|on hold"
    r"|not (?:currently |being |yet )*(?:available|open|accepted|possible|allowed|permitted)"
)
_SHUTTING = "clos|disabl|suspend|paus|halt|stopp|block|freez|frozen|switch(?:ed|ing) off|turn(?:ed|ing) off"
CLOSED = _phrases(
    Registration.CLOSED,
    closed=rf"(?:{_CORE}|(?:{NEW_PEOPLE}) (?:is|are|have) (?:currently |temporarily )?(?:not|blocked))"
    rf"(?: [\w-]+){{0,6}}? (?P<p>{_SHUT})\b",
    closed_people=rf"{NEW_PEOPLE} (?:is|are|have been)(?: \w+){{0,2}}? (?P<p>{_SHUT})\b",
    closing=rf"\b(?P<p>(?:{_SHUTTING})\w*|stop|halt|pause|suspend|block|freeze)\b (?:\w+ ){{0,3}}{_AS_PEOPLE}",
    refusing=r"(?P<p>(?:not|n't|no longer|stopped|stop) (?:currently |be |able to )*(?:accept|tak|onboard"
    r"|allow)(?:s|ing|e)?)\b (?:\w+ ){0,2}SIGNUP",
    no_new=r"(?P<p>\bno (?:new |more |further )+)SIGNUP (?:is|are|can be)(?: \w+){0,2}? (?:accepted"
    r"|possible|allowed|permitted|taken|processed)",
    refused=r"SIGNUP (?:is|are|have) (?P<p>(?:not|no longer|n't) (?:currently |being |be )*(?:accepted"
    r"|allowed|permitted|possible))",
    zh_no_more=r"(?P<p>(?:暂停|停止|不再)新增)(?:注册)?用户(?!订阅|权益|额度)",
    zh_closing=r"(?P<p>(?:暂停|停止|关闭|禁止|中止|叫停)了?)(?:开放|接受|受理|办理|提供)?(?:新?用户|新账号"
    r"|新的?|对外|公开|[^,]{0,6}?的?)注册",
    zh_closed=r"注册(?:功能|通道|入口|服务|渠道)?(?:已经|已|现已|暂时|目前|当前|均|临时)*(?P<p>暂停|关闭"
    r"|停止|不可用|未开放|禁用|停用|下线|关停)",
    zh_not_open=r"(?P<p>(?:暂不|暂未|尚未|未|不)(?:对外|再)?(?:开放|接受|提供|支持))(?:新?用户)?的?注册",
)
LIMITED = _phrases(
    Registration.RESTRICTED,
    limiting=r"\b(?P<p>limiting|restricting|limit|restrict|limited|restricted|throttling|throttled|capping|capped"
    r"|caps? on|quotas? (?:on|for)|limits? (?:on|to)|restrictions? on)\b (?!time)(?:[\w-]+ ){0,5}?"
    rf"(?:{_AS_PEOPLE}|(?:number|amount|rate|volume) of new (?:user )?(?:accounts?|users?))",
    only_some=r"(?P<p>\bonly) (?!one\b)(?:[\w'-]+ ){1,8}?(?:can|may|are able to"
    r"|are allowed to) (?:\w+ ){0,4}?CREATE\b",
    only_with=r"(?P<p>\bonly) (?:be able to )?CREATE (?:with|by|using|via|through|from)\b",
    limited=r"SIGNUP\b(?: \w+){0,3}? (?:is|are|been|being|temporarily|currently|remains?) (?:\w+ ){0,2}?"
    r"(?P<p>limited|restricted|throttled|rate[- ]limited|capped|only (?:open|available|possible|allowed"
    r"|supported|to|for)"
    r"|(?:open|available|possible|allowed|supported) only (?:to|for|with|by|in|from|via|through))\b",
    work_mail=r"SIGNUP\b.{0,20}?\b(?P<p>requires?|needs?) an? (?:\w+ )?(?:work|business|corporate|company|school"
    r"|university|institutional|organi[sz]ation(?:al)?) (?:e-?mail|account|address)",
    zh_limited=r"(?P<p>限制)了?[^,]{0,16}?注册|注册[^,]{0,6}(?P<q>受限|受到限制|限流|限量|限额)"
    r"|注册名额[^,]{0,4}(?:限制|有限|限|满|用完)|(?:限量|限额)[^,]{0,4}注册",
    zh_only=r"(?P<p>(?:仅|只)(?:限|允许|支持|能|接受|开放|对))[^,]{0,16}注册",
    zh_throttled=r"注册[^,]{0,4}(?P<p>(?:进行|实行|实施)?(?:限流|限量|限制|限额))",
)
DELAYED = _phrases(
    Registration.DELAYED,
    busy=rf"(?:{_CORE}|{_CREATE})\b(?: [\w-]+){{0,5}}? (?P<p>busy|slow|slower|slowly|delayed|take (?:a (?:little"
    rf"|bit) |somewhat |much |significantly )?longer"
    rf"|taking longer|takes longer|queued|arriv(?:e|ing) late"
    r"|takes? (?:several|a few|some|many) (?:minutes|hours|moments)|experienc\w+ delays|with delays|lagging"
    r"|sluggish)\b",
    delays=r"\b(?P<p>delays?|delayed|slower|slow|longer than usual|slowness|latency"
    r"|long waits?)\b (?:\w+ ){0,3}SIGNUP",
    codes_late=r"(?:verification|confirmation|activation) (?:e-?mails?|codes?"
    r"|sms) (?:\w+ ){0,2}?for new (?:accounts?|users?) (?:is|are) (?P<p>delayed|late|slow)\b",
    zh_busy=r"注册[^,]{0,10}?(?P<p>需要?等待|繁忙|较慢|缓慢|延迟|排队|延时|变慢|拥堵)",
)
AVAILABLE = _phrases(
    Registration.OPEN,
    available=r"SIGNUP\b.{0,40}?\b(?P<p>available|works?(?! (?:e-?mail|account|address))|working"
    r"|supported|unaffected)\b",
    zh_available=r"注册[^,]{0,6}(?P<p>正常|可用|不受影响)",
)
_CANNOT = (
    r"(?:cannot|can not|can't|cant|could not|couldn't|unable to|(?:not|n't) able to|failing to|fail(?:s|ed)? to"
    r"|struggl\w+ to"
    r"|having (?:a hard time|trouble|problems?|issues?|difficult\w+)(?: to)?|not being able to)"
)
_BROKEN = (
    r"fail(?:s|ing|ed)?|broken|down|(?:not|\w+n't) (?:currently |always |yet |being )*(?:work|load|respond"
    r"|open|complet|function|succeed|process|go(?:ing)? through|reachable|accessible|usable)(?:ing|ed|e)?"
    r"|errors?|erroring|tim(?:e|es|ed|ing) out"
    r"|stopp(?:ed|ing) working|unsuccessful"
    r"|impaired|degraded|disrupted|interrupted|impacted|affected|intermittent(?:ly)?"
    r"|unstable|unreliable"
    r"|malfunctioning|offline|unreachable|inaccessible|unusable|stuck|stall(?:ed|ing)|rejected|refused"
    r"|out of (?:service|order)|crash(?:es|ing)|unresponsive|hang(?:s|ing)|spin(?:s|ning)|impossible"
    r"|experiencing (?:\w+ ){0,4}?(?:errors?|issues?|problems?|difficult\w+|trouble|disruptions?|an outage|failures?)"
)
_LOWER = (
    r"(?:reduced|lower(?:ed)?|dropp(?:ed|ing)|degraded|decreas(?:ed|ing)|fall(?:en|ing)|fell|low|down"
    r"|declin(?:ed|ing))"
)
BROKEN = _phrases(
    Registration.FAILING,
    cannot=rf"(?P<p>{_CANNOT}) (?:\w+ ){{0,2}}?CREATE\b(?! (?:(?:more|twice|again|another|multiple|if"
    rf"|unless|until|before)\b"
    r"|(?:with(?:out)?|using|from|under) (?:an? |the |your )?(?:temporary|disposable|vpn|valid|same|age"
    r"|multiple|existing|prepaid|voip)))",
    cannot_take=r"(?P<p>(?:cannot|can't|could not|couldn't|unable to|(?:not|n't) able to) (?:process|handle"
    r"|complete|get past|get through|open|load|reach|submit)) (?:\w+ ){0,3}?SIGNUP",
    no_codes=rf"(?P<p>{_CANNOT}|(?:not|n't)) (?:receiv(?:e|ing)|get(?:ting)?) (?:[\w-]+ ){{0,3}}?"
    rf"(?:codes?|e-?mails?|sms) (?:[\w-]+ ){{0,2}}?(?:{_CORE}|{_CREATE})\b",
    attempts_fail=r"(?P<p>\b(?:some|many|most|all|a few|several)(?: of the)? (?:\w+ )?attempts (?:still |now )?fail)\b",
    impossible=r"(?P<p>(?:impossible|not (?:currently )?possible) (?:for (?:\w+ ){1,3})?to) CREATE\b",
    cannot_be=r"new (?:user )?accounts? (?P<p>(?:cannot|can not|can't|could not|couldn't) be (?:created"
    r"|registered|opened|made|set up))",
    neither=rf"(?P<p>\b(?:neither|nor)\b (?:[\w-]+ ){{0,4}}?(?:{_CORE})) (?:was |were |is |are |has |have )?"
    r"(?:work|possible|available|function|succeed)",
    nobody=r"(?P<p>\b(?:nobody|no one|no new users?|none) (?:\w+ ){0,4}?(?:can|could|is able to|are able to"
    r"|was able to) (?:\w+ ){0,2}?)CREATE\b",
    kept_from=r"(?P<p>\b(?:prevent|block|stopp?|keep|hinder)(?:s|ing|ed)?) (?:\w+ ){0,4}?(?:from )?CREATE\b",
    fails=rf"(?:{_CORE}|{_CREATE})\b (?:[\w'%-]+ ){{0,6}}?(?P<p>{_BROKEN})\b(?! to (?:log|sign) ?in)",
    ends_in_error=rf"(?:{_CORE}|{_CREATE})\b (?:[\w-]+ ){{0,4}}?(?P<p>(?:return|end|result|throw|show"
    rf"|display|give|get|gett|see|receive|encounter|face|hit)"
    rf"(?:s|ing|ed)? .{{0,30}}?(?:errors?|failures?|5\d\ds?|went wrong))\b",
    trouble=rf"\b(?P<p>{_TROUBLE})\b:? WORDS(?:{_CORE}|{_CREATE})\b",
    sign_up_trouble=rf"(?:{_CORE}) (?:\w+ ){{0,2}}?(?P<p>{_TROUBLE})\b",
    failing_sign_ups=r"\b(?P<p>failing|failed|broken|unsuccessful|faulty) (?:\w+ ){0,2}?SIGNUP",
    success=rf"\bsuccess(?:ful)?(?: \w+)? (?:of|for|in) (?:\w+ ){{0,3}}?SIGNUP\b (?:\w+ ){{0,4}}?(?P<p>{_LOWER})\b",
    fewer_successful=rf"\b(?P<p>drop|decrease|decline|fall|dip|reduction|decreased|reduced"
    rf"|fewer)\b (?:\w+ ){{0,3}}?success\w*(?: \w+){{0,3}}? (?:{_CORE})",
    successful_fewer=rf"\bsuccess\w* (?:\w+ ){{0,3}}?(?:{_CORE})\b (?:\w+ ){{0,4}}?(?P<p>{_LOWER})\b",
    low_success=rf"\b(?P<p>{_LOWER}) success(?: \w+)? (?:\w+ ){{0,3}}?SIGNUP",
    sign_up_success=rf"SIGNUP success(?: \w+)? (?:\w+ ){{0,4}}?(?P<p>{_LOWER})\b",
    few=r"(?P<p>\bonly\b|\bjust\b) .{0,30}?SIGNUP\b (?:\w+ ){0,3}?(?:succeed|go through|goes through"
    r"|get through|complete|work|are successful|is successful)\w*",
    zh_cannot=r"(?P<p>无法|不能|未能|难以|没办法|没法)(?![^,]{0,8}(?:重复|多次|同时"
    r"|再次))[^,]{0,10}?ZHCREATE(?!多个|重复|第二|两个)",
    zh_cannot_be=rf"{_ZH_ACCOUNT}[^,]{{0,4}}?(?P<p>无法|不能)(?:被)?(?:创建|注册|开通)",
    zh_cannot_after=r"注册(?P<p>不了|不上|不成功|不成)",
    zh_fails=r"(?:ZHCREATE)(?:功能|服务|接口|页面|系统|流程|通道|入口|请求|环节|验证)?[^,]{0,12}?(?P<p>异常"
    r"|失败|故障|报错|出错|错误|问题|崩溃|超时|中断|不稳定|受到?影响|受阻|打不开|无响应|不响应|卡住|卡顿"
    r"|不可访问|加载不出|返回 ?5\d\d|卡在|转圈|白屏"
    r"|(?:不能|无法|不可)(?:正常)?(?:使用|访问|打开|完成|提交))",
    zh_no_code=r"注册[^,]{0,6}(?P<p>收不到|无法收到|没有?收到|未收到|接收不到)|(?P<q>收不到|无法收到|接收不到)[^,]{0,4}注册",
    zh_success=r"注册(?:的)?(?:成功|通过)率?[^,]{0,6}?(?P<p>下降|降低|偏低|降至|降到|较低|走低)",
    zh_trouble=r"(?P<p>异常|故障|问题)[^,]{0,4}(?:影响|导致)[^,]{0,10}注册",
)
