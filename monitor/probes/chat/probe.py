"""Ask a chat model and measure how it answers.

Words and formulae. All times count from the moment the request was fully sent, on the kernel's receive stamps where
there are any:

* ``ttft_s`` time to first token: first chunk with text of the answer *or* of its reasoning (AIPerf, guidellm). A chunk
  with only the role or an empty text is no token. DNS, connect and TLS are not in it; see the phases.
* ``first_answer_s``: first chunk with text that is not reasoning (guidellm's first *output* token).
* ``queue_s``: first token - response headers, given only when keep-alives came in between.
* ``itl_p50_s``, ``longest_gap_s``: median and longest gap between chunks with tokens. Several tokens may share a
  chunk, so these are chunk gaps (AIPerf's inter-chunk latency, vLLM's ITL list).
* ``tpot_s`` time per output token: (last token - first token) / (n - 1) (vLLM), n = the vendor's own
  ``completion_tokens``, reasoning included. None without that count, or when everything came in one chunk.
* ``last_token_s`` end to end: the last chunk with a token, the usage chunk excluded (vLLM); not streamed: the
  last byte.
* ``tokens_per_s`` output tokens per second of the request: n / end to end (guidellm, llmperf).

Percentiles of any of these are taken over successful looks only.

Without a key only the edge can be looked at, and the look says so. The ladder and the budget are in
:mod:`~monitor.probes.chat.budget`, the classification is in :mod:`~monitor.probes.chat.answer.taxonomy`. Kept in
``ctx.memory``: the ledger, when a request like this worked last, whether the model was listed, and the model's
identity.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from random import Random
from typing import Any

from monitor.core.catalogue import Proof
from monitor.core.model.observations import Observation, Phases
from monitor.core.model.reasons import Outcome, Reason
from monitor.core.model.warning_codes import AnyWarning, WarningCode, detailed
from monitor.probes.answers import evidence, rate_limits, retry_after_s, tightest
from monitor.probes.base import Context, Kind, Memory
from monitor.probes.chat import budget
from monitor.probes.chat.answer.booking import TABLE, Booking, order
from monitor.probes.chat.answer.canary import Canary, Verdict, verdict
from monitor.probes.chat.answer.canary import ask as new_canary
from monitor.probes.chat.answer.likeness import Likeness, likeness
from monitor.probes.chat.answer.names import ending_soon, is_same
from monitor.probes.chat.answer.refusals import unknown_model
from monitor.probes.chat.answer.seen import End, Objectives, Seen
from monitor.probes.chat.answer.taxonomy import classify, refusal, warnings
from monitor.probes.chat.ask import Question, Talk, Wish, ask
from monitor.probes.chat.balance import empty_account
from monitor.probes.chat.budget import Choice, Ledger, Plan, Rung
from monitor.probes.chat.edge import listed, look_at_edge, model_names, models
from monitor.probes.chat.engine.watch import beside
from monitor.probes.chat.options import Options, plain_headers, secret_headers
from monitor.wire import WireError

STEADY_AFTER = 10
"""So many answers at our own pace make ``slow_down`` the vendor's trouble, not our ramp's."""
Trial = Canary | Booking | Likeness
_PLAIN_QUESTION = "Say hello in one short sentence."


def cut_off(memory: dict[str, Any], options: Options, now: datetime) -> None:
    """Book the question that another worker may have been asking when it died."""
    memory["ledger"] = budget.cut_off(options.plan(now), Ledger.read(memory.get("ledger"), now), now).stored()


def join(newer: dict[str, Any], older: dict[str, Any], now: datetime) -> dict[str, Any]:
    """Keep the newer memory, and the ledger of whichever spent more."""
    if "ledger" not in older:
        return newer
    return newer | {"ledger": budget.joined(newer.get("ledger", older["ledger"]), older["ledger"], now)}


async def run(options: Options, ctx: Context) -> Observation:
    """Climb the rung that is due."""
    plan, ledger = options.plan(ctx.now), Ledger.read(ctx.memory.get("ledger"), ctx.now)
    choice = budget.choose(plan, ledger, ctx.now, early=ctx.attempt > 1)
    seen = await beside(options, ctx, lambda: _climb(options, ctx, plan, ledger, choice))
    # The list is read rarely and a question asked not always: what they said holds for the looks in between.
    standing = [WarningCode.MODEL_NOT_LISTED] if ctx.memory.get("unlisted") else []
    found: list[AnyWarning] = [*seen.warnings, *standing]
    told = ctx.memory.get("rerouted")
    if told and ctx.memory.get("worked_with") == _identity(options):
        found.append(detailed(WarningCode.MODEL_REROUTED, f"{options.model}: {told}"))
    if ending := ending_soon(options.model, options.model_ends, ctx.now):
        found.append(ending)
    return replace(seen, warnings=tuple(found)) if len(found) > len(seen.warnings) else seen


async def _climb(options: Options, ctx: Context, plan: Plan, ledger: Ledger, choice: Choice) -> Observation:
    if not choice.rung.asks:
        ctx.memory["ledger"] = ledger.climbed(choice.rung, ctx.now).stored()
        seen = await look_at_edge(options, ctx, choice)
        again = ctx.attempt > 1 and seen.reason.outcome is Outcome.FAILED
        if again or seen.reason is Reason.AUTH:
            # No cheaper rung speaks for the service until a question is answered again.
            ctx.memory["ledger"] = replace(ledger.climbed(choice.rung, ctx.now), proven=False).stored()
        return seen
    broke = await empty_account(options, ctx)
    return broke or await _question(options, ctx, plan, ledger, choice.rung)


async def _question(options: Options, ctx: Context, plan: Plan, ledger: Ledger, rung: Rung) -> Observation:
    canary = _canary(options, ctx.rng, rung)
    worst_tokens, worst_usd = plan.worst(rung)
    # Book the cost before asking: a cancelled look has spent its tokens, too.
    ctx.memory["ledger"] = ledger.climbed(rung, ctx.now, tokens=worst_tokens, usd=worst_usd).stored()
    talk = await ask(_prepared(options, canary, plan.long_tokens if rung is Rung.LONG else plan.short_tokens), ctx)
    seen = await _completed(options, ctx, talk, canary)
    _, reason = classify(seen)
    tokens_in, tokens_out = _used(seen, worst_tokens - plan.prompt_tokens, plan.prompt_tokens)
    usd = plan.cost(tokens_in, tokens_out)
    booked = ledger.climbed(rung, ctx.now, tokens=tokens_in + tokens_out, usd=usd)
    ctx.memory["ledger"] = replace(booked, proven=reason is Reason.OK).stored()
    observation = _observation(talk, seen, reason, usd if plan.has_prices else None)
    notes = (*observation.warnings, *warnings(seen), *_remember(options, ctx, talk, seen, reason))
    wait_s = retry_after_s(talk.exchange.headers, ctx.now) if talk.exchange and seen.status >= 400 else None
    return replace(observation, warnings=notes, retry_after_s=wait_s)


def _canary(options: Options, rng: Random, rung: Rung) -> Trial | None:
    """Make the question whose answer can be checked; a long one is always in words."""
    if options.dialect == "embeddings":
        return likeness(rng) if options.canary else None
    if rung is Rung.LONG or options.canary is True:
        return new_canary(rng, long=rung is Rung.LONG)
    return order(rng, by_tool=options.canary == "tool_call") if options.canary else None


def _prepared(options: Options, canary: Trial | None, max_tokens: int) -> Question:
    dialect = options.protocol
    stream = options.stream and dialect.STREAMS
    texts = canary.texts if isinstance(canary, Likeness) else (canary.question if canary else _PLAIN_QUESTION,)
    wish = Wish(options.model, texts, stream, options.token_limit_field, max_tokens)
    if isinstance(canary, Booking):
        wish = wish._replace(tool=TABLE) if canary.by_tool else wish._replace(schema=TABLE)
    body = dialect.request(wish)
    return Question(
        dialect=dialect,
        url=dialect.url(options.place),
        headers=plain_headers(options, "text/event-stream" if stream else "application/json"),
        secret_headers=secret_headers(options),
        content=json.dumps(body | options.extra).encode(),
        stream=stream,
        stall_s=options.stall_s,
        headers_timeout_s=options.headers_timeout_s,
    )


async def _completed(options: Options, ctx: Context, talk: Talk, canary: Trial | None) -> Seen:
    """Add what the conversation alone does not show: the canary's verdict, the past, the list of models."""
    reply = talk.seen.reply
    is_cut = reply.cut_by_limit or not (reply.finish_reason or reply.done) or reply.is_torn
    if isinstance(canary, Booking):
        judged = canary.verdict(reply, cut=is_cut)
    elif isinstance(canary, Likeness):
        judged = canary.verdict(reply)
    else:
        judged = verdict(canary, reply.text, cut=is_cut)
    seen = replace(
        talk.seen,
        canary=Verdict.NONE if reply.thought_only else judged,
        asked=canary.asked if canary else "",
        objectives=Objectives(options.first_token_slow_s, options.tpot_slow_s, options.answer_slow_s),
        worked_before=ctx.memory.get("worked_with") == _identity(options),
        steady=ctx.memory.get("answered", 0) >= STEADY_AFTER,
    )
    if (
        seen.worked_before
        and options.protocol.LISTS_MODELS
        and (seen.status in (400, 404) or unknown_model(replace(seen, worked_before=False)))
    ):
        seen = replace(seen, listed=await _still_listed(options, ctx))
    return seen


