"""One chat question over the wire and the reading of its answer, with the clocks that cut it.

Three clocks: the total deadline (the wire's), the time to the response's headers, and the payload-idle clock, which
starts with the first token and which only tokens and the end of the answer wind up again. Comments, blank lines and
pings never do: a vendor under load sends them for minutes.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple, Protocol

from monitor.clock import monotonic
from monitor.core.model.observations import Phases
from monitor.core.model.reasons import Reason
from monitor.probes.answers import has_room, is_html, limit_reached, parse_json, robot_wall
from monitor.probes.base import Context
from monitor.probes.chat.answer.booking import Form
from monitor.probes.chat.answer.reply import ApiError, Reply, api_error
from monitor.probes.chat.answer.seen import End, Seen
from monitor.probes.chat.answer.sse import Event, LineTooLong, Parser
from monitor.probes.marks import undue_page
from monitor.wire import Chunk, Exchange, Limits, WireError, text_of

LINGER_S = 5.0
"""After a finish reason on a piece of its own the protocol's end is waited for no longer than this."""
_HEAD_BYTES = 65536


class Place(NamedTuple):
    """What the addresses of a service are made of."""

    base_url: str
    model: str = ""
    api_version: str = ""
    """Azure's."""


class Wish(NamedTuple):
    """What is asked for, in no protocol's words."""

    model: str
    texts: tuple[str, ...]
    stream: bool
    limit_field: str
    max_tokens: int
    tool: Form | None = None
    """What may be called."""
    schema: Form | None = None
    """What the answer must have the form of."""


class Dialect(Protocol):
    """What the protocols have in common: a module each beside this one."""

    STREAMS: bool
    """Answers can come as a stream."""
    LISTS_MODELS: bool
    """What is asked stands in the list of models, while it is served."""

    def url(self, place: Place) -> str:
        """Return where to ask."""
        ...

    def models_url(self, place: Place) -> str:
        """Return where the models are listed."""
        ...

    def key_headers(self, key: str) -> dict[str, str]:
        """Return the secret headers of a request."""
        ...

    def request(self, wish: Wish) -> dict[str, Any]:
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
    chunks = exchange.chunks()
    clock = _Clock(question.stall_s, reply)
    async with aclosing(chunks), aclosing(clock.over(chunks)) as timed:
        as_data, odd_type = await _body(question, exchange, clock, timed, talk)
    talk.lag_s = clock.lag_s
    reply.settle()
    body = bytes(talk.body)
    html = not as_data and is_html(exchange.headers, body) and bool(body.strip())
    undue = html and exchange.status < 300
    counted = {**(reply.error.headers if reply.error else {}), **exchange.headers}
    talk.seen = Seen(
        status=exchange.status,
        html=html,
        page=undue_page(exchange.status, text_of(exchange.headers, body), exchange.url) if undue else None,
        wall=robot_wall(exchange.status, exchange.headers, body),
        limit_reached=limit_reached(counted),
        has_room=has_room(counted),
        asked_to_wait="retry-after" in exchange.headers,
        end=clock.end,
        silent_s=clock.silent_s,
        odd_type=odd_type,
        not_streamed=question.stream and reply.came_whole,
        reply=reply,
        headers_s=exchange.phases.wait_s,
    )


async def _body(
    question: Question, exchange: Exchange, clock: _Clock, chunks: AsyncGenerator[Chunk, None], talk: Talk
) -> tuple[bool, bool]:
    """Read the body by what it is, not by what its type says it is.

    Returns whether it is data whatever its type says, and whether the type is not that of such data.
    """
    kind = exchange.headers.get("content-type", "").lower()
    if not 200 <= exchange.status < 300:
        body = await _whole(chunks, talk)
        talk.seen.reply.error = error_in(body)
        return talk.seen.reply.error is not None, False
    if "event-stream" in kind:
        await _events(question, clock, chunks, talk)
        return True, False
    head = await _head(chunks, talk)
    start = b"".join(chunk.data for chunk in head).lstrip(b"\xef\xbb\xbf \t\r\n")
    is_text = question.stream and "json" not in kind and not is_html(exchange.headers) and start[:1] not in b"{[<"
    if _EVENT_STREAM.match(start) or is_text:
        async with aclosing(_after(head, chunks)) as again:
            await _events(question, clock, again, talk)
        return True, True
    body = await _whole(_after(head, chunks), talk)
    if clock.end is not End.COMPLETE:
        return False, False
    as_data = not is_html(exchange.headers, body) or start[:1] in (b"{", b"[")
    if as_data:
        question.dialect.read_body(talk.seen.reply, body, clock.last_s)
    return as_data, "json" not in kind


_EVENT_STREAM = re.compile(rb"(?:data|event|id|retry)?:")
_LONGEST_FIELD = len(b"event:")


