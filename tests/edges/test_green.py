"""Green means that we saw it work: every kind before the same troubles, at the simulated vendor as a real server."""

from __future__ import annotations

from typing import Any

import pytest

from monitor.core.model.observations import Observation
from monitor.core.model.reasons import Outcome, Reason
from monitor.simulator.play import serve
from monitor.simulator.state import Account
from tests.edges import driven
from tests.edges.site import look_at

KEY = "sk-test-0123456789abcdef"
ACCOUNT = {"email": Account().email, "password": Account().password}
MARKS = {"marks": ["title:DeepSeek"]}
KINDS: dict[str, tuple[str, str, str, dict[str, Any]]] = {
    "chat": ("chat", "base_url", "/deepseek", {"model": "deepseek-flash", "key": KEY, "stall_s": "1s"}),
    "chat without a key": ("chat", "base_url", "/deepseek", {"model": "deepseek-flash"}),
    "page": ("http", "url", "/deepseek/", {**MARKS, "redirects": 3}),
    "json": ("http", "url", "/deepseek/health", {"json_path": {"status": True}}),
    "log-in": ("login", "url", "/deepseek", {"product": "open_webui", **ACCOUNT}),
    "log-in page": ("login", "url", "/deepseek/sign_in", MARKS),
    "log-in edge": ("login", "url", "/deepseek", {"product": "open_webui"}),
    "registration": ("registration", "url", "/deepseek", {"detector": "open_webui"}),
    "witness": ("upstream", "url", "/deepseek/status", {"provider": "statuspage"}),
}
TROUBLES: dict[str, Any] = {
    "401": {"fault": "status", "status": 401},
    "404": {"fault": "status", "status": 404},
    "a refused key": "auth",
    "429 with Retry-After": "rate_limit",
    "no money": "payment",
    "our region": "region",
    "a web page": "html",
    "a challenge": "challenge",
    "at capacity": {"fault": "notice", "text": "DeepSeek is at capacity right now"},
    "too many": {"fault": "notice", "text": "当前访问人数过多，请稍后再试"},
    "maintenance": {"fault": "notice", "text": "Down for scheduled maintenance"},
    "maintenance in Chinese": {"fault": "notice", "text": "系统维护中"},
    "unavailable": {"fault": "notice", "text": "We'll be right back"},
    "a parked domain": {"fault": "notice", "text": "This domain is for sale"},
    "an empty shell": {"fault": "notice"},
    "empty": "empty",
    "another site": {"fault": "redirect", "to": "http://localhost:{port}/health"},
}


def seen(kind: str, trouble: Any) -> Observation:
    name, where, path, options = KINDS[kind]

    async def story() -> Observation:
        async with serve() as vendor:
            port = vendor.url.rpartition(":")[2]
            if isinstance(trouble, dict) and "to" in trouble:
                trouble_ = trouble | {"to": trouble["to"].format(port=port)}
            else:
                trouble_ = trouble
            if trouble_ is not None:
                vendor.set("deepseek", everything=trouble_, status=trouble_)
            return await look_at(name, None, **({where: vendor.url + path} | options))

    return driven.run(story())


AUTH, BLOCKED, CONFIG, CONTENT = Reason.AUTH, Reason.BLOCKED, Reason.CONFIG, Reason.CONTENT
CHANGED, EMPTY, FULL, LIMIT, OK = Reason.CHANGED, Reason.EMPTY, Reason.OVERLOADED, Reason.RATE_LIMIT, Reason.OK
NO, QUOTA, REGION, STATUS = Reason.UNREADABLE, Reason.QUOTA, Reason.REGION, Reason.STATUS
ELSEWHERE = Reason.REDIRECT
NOT_THE_PRODUCT = (BLOCKED, BLOCKED, CHANGED, BLOCKED, BLOCKED, CHANGED, BLOCKED, NO, NO)
SAYS_FULL = (FULL, FULL, FULL, FULL, FULL, FULL, FULL, NO, NO)
SAYS_WHY = (CONTENT, CONTENT, CONTENT, CONTENT, CONTENT, CONTENT, CONTENT, NO, NO)
TABLE: dict[str, tuple[Reason, ...]] = {
    "401": (AUTH, BLOCKED, AUTH, AUTH, AUTH, BLOCKED, BLOCKED, NO, NO),
    "404": (CONFIG, OK, STATUS, STATUS, CONFIG, CONFIG, CONFIG, NO, NO),
    "a refused key": (AUTH, OK),
    "429 with Retry-After": (LIMIT, LIMIT),
    "no money": (QUOTA, QUOTA),
    "our region": (REGION, OK),
    "a web page": NOT_THE_PRODUCT,
    "a challenge": (BLOCKED,) * 9,
    "at capacity": SAYS_FULL,
    "too many": SAYS_FULL,
    "maintenance": SAYS_WHY,
    "maintenance in Chinese": SAYS_WHY,
    "unavailable": SAYS_WHY,
    "a parked domain": NOT_THE_PRODUCT,
    "an empty shell": NOT_THE_PRODUCT,
    "empty": (EMPTY,) * 7 + (NO, NO),
    "another site": (CONFIG, CONFIG, CHANGED, CONTENT, ELSEWHERE, CHANGED, CHANGED, NO, NO),
}
"""Trouble → the reason that each kind must give, in the order of ``KINDS``. The short rows speak the API's own
shape, which only the chat endpoints do. The edge without a key proves only that somebody answers, and is no
more than that to the rules (:class:`monitor.core.catalogue.Proof`)."""


@pytest.mark.parametrize("trouble", TABLE)
def test_no_trouble_that_truth_knows_is_green_to_any_kind_that_can_see_it(trouble: str) -> None:
    found = {kind: seen(kind, TROUBLES[trouble]).reason for kind, _ in zip(KINDS, TABLE[trouble], strict=False)}
    assert found == dict(zip(KINDS, TABLE[trouble], strict=False))


@pytest.mark.parametrize("kind", KINDS)
def test_without_trouble_every_kind_is_green(kind: str) -> None:
    assert seen(kind, None).reason is Reason.OK


@pytest.mark.parametrize(("fault", "reason"), [("filtered", Reason.POLICY), ("wrong_answer", Reason.QUALITY)])
def test_a_filtered_or_wrong_answer_is_no_outage_and_never_green(fault: str, reason: Reason) -> None:
    async def story() -> Observation:
        async with serve() as vendor:
            vendor.set("deepseek", chat=fault)
            return await look_at("chat", base_url=f"{vendor.url}/deepseek", model="deepseek-flash", key=KEY)

    observation = driven.run(story())
    assert observation.reason is reason
    assert observation.reason.outcome in (Outcome.UNKNOWN, Outcome.SLOW)
