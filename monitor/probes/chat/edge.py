"""The free rungs of the chat ladder: does the edge answer, is the model still listed. Neither proves inference."""

from __future__ import annotations

from dataclasses import replace

from monitor.core.model.observations import Observation
from monitor.core.model.reasons import Reason
from monitor.core.model.warning_codes import WarningCode
from monitor.probes import base
from monitor.probes.answers import evidence, has_room, is_html, limit_reached, parse_json, retry_after_s, robot_wall
from monitor.probes.base import Context
from monitor.probes.chat.answer.reply import Reply, table, word
from monitor.probes.chat.answer.seen import Seen
from monitor.probes.chat.answer.taxonomy import classify, refusal
from monitor.probes.chat.ask import error_in
from monitor.probes.chat.budget import Choice, Rung
from monitor.probes.chat.options import Options, plain_headers, secret_headers
from monitor.probes.marks import undue_page
from monitor.wire import Answer


async def look_at_edge(options: Options, ctx: Context, choice: Choice) -> Observation:
    """Ask for the list of models, with the key on its own rung and without it on the lowest."""
    with_key = choice.rung is Rung.MODELS
    answer = await models(options, ctx, with_key=with_key)
    seen = _seen_of(answer)
    alive = answer.status < 300 or answer.status in ((404, 405) if with_key else (400, 401, 403, 404, 405))
    _, reason = classify(seen)
    if answer.status < 300 and not answer.body.strip():
        # Empty is no sign of life: the same rule as for any answer in which data is due.
        reason = Reason.EMPTY
    elif seen.html and answer.status == 401 and not with_key:
        reason = Reason.BLOCKED  # a page that asks for a password is not the edge of an API
    elif alive and seen.page is None and reason is not Reason.BLOCKED:
        reason = Reason.OK
    found = listed(answer, options) if with_key else None
    detail = f"list of models: HTTP {answer.status}" if with_key else f"edge answers HTTP {answer.status}"
    notes: tuple[WarningCode, ...] = ()
    if reason is Reason.OK and not options.asks:
        detail, notes = f"{detail}; no key, so answers are not tested", (WarningCode.CHAT_EDGE_ONLY,)
    elif reason is Reason.OK and choice.spent:
        reason, detail = Reason.BUDGET, f"{choice.spent}; {detail}"
    if found is not None:
        ctx.memory["unlisted"] = not found and bool(ctx.memory.get("listed"))
        ctx.memory["listed"] = found or bool(ctx.memory.get("listed"))
    observation = _observed(
        answer, reason, detail if reason in (Reason.OK, Reason.BUDGET, Reason.EMPTY) else refusal(seen)
    )
    return replace(
        observation,
        warnings=(*observation.warnings, *notes),
        retry_after_s=retry_after_s(answer.headers, ctx.now),
        with_key=with_key,
    )


async def models(options: Options, ctx: Context, *, with_key: bool) -> Answer:
    """Fetch the list of models. Raises ``WireError``."""
    return await ctx.wire.fetch(
        "GET",
        options.protocol.models_url(options.place),
        headers=plain_headers(options, "application/json"),
        secret_headers=secret_headers(options) if with_key else base.opened(options.secret_headers),
        limits=ctx.limits(),
    )


def _seen_of(answer: Answer) -> Seen:
    error = error_in(answer.body) if answer.status >= 300 else None
    is_page = error is None and is_html(answer.headers, answer.body) and bool(answer.body.strip())
    return Seen(
        status=answer.status,
        html=is_page,
        page=undue_page(answer.status, answer.text, answer.url) if is_page and answer.status < 300 else None,
        wall=robot_wall(answer.status, answer.headers, answer.body),
        limit_reached=limit_reached(answer.headers),
        has_room=has_room(answer.headers),
        asked_to_wait="retry-after" in answer.headers,
        reply=Reply(error=error),
    )


def listed(answer: Answer, options: Options) -> bool | None:
    """Tell whether a list of models names ours (Google prefixes ``models/``); ``None`` when it cannot or is no list."""
    ids = _ids(answer) if options.protocol.LISTS_MODELS else None
    return None if ids is None else options.model in ids or f"models/{options.model}" in ids


async def model_names(options: Options, ctx: Context) -> tuple[str, ...] | None:
    """Return the models that the service lists for our key, None where it tells none. Raises ``WireError``."""
    ids = _ids(await models(options, ctx, with_key=True)) if options.protocol.LISTS_MODELS else None
    return None if ids is None else tuple(name.removeprefix("models/") for name in ids if name)


def _ids(answer: Answer) -> list[str] | None:
    """Return the names in a list of models; ``None`` when it is no list."""
    try:
        rows = table(parse_json(answer.body)).get("data") if answer.status < 300 else None
    except ValueError:
        return None
    return [word(table(row).get("id")) for row in rows] if isinstance(rows, list) else None


def _observed(answer: Answer, reason: Reason, detail: str) -> Observation:
    return Observation(
        reason,
        detail,
        http_status=answer.status,
        http_version=answer.http_version,
        address=answer.address,
        bytes_received=answer.wire_bytes,
        phases=answer.phases,
        certificate=answer.certificate,
        warnings=answer.warnings,
        evidence=None if reason is Reason.OK else evidence(answer.url, answer.headers, answer.body),
    )
