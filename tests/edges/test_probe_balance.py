"""The free look at the account's balance before a question, on the simulated vendor."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from pydantic import ValidationError

from monitor.core.model.observations import Observation
from monitor.core.model.reasons import Reason
from monitor.probes.chat.options import Options
from monitor.simulator.play import serve
from monitor.simulator.vendor import Vendor
from monitor.text.lexicon import lexicon
from monitor.text.messages import worded
from tests.edges import driven
from tests.edges.probing import KEY, context, look_once


def ask(memory: dict[str, Any] | None = None, **state: Any) -> tuple[Observation, Counter[str]]:
    """Ask the simulated DeepSeek in a state; returns what was seen and the requests by endpoint."""

    async def main() -> tuple[Observation, Counter[str]]:
        async with serve() as vendor:
            vendor.set("deepseek", ttft_s=0.01, **state)
            seen = await look(vendor, memory)
            return seen, vendor.services["deepseek"].counts

    return driven.run(main())


async def look(vendor: Vendor, memory: dict[str, Any] | None = None, **options: Any) -> Observation:
    base = f"{vendor.url}/deepseek"
    given = {"base_url": base, "balance_url": f"{base}/user/balance", "model": "deepseek-flash", "key": KEY} | options
    return await look_once("chat", context(memory, timeout_s=10.0), **given)


def test_an_empty_account_is_told_apart_without_asking() -> None:
    seen, requests = ask(balance_amount=0.0)
    assert seen.reason is Reason.QUOTA
    assert worded(seen.detail, lexicon()) == "the account is empty; nothing was asked (0.00 USD)"
    assert requests["chat"] == 0


def test_an_account_with_money_is_asked() -> None:
    seen, requests = ask(balance_amount=5.0)
    assert (seen.reason, requests["balance"], requests["chat"]) == (Reason.OK, 1, 1)


def test_an_outage_with_money_on_the_account_stays_an_outage() -> None:
    assert ask(balance_amount=5.0, chat={"fault": "overloaded"})[0].reason is Reason.OVERLOADED


@pytest.mark.parametrize("fault", ["server_error", "auth", "status"])
def test_a_balance_that_cannot_be_read_says_nothing(fault: str) -> None:
    assert ask(balance={"fault": fault})[0].reason is Reason.OK


def test_the_key_never_goes_to_another_host_for_the_balance() -> None:
    with pytest.raises(ValidationError, match="balance_url must be on the host of base_url"):
        Options(base_url="https://api.example.com", balance_url="https://pay.example.com/balance", model="m")


def test_a_model_that_vanished_from_anthropics_list_is_retired() -> None:
    async def main() -> list[Reason]:
        async with serve() as vendor:
            memory: dict[str, Any] = {}
            given = {"base_url": f"{vendor.url}/v1", "dialect": "anthropic", "model": "sim-chat", "balance_url": None}
            vendor.set(ttft_s=0.01)
            first = await look(vendor, memory, **given)
            vendor.set(retired=["sim-chat"])
            return [first.reason, (await look(vendor, memory, **given)).reason]

    assert driven.run(main()) == [Reason.OK, Reason.MODEL_RETIRED]
