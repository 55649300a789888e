"""One chat question over the wire and the reading of its answer, with the clocks that cut it.

Three clocks: the total deadline (the wire's), the time to the response's headers, and the payload-idle clock, which
starts with the first token and which only tokens and the end of the answer wind up again. Comments, blank lines and
pings never do: a vendor under load sends them for minutes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Protocol

from monitor.clock import monotonic
from monitor.core.model.observations import Phases
from monitor.core.model.reasons import Reason
from monitor.probes.answers import has_room, is_html, limit_reached, parse_json, robot_wall
from monitor.probes.base import Context
from monitor.probes.chat.reply import Reply, api_error
from monitor.probes.chat.sse import Event, LineTooLong, Parser
from monitor.probes.chat.taxonomy import End, Seen
from monitor.probes.marks import undue_page
from monitor.wire import Chunk, Exchange, Limits, WireError, text_of

LINGER_S = 5.0
"""After the finish reason the protocol's own end is waited for no longer than this."""
_HEAD_BYTES = 65536


class Dialect(Protocol):
    """What :mod:`chat_openai` and :mod:`chat_anthropic` have in common."""

    def url(self, base_url: str) -> str:
        """Return where to ask."""
        ...

    def models_url(self, base_url: str) -> str:
        """Return where the models are listed."""
        ...

    def key_headers(self, key: str) -> dict[str, str]:
        """Return the secret headers of a request."""
        ...

    def request(self, model: str, question: str, *, stream: bool, limit_field: str, max_tokens: int) -> dict[str, Any]:
        """Return the body of a request."""
        ...

    def read_event(self, reply: Reply, event: Event) -> bool:
        """Take one event; true when it was progress."""
        ...

    def read_body(self, reply: Reply, body: bytes, at_s: float) -> None:
        """Take a whole answer that was not streamed."""
        ...


@dataclass(frozen=True, slots=True)
class Question:
    """A request, ready to be sent, and its limits."""

    dialect: Dialect
    url: str
    headers: dict[str, str]
    secret_headers: dict[str, str]
    content: bytes
    stream: bool
    stall_s: float
    headers_timeout_s: float | None


@dataclass(slots=True)
class Talk:
    """What came of a question."""

    seen: Seen
    exchange: Exchange | None = None
    failure: WireError | None = None
    body: bytearray = field(default_factory=bytearray)
    """The beginning of what was received, for people."""
    lag_s: float = 0.0
    """How late our own stall clock was when it cut the answer."""


async def ask(question: Question, ctx: Context) -> Talk:
    """Ask and read to the end, whatever the end is. Raises nothing of the wire's: it is in the talk."""
    talk = Talk(Seen())
    try:
        async with AsyncExitStack() as stack:
            talk.exchange = await _headers(question, ctx, stack)
            await _read(question, talk.exchange, talk)
    except WireError as error:
        talk.failure = error
        talk.seen = Seen(wire=error.reason, status=error.status or 0, reply=talk.seen.reply)
    return talk


async def _headers(question: Question, ctx: Context, stack: AsyncExitStack) -> Exchange:
    """Open the exchange. The wire itself keeps the limit to the headers, so that a cut look still has its phases."""
    opening = ctx.wire.stream(
        "POST",
        question.url,
        headers=question.headers,
        secret_headers=question.secret_headers,
        content=question.content,
        limits=ctx.limits(headers_s=question.headers_timeout_s),
    )
    return await stack.enter_async_context(opening)


async def _read(question: Question, exchange: Exchange, talk: Talk) -> None:
    reply = talk.seen.reply
    kind = exchange.headers.get("content-type", "").lower()
    is_data = 200 <= exchange.status < 300 and not is_html(exchange.headers)
    chunks = exchange.chunks()
    try:
        if is_data and ("event-stream" in kind or (question.stream and "json" not in kind)):
            end = await _events(question, chunks, talk)
        else:
            end = await _whole(question, chunks, talk, is_data=is_data)
    finally:
        await chunks.aclose()
    body = bytes(talk.body)
    html = is_html(exchange.headers, body) and bool(body.strip())
    undue = html and exchange.status < 300
    talk.seen = Seen(
        status=exchange.status,
        html=html,
        page=undue_page(exchange.status, text_of(exchange.headers, body), exchange.url) if undue else None,
        wall=robot_wall(exchange.status, exchange.headers, body),
        limit_reached=limit_reached(exchange.headers),
        has_room=has_room(exchange.headers),
        asked_to_wait="retry-after" in exchange.headers,
        end=end,
        reply=reply,
        headers_s=exchange.phases.wait_s,
    )