async def _still_listed(options: Options, ctx: Context) -> bool | None:
    try:
        return listed(await models(options, ctx, with_key=True), options)
    except WireError:
        return None


def _identity(options: Options) -> str:
    return f"{options.base_url} {options.model}"


def _used(seen: Seen, most: int, prompt_tokens: int) -> tuple[int, int]:
    """Return the tokens of an answer, in and out: the vendor's count, or an estimate where there was none.

    A question that was taken and not answered in time is booked with all that it may cost: the vendor may have worked
    on it all the while, and nobody tells us.
    """
    reply = seen.reply
    unheard = seen.wire is Reason.TIMEOUT_HEADERS
    if seen.status >= 400 or not (seen.status or unheard):
        return 0, 0
    tokens_in = prompt_tokens if reply.input_tokens is None else reply.input_tokens
    if reply.output_tokens is not None:
        return tokens_in, reply.output_tokens
    unread = not reply.token_times and seen.end in (End.DEADLINE, End.CUT)
    return tokens_in, most if unheard or unread else len(reply.token_times)


def _observation(talk: Talk, seen: Seen, reason: Reason, usd: float | None) -> Observation:
    exchange, failure = talk.exchange, talk.failure
    source = failure or exchange
    answered = exchange is not None and 200 <= seen.status < 300
    body = b"" if reason is Reason.OK else bytes(talk.body)
    is_worth = exchange is not None and (reason is not Reason.OK or rate_limits(exchange.headers))
    return Observation(
        reason,
        "; ".join(filter(None, (_detail(talk, seen, reason), _left(talk)))),
        http_status=seen.status or None,
        http_version=exchange.http_version if exchange else "",
        address=source.address if source else "",
        bytes_received=exchange.wire_bytes if exchange else None,
        phases=_phases(source.phases, talk.lag_s) if source else None,
        chat=seen.reply.times(seen.headers_s, usd) if answered else None,
        certificate=source.certificate if source else None,
        warnings=exchange.warnings if exchange else (),
        evidence=evidence(exchange.url, exchange.headers, body) if exchange and is_worth else None,
    )


