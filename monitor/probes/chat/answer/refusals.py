"""Whose trouble a refusal is, by its status and by the vendor's or gateway's own words.

Codes are those of the error pages of OpenAI, Anthropic, DeepSeek, OpenRouter, Google, Groq, Moonshot, Alibaba, Zhipu,
Volcengine, SiliconFlow and MiniMax, read in 2026; those of xAI, Mistral and of the gateways LiteLLM, New API, One API,
Portkey, Vercel and Cloudflare are as their sources and public clients record them.
"""

from __future__ import annotations

import re

from monitor.probes.chat.answer.endings import Ending
from monitor.probes.chat.answer.seen import Seen, error_of, named, refused, says, status


def region(seen: Seen) -> bool:
    """Tell a refusal of our country."""
    phrases = (
        *("country, region, or territory", "region is not supported", "location is not supported"),
        *("not available in your country", "not available in your region", "unsupported region"),
    )
    return (
        status(seen) == 451
        or named(seen, "unsupported_country_region_territory")
        or (refused(seen, 400, 403) and says(seen, *phrases))
    )


def policy(seen: Seen) -> bool:
    """Tell a content filter that refused our fixed prompt."""
    if seen.reply.ending is Ending.FILTERED:
        return True
    is_named = named(seen, "content_filter", "content_policy_violation", "data_inspection_failed", "1301")
    flagged = says(seen, "content exists risk", "flagged", "moderation", "content management policy", "guardrail")
    return is_named or (refused(seen, 400, 403, 446) and flagged)


_MONEY = (
    "credit_balance_exhausted",
    "insufficient_quota",
    "insufficient_balance",
    "insufficient_credits",
    "insufficient_funds",  # Vercel's gateway
    "insufficient_user_quota",  # New API, One API
    "insufficient_token_quota",
    "pre_consume_token_quota_failed",
    "billing_error",
    "billing_not_active",
    "billing_hard_limit_reached",
    "enforced_spend_limit_reached",
    "exceeded_current_quota_error",  # Moonshot
    "arrearage",  # Alibaba
    "account_overdue_error",  # Volcengine
    "set_limit_exceeded",  # the same: a limit that the account set for itself
    "payment_required",
    "1008",  # MiniMax
    "1113",  # Zhipu: in arrears
    "1304",  # Zhipu: today's limit
    "1308",  # the plan's limit for some hours
    "1309",  # the plan has ended
    "1310",  # the plan's limit for the week or month
    "1313",  # fair use
    "30001",  # SiliconFlow
    "AB01",  # Portkey
)
_OUT_OF_MONEY = (
    "spend limit",
    "credit balance is too low",
    "usage limit",
    "in arrears",
    "any credits",  # xAI says so with a 403
    "all available credits",  # and so with a 429
    "quota exceeded for",
    "key limit exceeded",  # OpenRouter
    "free allocation",  # Cloudflare
    "credits to unlock",  # OpenRouter's free models
    "trial key",  # Cohere
    "monthly included credits",  # Hugging Face
    "monthly spending limit",  # Fireworks
    "set inference limit",  # Volcengine
    *("trial limit", "cost limit", "credit limit", "usage cap", "subscription expired", "per day exhausted"),
    *("消费上限", "消费限额"),
)
_NO_QUOTA = re.compile(
    r"(?:exceed(?:ed|s|ing)?|exhausted|reached|used up|out of|hit) (?:\w+ ){0,4}quota"
    r"|quota (?:\w+ ){0,4}(?:exceeded|exhausted|reached|used up|depleted)|配额.{0,10}(?:用尽|用完|不足|超)"
)
"""With the statuses of a refusal only: a storage quota of the vendor's own fails with a 500."""
_NOT_OURS = re.compile(r"\bnot your (?:[\w-]+ ){0,2}(?:limit|quota)\b")
"""Anthropic says that it limits everybody."""
_BUDGET = (
    *("budget_exceeded", "exceeded_budget", "max_budget_exceeded", "budget_limit_exceeded"),
    *("cost_limit_exceeded", "quota_exceeded"),
)
_SPENT = re.compile(
    r"budget\b.{0,40}?\b(?:exceeded|reached|exhausted|used up|spent|depleted|hit)\b"
    r"|(?:exceed(?:ed|s|ing)?|crossed|over|above|exhausted|used up|out of|hit|reached) (?:\w+ ){0,3}budget"
    r"|\bno (?:\w+ )?budget|current spend for \w+: [\d.]+; max budget"
    r"|(?:exceed(?:ed|s|ing)?|reached|hit|crossed) (?:\w+ ){0,4}(?:spend(?:ing)?|credit|billing) (?:limit|cap)"
    r"|(?:spend(?:ing)?|credit|billing)(?: hard)? (?:limit|cap) (?:\w+ ){0,3}(?:exceeded|reached|hit|crossed)"
    r"|insufficient[ _](?:(?:user|token|account|key|api|remaining|credit) )?(?:quota|balance|credits?|funds)"
    r"|(?:balance|credits?|funds) (?:is|are) (?:insufficient|exhausted)"
    r"|not enough (?:(?:user|token|account|key|api|remaining|credit) )?(?:balance|credits?|funds|quota)"
    r"|(?:user|token|key|account)s? quota (?:is )?(?:not enough|exhausted)"
    r"|(?:balance|credits|funds) (?:is |are )?(?:not enough|too low|exhausted|depleted|used up)"
    r"|(?:out of|no|run out of|ran out of|used (?:up )?all(?: of)? your|requires? more|no more) (?:remaining )?credits"
    r"|exceeded your current quota|payment required|add (?:more )?(?:credits|funds)"
    r"|欠费|余额不足|余额已|账户余额|额度不足|额度已用尽|额度已用完|配额不足|额度失败"
)
"""Words for money that is spent, ours at a vendor, at a gateway (which answers with whatever status), or a gateway's
own that it hands on: ours whatever the status. A budget of tokens or time is another matter, and so are the words
``quota`` and ``limit`` alone."""
_OTHER_BUDGET = re.compile(
    r"(?:token|thinking|reasoning|time|latency|error|retry|retries|memory|compute|cpu|gpu|cache|context|storage)s?"
    r"[ _-]budget"
)