def _is_unread(reply: Reply) -> bool:
    """Nothing of the answer arrived, not even a sign of life: how it broke is all that is known."""
    return reply.events == 0 and reply.keepalives == 0 and reply.undecodable == 0


async def _events(question: Question, chunks: AsyncGenerator[Chunk, None], talk: Talk) -> End:
    parser, reply, left = Parser(), talk.seen.reply, Limits().events
    clock = _Clock(question.stall_s, reply)
    try:
        async for chunk in clock.over(chunks):
            _remember(talk, chunk.data)
            for item in parser.feed(chunk.data, chunk.at_s):
                left -= 1
                if left < 0:
                    raise WireError(Reason.TOO_LARGE, "more events than any answer needs", phases=_phases(talk))
                if not isinstance(item, Event):
                    reply.keep_alive()
                elif question.dialect.read_event(reply, item):
                    clock.wind(LINGER_S if reply.finish_reason else None)
            if reply.done or reply.error:
                return End.COMPLETE
    except LineTooLong:
        raise WireError(
            Reason.TOO_LARGE, "an event longer, or more lines, than the cap", phases=_phases(talk)
        ) from None
    talk.lag_s = clock.lag_s
    if _is_unread(reply) and talk.body.strip():  # not a stream, although its content type says so
        question.dialect.read_body(reply, bytes(talk.body), 0.0)
    return clock.end


def _phases(talk: Talk) -> Phases | None:
    return talk.exchange.phases if talk.exchange else None


async def _whole(question: Question, chunks: AsyncGenerator[Chunk, None], talk: Talk, *, is_data: bool) -> End:
    reply, body, last_s = talk.seen.reply, bytearray(), 0.0
    clock = _Clock(question.stall_s, reply)
    async for chunk in clock.over(chunks):
        last_s = chunk.at_s
        _remember(talk, chunk.data)
        if reply.payload_s is None and not chunk.data.strip():
            reply.keep_alive()
            continue
        reply.payload_s = last_s if reply.payload_s is None else reply.payload_s
        body += chunk.data
    if clock.end is End.COMPLETE and is_data:
        question.dialect.read_body(reply, bytes(body), last_s)
    elif not is_data:
        reply.error = _error_in(bytes(body))
    return clock.end


def _error_in(body: bytes) -> Any:
    try:
        return api_error(parse_json(body))
    except ValueError:
        return None


def _remember(talk: Talk, data: bytes) -> None:
    room = _HEAD_BYTES - len(talk.body)
    if room > 0:
        talk.body += data[:room]


class _Clock:
    """The payload-idle clock around an iteration; ``end`` says how the iteration ended."""

    def __init__(self, stall_s: float, reply: Reply) -> None:
        self.end = End.COMPLETE
        self.lag_s = 0.0
        self._reply = reply
        self._stall_s = stall_s
        self._due_s: float | None = None

    def wind(self, limit_s: float | None = None) -> None:
        """Progress was seen: allow the stall limit again, or a shorter one."""
        self._due_s = monotonic() + min(self._stall_s, limit_s or self._stall_s)

    async def over(self, chunks: AsyncIterator[Chunk]) -> AsyncIterator[Chunk]:
        """Yield the chunks until they end or a clock cuts them; ``WireError`` only for what is no end of an answer."""
        while True:
            due_s = self._due_s
            try:
                async with asyncio.timeout(None if due_s is None else max(0.0, due_s - monotonic())):
                    chunk = await anext(chunks, None)
            except TimeoutError:
                self.end = End.STALLED
                self.lag_s = max(0.0, monotonic() - (due_s or 0.0))
                return
            except WireError as error:
                self.end = _end_of(error, self._reply)
                return
            if chunk is None:
                return
            yield chunk


def _end_of(error: WireError, reply: Reply) -> End:
    """Tell a cut by the deadline or the server, which says something of the answer, from all else, which is raised."""
    if error.reason is Reason.TIMEOUT_TOTAL:
        return End.DEADLINE
    if error.reason is Reason.PROTOCOL and not _is_unread(reply):
        return End.CUT
    raise error