async def _head(chunks: AsyncGenerator[Chunk, None], talk: Talk) -> list[Chunk]:
    """Take as many chunks as tell an event stream from anything else; blank ones before are signs of life."""
    head: list[Chunk] = []
    size = 0
    async for chunk in chunks:
        if not size and not chunk.data.strip():
            _remember(talk, chunk.data)
            talk.seen.reply.keep_alive()
            continue
        head.append(chunk)
        size += len(chunk.data.strip(b"\xef\xbb\xbf \t\r\n"))
        if size >= _LONGEST_FIELD:
            break
    return head


async def _after(head: list[Chunk], chunks: AsyncGenerator[Chunk, None]) -> AsyncGenerator[Chunk, None]:
    for chunk in head:
        yield chunk
    async for chunk in chunks:
        yield chunk


def _is_unread(reply: Reply) -> bool:
    """Nothing of the answer arrived, not even a sign of life: how it broke is all that is known."""
    return reply.events == 0 and reply.keepalives == 0 and reply.undecodable == 0


async def _events(question: Question, clock: _Clock, chunks: AsyncGenerator[Chunk, None], talk: Talk) -> None:
    parser, reply, left = Parser(), talk.seen.reply, Limits().events
    try:
        async for chunk in chunks:
            _remember(talk, chunk.data)
            for item in parser.feed(chunk.data, chunk.at_s):
                left -= 1
                if left < 0:
                    raise WireError(Reason.TOO_LARGE, "more events than any answer needs", phases=_phases(talk))
                if not isinstance(item, Event):
                    reply.keep_alive()
                elif question.dialect.read_event(reply, item):
                    clock.wind(LINGER_S if reply.is_confirmed else None)
                if reply.done:
                    return  # what follows the end is no part of the answer
            if reply.error:
                return
    except LineTooLong:
        raise WireError(
            Reason.TOO_LARGE, "an event longer, or more lines, than the cap", phases=_phases(talk)
        ) from None
    if clock.end is End.COMPLETE and (last := parser.rest(clock.last_s)) and _is_whole(last.data):
        question.dialect.read_event(reply, last)
    if _is_unread(reply) and talk.body.strip():  # not a stream, although its content type says so
        question.dialect.read_body(reply, bytes(talk.body), clock.last_s)
    elif not reply.is_ended and reply.error is None:
        reply.error = _error_at_the_end(bytes(talk.body))


def _is_whole(data: str) -> bool:
    """Tell an event that lacks only its blank line from one that was cut."""
    try:
        return data.strip() == "[DONE]" or bool(parse_json(data))
    except ValueError:
        return False


def _error_at_the_end(body: bytes) -> ApiError | None:
    """Find an error that a server wrote into its stream as it writes them elsewhere, without ``data:``."""
    last = body.rstrip().rpartition(b"\n")[2]
    return error_in(last) if last.startswith(b"{") else None


def _phases(talk: Talk) -> Phases | None:
    return talk.exchange.phases if talk.exchange else None


async def _whole(chunks: AsyncGenerator[Chunk, None], talk: Talk) -> bytes:
    reply, body = talk.seen.reply, bytearray()
    async for chunk in chunks:
        _remember(talk, chunk.data)
        if reply.payload_s is None and not chunk.data.strip():
            reply.keep_alive()
            continue
        reply.payload_s = chunk.at_s if reply.payload_s is None else reply.payload_s
        body += chunk.data
    return bytes(body)


def error_in(body: bytes) -> ApiError | None:
    """Return the error in the body of a refusal: JSON, or an event stream that holds one."""
    try:
        return api_error(parse_json(body))
    except ValueError:
        pass
    if not _EVENT_STREAM.match(body[:16].lstrip()):
        return None
    try:
        events = (item for item in Parser().feed(body + b"\n\n", 0.0) if isinstance(item, Event))
        return next((found for event in islice(events, 20) if (found := error_in(event.data.encode()))), None)
    except LineTooLong:
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
        self.last_s = 0.0
        """When the last chunk arrived, on the answer's own clock."""
        self.silent_s = 0.0
        """How long nothing had come when the iteration ended."""
        self._reply = reply
        self._stall_s = stall_s
        self._due_s: float | None = None
        self._heard_s = monotonic()

    def wind(self, limit_s: float | None = None) -> None:
        """Progress was seen: allow the stall limit again, or a shorter one."""
        self._due_s = monotonic() + min(self._stall_s, limit_s or self._stall_s)

    async def over(self, chunks: AsyncIterator[Chunk]) -> AsyncGenerator[Chunk, None]:
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
                self.silent_s = monotonic() - self._heard_s
                return
            if chunk is None:
                self.silent_s = monotonic() - self._heard_s
                return
            self._heard_s, self.last_s = monotonic(), chunk.at_s
            yield chunk


def _end_of(error: WireError, reply: Reply) -> End:
    """Tell a cut by the deadline or the server, which says something of the answer, from all else, which is raised."""
    if error.reason is Reason.TIMEOUT_TOTAL:
        return End.DEADLINE
    if error.reason is Reason.PROTOCOL and not _is_unread(reply):
        return End.CUT
    raise error