def quota(seen: Seen) -> bool:
    """Tell that money, a plan or a budget of ours is used up."""
    message, code = error_of(seen).message.lower(), error_of(seen).code.lower()
    spent = bool(_SPENT.search(message)) and not _OTHER_BUDGET.search(message)
    told = says(seen, *_OUT_OF_MONEY) or bool(_NO_QUOTA.search(message))
    return (
        status(seen) == 402
        or spent
        or named(seen, *_BUDGET, *_MONEY)
        or code.endswith(("_spend_limit_exceeded", "_usage_limit_exceeded"))
        or (told and refused(seen, 400, 403, 412, 429) and not _NOT_OURS.search(message))
    )


_WRONG_KEY = re.compile(
    r"(?:api|virtual|access|secret)[ _-]?key (?:is )?(?:not valid|invalid|expired|disabled|revoked|blocked|not found)"
    r"|(?:incorrect|invalid|expired|revoked|disabled|unknown|wrong|malformed|missing|no)"
    r" (?:api|virtual|access)[ _-]?key"
    r"|virtual key expected|expired key|key expiry|key has (?:been )?(?:expired|disabled|revoked|deleted)"
    r"|key is (?:blocked|disabled|expired)"
    r"|invalid proxy server token|^invalid token\b|token (?:has |is )?(?:expired|been revoked|revoked)"
    r"|unable to find token in cache"
    r"|无效的令牌|令牌已过期|令牌状态不可用|令牌验证失败|密钥无效|密钥已过期"
)
"""Google, xAI and gateways say so with a 400, gateways after failures of their own with others."""
_KEY_NAMES = (
    *("authentication_error", "permission_error", "invalid_api_key", "expired_key", "expired_api_key"),
    *("token_not_found_in_db", "invalid_token", "invalid_key", "api_key_expired", "unauthorized", "unauthenticated"),
    *("1004", "2049"),  # MiniMax, with a 200
)