def _left(talk: Talk) -> str:
    """Say what is left of our limit at the vendor, where it tells."""
    allowance = tightest(talk.exchange.headers) if talk.exchange else None
    return "" if allowance is None else str(allowance)


def _phases(phases: Phases | None, lag_s: float) -> Phases | None:
    """Add what the stall clock knows of our loop's lag, so that a stall of our own never alerts."""
    if phases is None or lag_s <= phases.loop_lag_s:
        return phases
    return replace(phases, loop_lag_s=lag_s)


def _detail(talk: Talk, seen: Seen, reason: Reason) -> str:
    reply, times = seen.reply, seen.reply.times(seen.headers_s)
    if talk.failure is not None:
        return talk.failure.detail
    if reply.error is not None or seen.status >= 300 or seen.html or seen.wall:
        return refusal(seen)
    if reply.vectors:
        odd = "; of three sentences the two that say the same are not the nearest" if reason is Reason.QUALITY else ""
        return f"{len(reply.vectors)} vectors of {len(reply.vectors[0])} numbers{odd}"
    pace = f"first token after {times.ttft_s:.2f} s" if times.ttft_s is not None else "no token"
    if times.output_tokens and times.tokens_per_s:
        pace += f", {times.output_tokens} tokens at {times.tokens_per_s:.0f}/s"
    kept = f", {reply.keepalives} keep-alives" if reply.keepalives else ""
    ends = {
        End.STALLED: f"; then nothing after {times.chunks} chunks"
        if not reply.is_ended
        else f"; finish reason {reply.finish_reason}, then an open connection without the stream's end",
        End.DEADLINE: "; cut at our deadline",
        End.CUT: "; the connection broke",
        End.COMPLETE: f"; finish reason {reply.finish_reason or 'missing'}",
    }
    if reason is Reason.CONFIG and reply.other_protocol:
        return f"HTTP {seen.status} in {reply.other_protocol} protocol; set dialect or base_url for what is asked"
    if reason is Reason.STALLED and seen.end is not End.STALLED:
        ends[seen.end] = f"; nothing for {seen.silent_s:.0f} s behind an early finish reason, then the end"
    got = reply.text or " ".join(f"{call.name} {call.arguments}" for call in reply.calls.values())
    said = f'; asked {seen.asked} and got "{got[:60]}"' if reason is Reason.QUALITY else ""
    return f"{pace}{kept}{ends[seen.end]}{said}"


