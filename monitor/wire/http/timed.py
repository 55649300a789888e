"""One request and its answer over a link (D1): phases on the kernel's stamps, caps on every size, decoding in steps."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from functools import cached_property
from typing import NamedTuple, Protocol

import httpx

from monitor import clock
from monitor.core.model.observations import Certificate, Phases
from monitor.core.model.reasons import Reason
from monitor.core.model.warning_codes import WarningCode, WarningText, detailed
from monitor.wire.charsets import declared
from monitor.wire.connection import Link
from monitor.wire.deadline import Step
from monitor.wire.dial import Piece, Stream
from monitor.wire.http.decode import Decoder, codings_of
from monitor.wire.http.http1 import ResponseParser, Target, request_head
from monitor.wire.http.tunnel import reach, refuse_own_error, without_answer
from monitor.wire.model import Answer, Chunk, WireError, longer
from monitor.wire.tls import TlsStream, failure

NO_CLOSE_NOTIFY = detailed(WarningCode.TLS_NO_CLOSE_NOTIFY, "the body may have been cut")


class Head(NamedTuple):
    """Status line and headers."""

    status: int
    headers: list[tuple[bytes, bytes]]
    version: str


class Conversation(Protocol):
    """One request over one protocol."""

    head: Head

    @property
    def received(self) -> int:
        """Bytes off the wire so far."""
        ...

    def body(self) -> AsyncGenerator[tuple[bytes, int], None]:
        """Yield pieces of the undecoded body, each with its arrival in monotonic nanoseconds."""
        ...

    def whole(self) -> bytes | None:
        """Return the body if all of it is here already."""
        ...

    def close(self) -> None:
        """Break cycles; the link closes the socket."""
        ...


class Http1:
    """HTTP/1.1, one request per connection."""

    def __init__(self, link: Link, stream: Stream | TlsStream, method: str) -> None:
        self.head = Head(0, [], "")
        self._link = link
        self._stream = stream
        self._parser = ResponseParser(method, link.limits.header_bytes)
        self._ready: list[bytes] = []
        self._noted = 0

    @property
    def received(self) -> int:
        """Bytes off the wire so far."""
        return self._parser.seen

    async def ask(self, head: bytes, content: bytes) -> None:
        """Send the request and read up to the end of the response's headers."""
        timing = self._link.timing
        self._link.deadline.enter(Step.HEADERS, self._link.limits.headers_s)
        started_ns = clock.monotonic_ns()
        try:
            timing.sent_ns = await self._stream.write(head + content)
        except OSError:
            # The server may have answered and closed before it read the whole request; that answer counts.
            timing.sent_ns = clock.monotonic_ns()
        timing.request_s = longer(timing.request_s, timing.sent_ns - started_ns)
        await self._read_head()
        self._link.deadline.enter(Step.BODY)
        parser = self._parser
        self.head = Head(parser.status, parser.headers, f"HTTP/{parser.version}")
        self._note()

    def _note(self) -> None:
        """Hand on what the parser found sloppy since the last time."""
        if len(found := self._parser.warnings) > self._noted:
            self._link.warnings += found[self._noted :]
            self._noted = len(found)

    async def _read_head(self) -> None:
        parser, interim = self._parser, 0
        first: Piece | None = None
        try:
            while not parser.headers_done:
                piece = await self._stream.read()
                if piece is None:
                    parser.end()
                    break
                first = first or piece
                self._ready = parser.feed(piece.data)
                self._link.timing.last_ns = piece.at_ns
                if parser.interim != interim and not parser.headers_done:
                    interim, first = parser.interim, None  # a 103 is not the answer that is waited for
        except OSError as error:
            raise broken(error, "in the middle of the headers" if parser.seen else "before a response") from error
        finally:
            if first is not None:
                last_ns = self._link.timing.last_ns
                self._link.timing.first_byte(first.at_ns, first.stamped)
                self._link.timing.last_ns = last_ns

    async def body(self) -> AsyncGenerator[tuple[bytes, int], None]:
        """As :class:`Conversation`."""
        parser, timing = self._parser, self._link.timing
        yield b"".join(self._ready), timing.last_ns
        self._ready = []
        while not parser.complete:
            try:
                piece = await self._stream.read()
            except OSError as error:
                raise broken(error, "in the middle of the body") from error
            if piece is None:
                parser.end()
                if isinstance(self._stream, TlsStream) and not self._stream.notified:
                    self._link.warnings += (NO_CLOSE_NOTIFY,)
                return
            timing.last_ns = piece.at_ns
            # One piece for all that arrived together; an empty one too, so that the reader checks the caps.
            yield b"".join(parser.feed(piece.data)), piece.at_ns
        self._note()

    def whole(self) -> bytes | None:
        """As :class:`Conversation`."""
        return b"".join(self._ready) if self._parser.complete else None

    def close(self) -> None:
        """As :class:`Conversation`."""
        self._parser.close()