def auth(seen: Seen) -> bool:
    """Tell that our key is refused."""
    is_refused = status(seen) in (401, 403) or named(seen, *_KEY_NAMES)
    is_refused = is_refused or (refused(seen, 400, 404, 422, 500) and bool(_WRONG_KEY.search(_words(seen))))
    if not is_refused or region(seen) or policy(seen) or quota(seen):
        return False
    return not unknown_model(seen)


_RATE = (
    *("rate_limit_exceeded", "rate_limit_error", "rate_limit_reached_error", "rate_limit_reached", "requests"),
    *("tokens", "resource_exhausted", "limit_requests", "throttling_error", "too_many_requests"),
    "1302",  # Zhipu: concurrency
)
_COUNTED = re.compile(r"limit:? ([\d,]+)\b.{0,20}?used:? ([\d,]+)\b.{0,20}?requested:? ([\d,]+)")
"""How OpenAI and Groq count in words."""
_CROSSED = re.compile(
    r"crossed (?:\w+ / )*\w* ?(?:tpm|rpm)|max parallel request limit|(?:call|token) rate limit of your current"
    r"|rate limit (?:type = key|exceeded for (?:key|team|user|api_key))|limit of \d+ per \d+s exceeded"
)
"""A gateway's count of our own requests (LiteLLM), or that of a plan (Azure, GitHub)."""
_YOUR_LIMIT = re.compile(
    r"(?:exceed(?:ed|s|ing)?|reached) your (?:[\w'’-]+ ){0,4}rate limit|you have reached the rate limit"
    r"|your (?:account|organi[sz]ation|team|project|key) has (?:hit|reached|exceeded) (?:\w+ ){0,2}rate limit"
)
"""Anthropic and Together say so beside ``Retry-After``, and libraries keep the words alone."""


def own_rate(seen: Seen) -> bool:
    """Tell a 429 (Groq: 413) about our own limit: counters that say that it is not used up speak against it."""
    words = _words(seen)
    if status(seen) == 413:
        return named(seen, "rate_limit_exceeded")
    if not _is_limit(seen):
        return False
    if seen.limit_reached:
        return True
    if counted := _COUNTED.search(words):
        most, used, asked = (int(number.replace(",", "")) for number in counted.groups())
        return used + asked > most
    if _CROSSED.search(words):
        return True
    is_named = named(seen, *_RATE) or "rate limit" in words
    return is_named and (seen.asked_to_wait or bool(_YOUR_LIMIT.search(words))) and not seen.has_room


def _is_limit(seen: Seen) -> bool:
    """Tell a 429, or the name of one after a good status: the Responses API fails so in its stream."""
    return status(seen) == 429 or (status(seen) < 400 and named(seen, "rate_limit_exceeded", "rate_limit_error"))


_TOO_STEEP = ("slow_down", "limit_burst_rate")  # OpenAI; Alibaba


def ramp(seen: Seen) -> bool:
    """Tell that we began to ask too fast."""
    return named(seen, *_TOO_STEEP) and not seen.steady


def throttled(seen: Seen) -> bool:
    """Tell a 429 that shows no limit of ours."""
    return _is_limit(seen) and not named(seen, *_TOO_STEEP) and not _says_overload(seen)


def _says_overload(seen: Seen) -> bool:
    """Moonshot, Zhipu and Mistral say this with 429, others with 498, 503, 529 or after a 200."""
    is_named = named(seen, "overloaded_error", "overloaded", "engine_overloaded_error", "service_unavailable_error")
    full = named(seen, "1305", "service_tier_capacity_exceeded", "3505", "capacity_exceeded", "model_overloaded")
    said = says(seen, "overloaded", "too busy", "访问量过大", "capacity exceeded", "no healthy deployment")
    said = said or says(seen, "experiencing high traffic", "server is busy", "服务器繁忙", "服务繁忙", "系统繁忙")
    return is_named or full or said


