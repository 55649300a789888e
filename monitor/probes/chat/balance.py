"""Is there money on our account? A free question that tells an empty account from an outage.

Shape of DeepSeek's ``GET /user/balance``: ``{"is_available": true, "balance_infos": [{"currency": "CNY",
"total_balance": "110.00", ...}]}``; amounts are strings, and ``is_available`` says whether they are enough for calls.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monitor.core.model.message_codes import MessageCode, coded
from monitor.core.model.observations import Observation
from monitor.core.model.reasons import Reason
from monitor.probes.answers import evidence, parse_json
from monitor.probes.base import Context, untimed
from monitor.probes.chat.answer.reply import table, word
from monitor.probes.chat.options import Options, key_of, plain_headers, secret_headers
from monitor.wire import Answer, HttpClient, WireError, answered

LONGEST_S = 5.0
"""So that a balance service that hangs leaves the question its time."""


async def empty_account(options: Options, ctx: Context) -> Observation | None:
    """Return ``account.quota`` when the vendor says that the account is empty.

    ``None`` when it is not, or when that could not be learnt: then the question itself must tell.
    """
    if options.balance_url is None or not key_of(options):
        return None
    limit_s = min(LONGEST_S, ctx.remaining_s() / 4)
    try:
        async with HttpClient(ctx.wire, ctx.limits(deadline_s=limit_s, connect_s=limit_s)) as client:
            headers = {**plain_headers(options, "application/json"), **secret_headers(options)}
            answer = answered(await client.get(options.balance_url, headers=headers))
        told = table(parse_json(answer.body)) if answer.status == 200 else {}
    except (WireError, ValueError):
        return None
    return _empty(answer, told) if told.get("is_available") is False else None


def _empty(answer: Answer, told: Mapping[str, Any]) -> Observation:
    rows = told.get("balance_infos")
    amounts = (
        [f"{word(table(row).get('total_balance'))} {word(table(row).get('currency'))}".strip() for row in rows]
        if isinstance(rows, list)
        else []
    )
    held = ", ".join(amount for amount in amounts[:3] if amount)
    seen = Observation(
        Reason.QUOTA,
        coded(MessageCode.ACCOUNT_EMPTY) + (f" ({held})" if held else ""),
        http_status=answer.status,
        http_version=answer.http_version,
        address=answer.address,
        bytes_received=answer.wire_bytes,
        phases=answer.phases,
        certificate=answer.certificate,
        warnings=answer.warnings,
        evidence=evidence(answer.url, answer.headers, answer.body),
    )
    return untimed(seen)