def _remember(options: Options, ctx: Context, talk: Talk, seen: Seen, reason: Reason) -> tuple[WarningCode, ...]:
    """Keep what later looks compare with, and return what changed."""
    memory, reply = ctx.memory, seen.reply
    notes: list[WarningCode] = []
    if talk.exchange is not None:
        allowance = tightest(talk.exchange.headers)
        notes += [WarningCode.RATELIMIT_LOW] * (allowance is not None and allowance.is_low)
    if reason is Reason.AUTH and memory.get("worked_with") == _identity(options):
        notes.append(WarningCode.AUTH_WORKED_BEFORE)
    if reason in (Reason.OK, Reason.SLOW, Reason.QUEUED, Reason.QUALITY):
        memory["answered"] = memory.get("answered", 0) + 1
        memory["rerouted"] = "" if _is_own(options, reply.model) else reply.model
        memory["worked_with"], memory["worked_at"] = _identity(options), ctx.now.timestamp()
        for name, found, code in (
            ("model", reply.model, WarningCode.MODEL_CHANGED),
            ("system_fingerprint", reply.system_fingerprint, WarningCode.SYSTEM_FINGERPRINT_CHANGED),
        ):
            if found and memory.get(name, found) != found:
                notes.append(code)
            memory[name] = found or memory.get(name, "")
    if seen.canary is Verdict.NONE and options.canary and reason in (Reason.OK, Reason.SLOW, Reason.QUEUED):
        notes.append(WarningCode.CANARY_NO_VERDICT)
    return tuple(notes)


def _is_own(options: Options, told: str) -> bool:
    """Tell an answer of the model that was asked; behind Azure's names of deployments nobody can tell."""
    unknown = not told or options.dialect == "azure" or options.key_header == "api-key"
    return unknown or is_same(options.model, told, options.answers_as)


def proves(options: Options) -> Proof:
    """Say what a good look has seen: without a key nothing is asked, and only the edge is seen."""
    return Proof.WORK if options.asks else Proof.EDGE


KIND = Kind(
    "chat",
    Options,
    run,
    speaks_http=True,
    asks_model=True,
    proves=proves,
    list_models=model_names,
    memory=Memory(cut_off=cut_off, join=join),
)