def overloaded(seen: Seen) -> bool:
    """Tell that the vendor has too much to do."""
    return (
        status(seen) in (498, 503, 529)  # 498: Groq's flex tier
        or _says_overload(seen)
        or named(seen, *_TOO_STEEP, "unavailable")
        or says(seen, "no available provider", "no instances available")
        or seen.reply.ending is Ending.OVERLOADED
        or (status(seen) == 502 and says(seen, "provider returned error", "provider"))
    )


_ABOUT_THE_REQUEST = frozenset({404, 405, 413, 415, 422})


def server_error(seen: Seen) -> bool:
    """Tell a failure of the vendor's; with a status about the request the error's type alone is none (Ollama's)."""
    is_named = named(seen, "api_error", "server_error", "internal_server_error", "internal", "internal_error")
    # 424: text-generation-inference says so of a generation that failed.
    return (is_named and status(seen) not in _ABOUT_THE_REQUEST) or status(seen) >= 500 or status(seen) == 424


_NO_MODEL_NAMES = (
    *("model_not_found", "model_not_exist", "model_not_exists", "invalid_model", "unknown_model", "no_such_model"),
    *("model_not_supported", "unsupported_model", "model_decommissioned", "model_deprecated", "model_not_open"),
    *("deployment_not_found", "invalid_endpoint_or_model_not_found", "model_does_not_exist", "invalid_model_id"),
    "1211",  # Zhipu
    *("20012", "30003"),  # SiliconFlow: unknown, disabled
)
_NO_MODEL = re.compile(
    r"\bmodels?\b.{0,60}?(?:not|n't) (?:be )?(?:found|exist)|model .{0,60}is (?:unknown|invalid)|try pulling it"
    r"|llm provider not provided"  # LiteLLM
    r"|(?:unknown|invalid|no such|nonexistent|(?:not|n't) (?:find|have access to)(?: the)?) model"
    r"|not an? (?:known|valid|existing) model|no model (?:named|called|with)"
    r"|no endpoints found for|no available channels? (?:for|under)|模型.{0,60}?(?:不存在|未找到|无可用渠道)"
)
_NOT_THIS_MODEL = re.compile(
    r"\bmodels?\b.{0,100}?(?:(?:not|n't|never) (?:supported|deployed|a valid|recogni[sz]ed|known)|is unsupported"
    r"|decommissioned|deprecated|retired|no longer (?:available|supported|served)|not have access|not open)"
    r"|(?:unsupported|unrecogni[sz]ed) model|no models? (?:found|loaded)|deployment .{0,60}does not exist"
    r"|not a valid model|model identifier is invalid|unknown provider for model|模型.{0,60}?(?:不支持|未开通|已下线)"
    r"|不支持的模型|无可用渠道"
)
"""Words that say so only with a status about the request: with one of the server's they are its own trouble."""
_FOR_NOW = re.compile(
    r"temporar|currently|overload|capacity|loading|starting|try again|cool ?down|healthy|timed? ?out|暂时|稍后"
    r"|in (?:the )?(?:cache|shard|bucket)|on (?:the )?(?:disk|worker|node)|file not found|weights"
)
"""Words of a model that is there and cannot be had: the service's trouble."""


def unknown_model(seen: Seen) -> bool:
    """Tell that the model that we ask for is unknown, in any spelling and with any status.

    What was answered before and fails now with a status of the server's own is not ours, unless the vendor's list no
    longer has the model.
    """
    if not seen.reply.error or (seen.status >= 500 and seen.worked_before and seen.listed is not False):
        return False
    words = _words(seen)
    if named(seen, *_NO_MODEL_NAMES):
        return True
    if _FOR_NOW.search(words):
        return False
    return bool(_NO_MODEL.search(words)) or (status(seen) < 500 and bool(_NOT_THIS_MODEL.search(words)))


def retired(seen: Seen) -> bool:
    """Tell a model that was answered and is no longer listed."""
    gone = named(seen, "not_found_error", "notfounderror") or (status(seen) in (400, 404) and says(seen, "model"))
    return (gone or unknown_model(seen)) and seen.worked_before and seen.listed is False


def _words(seen: Seen) -> str:
    return error_of(seen).message.lower()