REDIRECTS = frozenset({301, 302, 303, 307, 308})


class Exchange:
    """An answer whose headers have arrived and whose body has not been read yet."""

    def __init__(self, link: Link, target: Target, talk: Conversation, redirects: int) -> None:
        self.url = target.url
        self.status = talk.head.status
        self.raw_headers = talk.head.headers
        self.http_version = talk.head.version
        self.redirects = redirects
        self._link = link
        self._talk = talk
        self._phases: Phases | None = None
        self.complete = False
        """True once the whole body was read."""
        self.partial = bytearray()
        """What :meth:`read` has of the body so far: all there is of an answer that breaks."""

    @cached_property
    def headers(self) -> httpx.Headers:
        """The response's headers, case-insensitive."""
        return httpx.Headers(self.raw_headers)

    @property
    def address(self) -> str:
        """The IP address talked to."""
        return self._link.address

    @property
    def certificate(self) -> Certificate | None:
        """The leaf certificate of an ``https`` target."""
        return self._link.certificate

    @property
    def warnings(self) -> tuple[WarningText, ...]:
        """What is worth knowing and no failure, e.g. ``connect.fallback: …``."""
        return self._link.warnings

    def came_by(self, warnings: tuple[WarningText, ...]) -> None:
        """Take the warnings of the hops that led here."""
        self._link.warnings = tuple(dict.fromkeys((*warnings, *self._link.warnings)))

    @property
    def wire_bytes(self) -> int:
        """Bytes received so far, headers included, before content decoding."""
        return self._talk.received

    @property
    def phases(self) -> Phases:
        """The phases; complete once the chunks are exhausted or the exchange is closed."""
        return self._phases or self._link.finish()

    async def chunks(self) -> AsyncGenerator[Chunk, None]:
        """Yield the content-decoded body as it arrives; raises ``WireError``."""
        limits, sent_ns, total = self._link.limits, self._link.timing.sent_ns, 0
        try:
            decoder: Decoder | None = None
            begun = False
            async with aclosing(self._talk.body()) as pieces:
                async for raw, at_ns in pieces:
                    if self._talk.received > limits.wire_bytes:
                        raise WireError(Reason.TOO_LARGE, f"more than {limits.wire_bytes} bytes received")
                    if raw and not begun:  # a coding matters only where there is a body
                        begun, decoder = True, self._decoder()
                    at_s = max(0, at_ns - sent_ns) / 1e9
                    for data in (raw,) if decoder is None else decoder.feed(raw):
                        total += len(data)
                        if total > limits.body_bytes:
                            raise WireError(Reason.TOO_LARGE, f"body larger than {limits.body_bytes} bytes")
                        if data:
                            yield Chunk(data, at_s)
            if decoder is not None:
                decoder.finish()
            self.complete = True
        except (WireError, OSError) as error:
            raise self._link.explain(error, self.status) from None
        finally:
            self.close()

    def _decoder(self) -> Decoder | None:
        coding = self._coding()
        if not coding:
            return None
        decoder, warnings = codings_of(coding)
        self._link.warnings += warnings
        return decoder

    def _coding(self) -> str:
        return ",".join(
            value.decode("latin-1") for name, value in self.raw_headers if name.lower() == b"content-encoding"
        )

    async def read(self) -> Answer:
        """Read the whole bounded body."""
        body: bytes | bytearray | None = self._at_once()
        if body is None:
            body = self.partial
            try:
                async for chunk in self.chunks():
                    body += chunk.data
            except WireError as error:
                if error.reason is not Reason.PROTOCOL or not self._leads_on():
                    raise
                self._link.warnings += (detailed(WarningCode.PROTOCOL_ODD_LENGTH, "the body of a redirect breaks"),)
        return self.answer(bytes(body))

    def _leads_on(self) -> bool:
        """Tell a redirect: whoever follows it reads no body, so a broken one is no failure."""
        return self.status in REDIRECTS and any(name.lower() == b"location" for name, _ in self.raw_headers)

    def answer(self, body: bytes) -> Answer:
        """Return the answer with a body that was read."""
        return Answer(
            self.url, self.status, self.raw_headers, self.http_version, self.address, self.certificate, self.redirects,
            body, self.phases, self.wire_bytes, self.warnings + self._odd_charset(),
        )  # fmt: skip

    def _odd_charset(self) -> tuple[WarningText, ...]:
        for name, value in self.raw_headers:
            if name.lower() == b"content-type":
                label, codec = declared(value.decode("latin-1"))
                if label and not codec:
                    return (detailed(WarningCode.PROTOCOL_ODD_CHARSET, label[:20]),)
        return ()

    def _at_once(self) -> bytes | None:
        """Return a body that came whole with its headers, as most do: cheaper than the way in pieces."""
        whole, limits = self._talk.whole(), self._link.limits
        if whole is None or len(whole) > limits.body_bytes or self.wire_bytes > limits.wire_bytes:
            return None
        if whole and self._coding():
            return None
        self.complete = True
        self.close()
        return whole

    def close(self) -> None:
        """Close the connection and fix the phases. Safe to call again."""
        if self._phases is None:
            self._phases = self._link.finish()
            self._link.deadline.close()
            self._link.close()
            self._talk.close()


