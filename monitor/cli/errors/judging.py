"""A text with an error in it → what was seen → the reason, by the rows that judge the answers of our own probes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from monitor.cli.errors.documents import error_in_pieces, error_told, headers_told, is_json
from monitor.cli.errors.failures import Failed, failure_here, failure_told
from monitor.cli.errors.statuses import status_of_error, status_of_name, status_spoken, status_told
from monitor.cli.errors.transcript import Transcript, transcript
from monitor.core.model.reasons import Reason
from monitor.probes.answers import has_room, is_html, limit_reached, parse_json, robot_wall
from monitor.probes.chat.answer.refusals import unknown_model
from monitor.probes.chat.answer.reply import ApiError, Reply, table
from monitor.probes.chat.answer.seen import End, Seen
from monitor.probes.chat.answer.sse import Event, LineTooLong, Parser
from monitor.probes.chat.answer.taxonomy import classify
from monitor.probes.chat.ask import error_in
from monitor.probes.chat.options import DIALECTS
from monitor.probes.marks import undue_page


class Judged(NamedTuple):
    """The reason, the status (0 where none is told), and whether the model is what is unknown."""

    reason: Reason
    status: int = 0
    no_model: bool = False


_LOG = re.compile(r"(?m)^.*\bHTTP Request: [A-Z]+ https?://.*$|^.*\bRetrying request to /.*$")
"""What the libraries log of every try: the last error counts, not those that a retry mended."""
_WAIT = re.compile(
    r"(?:try again|retry|retrying|wait)\b.{0,20}\b(?:in|after|for)\W{1,4}\d[\d.]*\s?(?:ms|m|s|sec|min)"
    r"|retry[_-]?(?:delay|after)\W{1,8}\d",
    re.IGNORECASE,
)
"""A ``Retry-After`` in words, where a library left out the headers."""
_STREAM = re.compile(r"\s{0,100}(?:data|event|id|retry)?:\s?(?=[\[{\w])")
_PAGE = re.compile(r"(?i)<!doctype html|<html[\s>]|<head>|<title>")
_CLOUDFLARE = re.compile(r"error code: 1\d{3}\b")
_EXCEPTION = re.compile(
    r"(?m)^\W{0,12}(?:[\w$]+\.)*[A-Z]\w*(?:Error|Exception|Timeout|Exhausted|Denied|Unavailable|Argument)\w*\b[: ]"
)
_ANTHROPIC = re.compile(r'"type"\s*:\s*"(?:message|message_start|content_block_\w+|message_delta|error)"')
_RESPONSES = re.compile(r'"type"\s*:\s*"response\.\w|"object"\s*:\s*"response"')
_PREFIX = re.compile(r"^\W{0,12}(?:[\w$.]+(?:Error|Exception)\w*\W{1,4}){1,4}")
_SPOKEN_CHARS = 500
_PROSE_CHARS = 4000


def judge(text: str) -> Judged | None:
    """Return whose trouble a text is about; None where it names no error that anybody knows."""
    answer = transcript(text)
    if answer is None and _STREAM.match(text):
        answer = Transcript(200, {}, text, "")
    if answer is not None:
        return _judge_answer(answer)
    shorter = _LOG.sub("", text)
    told = _judge_words(shorter)
    return _judge_words(text) if told is None and shorter != text else told


def _judge_answer(answer: Transcript) -> Judged | None:
    if 300 <= answer.status < 400:
        return _classified(Seen(status=answer.status, reply=Reply(error=ApiError())))
    seen = _seen_of(answer.status, answer.headers, answer.body)
    if answer.status >= 400:
        return _classified(seen)
    failed = failure_told(answer.rest) if "curl: (" in answer.rest else None
    if not answer.body.strip() and not failed:
        return _classified(seen) if answer.headers.get("content-length") == "0" else None
    if seen.html or seen.wall:
        return _classified(seen)
    reply = _reply_of(answer.body)
    if reply is None:
        return Judged(Reason.OK, answer.status)
    return _classified(replace(seen, reply=reply, end=_end_of(failed)))


def _end_of(failed: Failed | None) -> End:
    if failed is None:
        return End.COMPLETE
    return End.CUT if failed.cut or failed.reason is Reason.PROTOCOL else End.DEADLINE


def _reply_of(body: str) -> Reply | None:
    """Read the body of a good status as the dialects do; None for a JSON answer that is neither chat nor error."""
    reply, data = Reply(), body.encode()
    dialect = DIALECTS[_dialect_of(body[:4000])]
    if _STREAM.match(body):
        parser = Parser()
        try:
            for item in parser.feed(data + b"\n", 0.0):
                if isinstance(item, Event):
                    dialect.read_event(reply, item)
                else:
                    reply.keep_alive()
        except LineTooLong:
            return None
        if last := parser.rest(0.0):
            dialect.read_event(reply, last)
    else:
        dialect.read_body(reply, data, 0.0)
        if reply.undecodable and is_json(body) and not table(parse_json(body)).get("choices"):
            return None
    reply.settle()
    return reply


def _dialect_of(head: str) -> str:
    if _RESPONSES.search(head):
        return "responses"
    return "anthropic" if _ANTHROPIC.search(head) else "openai"


def _seen_of(status: int, headers: Mapping[str, str], body: str) -> Seen:
    """Return what a look would have seen of an answer that is an error, or a page."""
    data = body.encode()
    error = (error_in(data) or error_told(body)) if status >= 300 else None
    html = error is None and is_html(headers, data) and bool(body.strip())
    if error is None and not html and status >= 300:
        error = error_in_pieces(body) or (ApiError(body.strip()[:_SPOKEN_CHARS]) if body.strip() else None)
    return Seen(
        status=status,
        html=html,
        page=undue_page(status, body, "") if html and status < 300 else None,
        wall=robot_wall(status, headers, data),
        limit_reached=limit_reached(headers),
        has_room=has_room(headers),
        asked_to_wait="retry-after" in headers,
        reply=Reply(error=error),
    )


def _judge_words(text: str) -> Judged | None:
    """Judge what is no transcript: a library's exception, a line of a log, a body alone.

    A status that was only inferred, from the name of an exception as an example, helps to judge and is not told.
    """
    status, error = status_told(text), error_told(text)
    judged = _judge_told(text, status, error)
    return judged and judged._replace(status=status or (error.status if error and error.status else 0))


def _judge_told(text: str, status: int, error: ApiError | None) -> Judged | None:
    if (here := failure_here(text)) is not None:
        return _judge_failure(here)
    headers = headers_told(text)
    if page := _PAGE.search(text):
        return _judge_page(text[page.start() :], status or status_of_name(text) or 200, headers)
    if wall := _CLOUDFLARE.search(text):
        return _classified(_seen_of(status if status in (403, 429, 503) else 403, headers, text[wall.start() :]))
    if error is None and "{" in text and (status or "error" in text.lower()):
        pieces = error_in_pieces(text)
        error = pieces and pieces._replace(message=pieces.message or _spoken(text))
    if not status and error is None and (failed := failure_told(text)) is not None:
        return _judge_failure(failed)  # LiteLLM calls a connection that failed an InternalServerError
    status = status or (error.status if error and error.status else 0) or status_of_name(text)
    status = status or (status_of_error(error) if error else 0)
    spoken = error or ApiError(_spoken(text))
    status = status or status_spoken(spoken.message)
    if error is None and not status and not spoken.message:
        return None
    seen = Seen(
        status=status,
        limit_reached=limit_reached(headers),
        has_room=has_room(headers),
        asked_to_wait="retry-after" in headers or (not headers and bool(_WAIT.search(text))),
        reply=Reply(error=_completed(spoken, text)),
    )
    judged = _classified(seen)
    return None if not status and judged.reason in (Reason.MIDSTREAM_ERROR, Reason.OK, Reason.EMPTY) else judged


def _completed(error: ApiError, text: str) -> ApiError:
    """Add the kind that the name of an exception alone tells (LiteLLM's)."""
    if error.type or error.code:
        return error
    kinds = {
        "ContentPolicyViolationError": "content_policy_violation",
        "BudgetExceededError": "budget_exceeded",
    }
    return error._replace(type=next((kind for name, kind in kinds.items() if name in text), ""))


def _judge_page(page: str, status: int, headers: Mapping[str, str]) -> Judged:
    return _classified(_seen_of(status, {**headers, "content-type": "text/html"}, page))


def _judge_failure(failed: Failed) -> Judged:
    if failed.reason is not None:
        return _classified(Seen(wire=failed.reason))
    if failed.cut:
        return _classified(Seen(status=200, end=End.CUT))
    return _classified(Seen(status=200, reply=Reply(undecodable=1)))


def _spoken(text: str) -> str:
    """Return what the last exception says, or short prose as it is."""
    places = [found.start() for found in _EXCEPTION.finditer(text)]
    told = text[places[-1] :] if places else text[-_PROSE_CHARS:]
    return _PREFIX.sub("", told.strip())[:_SPOKEN_CHARS]


def _classified(seen: Seen) -> Judged:
    _, reason = classify(seen)
    return Judged(reason, seen.status, reason is Reason.CONFIG and unknown_model(seen))
