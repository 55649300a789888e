"""What else one may register or sign up for than an account: events, plans, features, devices."""

from __future__ import annotations

import re

_THINGS = (
    r"(?:webinar|event|conference|summit|meetup|workshop|hackathon|devday|course|programs?|newsletter"
    r"|mailing list|beta|alpha|preview"
    r"|early access|trial|competition|contest|domain|device|vehicle|voter|trademark|model|webhook|tools?"
    r"|plug-?in|mcp|agent|app"
    r"|application|client|server|service worker|host|node|runner|sim|card|passkey|key|business|company|tax"
    r"|vat|patent|product"
    r"|sora|codex|operator|atlas|dall-?e|veo|imagen|canvas|artifacts?|projects?|voice|video|image|agents?"
    r"|assistants?|tasks?|jobs?|principal|copilot|fellowship|warranty|copyright|handler|dns|push|notification"
    r"|token|update|alert|news|brand|callback|schema|interest)s?"
)
_PLANS = (
    r"(?:(?:paid |plus |pro |max |ultra |team |teams |business |enterprise |premium |student |starter "
    r"|individual |family )+"
    r"(?:plans?|tiers?|subscriptions?|packages?|memberships?|users|customers|subscribers|accounts)"
    r"|(?:paid |new )?(?:plans?|tiers?|subscriptions?|packages?|memberships?)(?! and)|(?:[\w.-]+ )?(?:plus"
    r"|pro|max|ultra|premium|enterprise))"
)
_OTHER_MATTER = re.compile(
    rf"\b(?:registrations?|sign[- ]?ups?) (?:for|to|of|on|in|as) (?:the |our |a |an |this |new "
    rf"|some )*(?:[\w.-]+ ){{0,2}}?{_THINGS}\b"
    rf"|\b(?:registrations?|sign[- ]?ups?) (?:for|to|of|on|in) (?:the |our |a |an |this |new |some "
    rf"|chatgpt |claude )*(?!free\b){_PLANS}\b"
    rf"|\b{_THINGS}(?:'s)? (?:registrations?|sign[- ]?ups?)\b"
    r"|\b(?:plus|pro|max|ultra|premium|enterprise|team|business|(?:paid[ -])?plan|tier|subscription"
    r"|membership)s? (?:registrations?|sign[- ]?ups?)\b"
    rf"|\b(?:register|registering|sign up|signing up) (?:for|to|your|an?|the) (?:the |our |a |an |your "
    rf"|new )*(?:[\w.-]+ ){{0,2}}?{_THINGS}\b"
    rf"|\b(?:register|registering) (?:(?!(?:in|on|via|with|by|using|through|from|at|and|or|because|under)\b)[\w.-]+ )"
    rf"{{0,2}}?{_THINGS}\b"
    r"|\bregistration (?:deadline|fee|number|date|mark)s?\b"
    r"|\b(?:early(?:-bird)?|late|on-?site|(?<!-)service|speaker) registration\b"
    r"|\baccounts (?:payable|receivable)\b"
    rf"|\b(?:register|registering|sign up|signing up) (?:for|to) (?:the |our |a |an |new )*(?!free\b){_PLANS}\b"
    r"|\b(?:newsletter|mailing list|conference|summit|webinar|meetup|workshop|hackathon|devday)s?\b|unlimited"
    r"|\b(?:registration|sign[- ]?up) (?:bonus(?:es)?|rewards?|credits?|gifts?|offers?|promotions?"
    r"|discounts?|fees?)\b"
    r"|\bnot true that\b|\brumou?rs?\b|不实|谣言|大会|峰会|研讨会"
    r"|(?:活动|大会|会议|比赛|讲座|商标|域名|设备|公司|企业|车辆|模型|插件|工具|应用|服务器|节点|证书|实例"
    r"|智能体|组件)(?:的)?注册"
    r"|注册(?:商标|资本|资金|公司|表(?!单|格)|会计|活动|即?送|就送|有礼|赠送|礼包|奖励|优惠|域名|设备|插件|工具|应用|webhook)"
    r"|注册(?:时间|日期)[^,]{0,2}显示|注册(?:中心|与发现)|服务注册(?:发现|表)|复盘|回顾"
    r"|注册(?:手机号?|邮箱|信息|资料|地址)[^,]{0,4}(?:换绑|修改|变更|更换|更改)|(?:修改|更换|更改|变更|换绑)了?注册"
    r"|(?:会员|套餐|订阅|付费版?|专业版|企业版|高级版|plus|pro)[^,]{0,4}(?:注册|开通)"
)
_PLACE = re.compile(r"\b(?:on|in|from|via) (?:the |our |your |any |a )?(?:[\w-]+ ){0,2}?(?:apps?|clients?|devices?)\b")
"""Where one signs up, not for what."""
_USE = re.compile(
    r"\bnew (?:user )?(?:accounts?|users?)\b(?:(?!\b(?:due|because|since|while|as|owing|so|ensure|given)\b).)*?"
    r"\b(?:messages?|requests?|prompts?|generat\w+|queries|images?|videos?|voice|tokens?|calls?|questions?|conversations?"
    r"|chats?|upload\w*|credits?|files?|search(?:es)?|models?|mode|gpt\S*|features?|history|memory|send|sending|using)\b"
)
"""What new people may do with the product is no matter of how one becomes one of them."""
_BECOMING = re.compile(r"regist|sign|creat|join|onboard|\baccept|\btak(?:e|ing)\b")
_OTHER_WAIT = re.compile(
    r"\bwait(?:ing)?[- ]?lists? (?:for|to (?:try|use|test))\b(?! (?:new (?:users|accounts)|registration"
    r"|sign|an? account))|(?:功能|模型|内测|api)[^,]{0,6}(?:候补|排队|等候|等待)名单"
)


def is_other_matter(text: str) -> bool:
    """Tell whether a sentence is about signing up for something else than an account, or about what accounts may do."""
    low = _PLACE.sub("", text.casefold())
    is_use = _USE.search(low) and not _BECOMING.search(low)
    return bool(is_use or _OTHER_MATTER.search(low) or _OTHER_WAIT.search(low))