def broken(error: OSError, where: str) -> WireError:
    """Return what a stream that broke means: a TLS failure by its own name, else a reset."""
    if isinstance(error, ssl.SSLError):
        return failure(error)
    return WireError(Reason.PROTOCOL, f"connection reset {where}")


async def ask_http1(
    link: Link, target: Target, method: str, headers: Mapping[str, str], content: bytes, *, secret: bool
) -> Http1:
    """Connect to *target* and ask over HTTP/1.1; what is *secret* goes through a proxy only inside a tunnel."""
    head = request_head(method, target, headers, content)
    secure = target.scheme == "https"
    tunnel = secure or secret
    stream = await reach(link, target.scheme, target.host, target.port, target.literal, tunnel=tunnel)
    if link.proxy is not None and not tunnel:
        own = {"proxy-authorization": link.proxy.authorization} if link.proxy.authorization else {}
        whole = target._replace(path=f"http://{target.authority}{target.path}")
        head = request_head(method, whole, {**headers, **own}, content)
    stream = await link.secure(stream, link.trust.verified, target.host) if secure else stream
    talk = Http1(link, stream, method)
    try:
        await talk.ask(head, content)
        if not tunnel:
            refuse_own_error(link, talk.head.status, talk.head.headers)
    except BaseException as error:
        talk.close()
        if link.proxy is not None and not tunnel and isinstance(error, WireError):
            raise without_answer(link.proxy, error) from None
        raise
    return talk
