"""Prices that depend on the hour reach the budget; a key may go in a header of its own."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from monitor.probes.chat.budget import Rung
from monitor.probes.chat.off_peak import is_cheap, parse
from monitor.probes.chat.options import Options, secret_headers
from tests.edges import driven
from tests.edges.site import Page, look_at, serve

DEEPSEEK = ("Mon-Fri 00-01 04-06 10-24", "Sat-Sun")
ANSWER = b"""data: {"choices":[{"delta":{"content":"Hello"}}]}

data: {"choices":[{"delta":{},"finish_reason":"stop"}]}

data: {"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":100}}

data: [DONE]

"""


def at(day: int, hour: int, minute: int = 0) -> datetime:
    """November 2026: the 23rd is a Monday."""
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "cheap"),
    [
        (at(23, 0), True),
        (at(23, 0, 51), False),
        (at(23, 1), False),
        (at(23, 3, 59), False),
        (at(23, 4), True),
        (at(23, 5, 55), False),
        (at(23, 6), False),
        (at(23, 9, 59), False),
        (at(23, 10), True),
        (at(23, 23, 55), True),
        (at(27, 23, 55), True),
        (at(28, 2), True),
        (at(29, 7), True),
        (at(29, 23, 55), True),
        (at(30, 1), False),
    ],
)
def test_the_hours_that_cost_less_are_those_of_the_vendor(now: datetime, cheap: bool) -> None:
    assert is_cheap(parse(DEEPSEEK), now) is cheap


@pytest.mark.parametrize("line", ["", "Mon-Fri 24-25", "Mon 10-10", "Mon 22-02", "Day 1-2", "Mon-Fri 1-2,3-4", "09-17"])
def test_hours_that_make_no_sense_are_refused_in_words(line: str) -> None:
    with pytest.raises(ValueError, match="write"):
        parse([line])
    with pytest.raises(ValidationError):
        Options.model_validate({"base_url": "https://x.example", "model": "m", "off_peak": [line]})


def test_days_may_go_round_the_week() -> None:
    assert {day for day, _hour in parse(["Sat-Mon 01-02"])} == {5, 6, 0}
    assert len(parse(["Sun"])) == 24


def options(**more: Any) -> dict[str, Any]:
    return {
        "model": "m",
        "key": "sk-canary-0123456789",
        "usd_per_million_input": 1.0,
        "usd_per_million_output": 10.0,
        "off_peak": DEEPSEEK,
        "off_peak_ratio": 0.5,
        "canary": False,
    } | more


def test_a_question_is_booked_at_what_it_costs_at_its_hour_and_promised_at_the_highest_price() -> None:
    plan = Options.model_validate({"base_url": "https://x.example"} | options())
    assert plan.plan().cost(10, 100) == pytest.approx(0.00101)
    assert plan.plan(at(23, 2)).cost(10, 100) == pytest.approx(0.00101)
    assert plan.plan(at(23, 12)).cost(10, 100) == pytest.approx(0.000505)
    assert plan.most_of_a_question()[1] == pytest.approx(plan.plan().worst(Rung.SHORT)[1])


def test_the_ledger_and_the_look_carry_the_price_of_the_hour_and_the_key_its_own_header() -> None:
    async def story() -> None:
        async with serve({"/v1/chat/completions": Page(ANSWER, 200, {"content-type": "text/event-stream"})}) as site:
            spent = {}
            for hour in (2, 12):
                memory: dict[str, Any] = {}
                more = options(base_url=f"{site.url}/v1", key_header="api-key", models_every_s=None)
                seen = await look_at("chat", memory, now=at(23, hour), **more)
                assert seen.reason.value == "ok", seen.detail
                spent[hour] = memory["ledger"]["usd"]
            assert spent[2] == pytest.approx(0.00101)
            assert spent[12] == pytest.approx(0.000505)
            assert {asked.headers.get("api-key") for asked in site.asked} == {"sk-canary-0123456789"}
            assert not any("authorization" in asked.headers for asked in site.asked)

    driven.run(story())


def test_without_a_header_of_its_own_the_key_goes_where_the_dialect_has_it() -> None:
    plain = Options.model_validate({"base_url": "https://x.example", "model": "m", "key": "k"})
    assert secret_headers(plain) == {"Authorization": "Bearer k"}
