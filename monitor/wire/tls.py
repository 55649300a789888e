"""TLS without sockets: one context per trust configuration, handshakes over memory buffers, failures put into words."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import certifi

from monitor import clock
from monitor.core.model.reasons import Reason
from monitor.wire.deadline import Deadline, Slots, Step
from monitor.wire.dial import Piece, Stream
from monitor.wire.model import Timing, WireError, longer

SLOT_HELD_S = 0.25
"""The cap is there for our processor; a peer that keeps us waiting uses none of it and gives its place back."""
READ_BYTES = 65536

WRONG_NAME, WRONG_ADDRESS = 62, 64  # X509_V_ERR_*, openssl/x509_vfy.h
WHEN = {9: Reason.CERTIFICATE_NOT_YET_VALID, 10: Reason.CERTIFICATE_EXPIRED}  # the same


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """A certificate of ours, PEM: with its chain and key in one file, or the key in another."""

    file: str
    key_file: str = ""
    password: str = field(default="", repr=False)

    def load(self, context: ssl.SSLContext) -> None:
        """Put it into a context; raises ``ValueError`` with words that hold no secret."""
        try:
            # The callback, because OpenSSL would ask a terminal for a password that is not given.
            context.load_cert_chain(self.file, self.key_file or None, password=lambda: self.password)
        except ssl.SSLError as error:
            words = (error.reason or "").replace("_", " ").lower()
            raise ValueError(f"cannot be used as a certificate with its key: {words or 'wrong password?'}") from None
        except (OSError, ValueError) as error:
            words = getattr(error, "strerror", "") or "wrong password?"
            raise ValueError(f"cannot be used as a certificate with its key: {words.lower()}") from None


def check_certificate(certificate: ClientCertificate | None) -> str:
    """Say why a certificate cannot be shown to anybody; empty when it can."""
    try:
        if certificate is not None:
            certificate.load(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    except ValueError as error:
        return str(error)
    return ""


def make_context(
    ca_file: str | None,
    *,
    verify: bool = True,
    alpn: tuple[str, ...] = ("http/1.1",),
    client: ClientCertificate | None = None,
) -> ssl.SSLContext:
    """Return a client context on the system's trust store, certifi's where that is empty, and *ca_file* besides.

    Not ``ssl.create_default_context``: that writes session keys to a file when an environment variable says so.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if alpn:
        context.set_alpn_protocols(list(alpn))
    # A server chooses the group of a finite-field exchange, and one of 8192 bits takes us 200 ms; no browser offers it.
    context.set_ciphers(":".join(one["name"] for one in context.get_ciphers() if one["kea"] != "kx-dhe"))
    # Python 3.13 sets this and would call working private chains broken; such a chain is a warning here.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    # RFC 9525, 6.3: only the alternative names count. Browsers and Go look at nothing else.
    context.hostname_checks_common_name = False
    context.load_default_certs()
    paths = ssl.get_default_verify_paths()
    hashed = paths.capath is not None and any(Path(paths.capath).iterdir())
    if not hashed and not context.cert_store_stats()["x509_ca"]:
        context.load_verify_locations(certifi.where())
    if ca_file:
        context.load_verify_locations(ca_file)
    if client is not None:
        client.load(context)
    return context


class Trust:
    """The contexts of one trust configuration; building one costs fifteen times a handshake, so each is built once."""

    def __init__(self, ca_file: str | None, client: ClientCertificate | None = None) -> None:
        self.ca_file = ca_file
        self._client = client
        self.verified = make_context(ca_file, client=client)
        self.unverified = make_context(None, verify=False)
        """For a look at a certificate that failed; no data ever goes through it."""

    @cached_property
    def http2(self) -> ssl.SSLContext:
        """As ``verified``, offering HTTP/2 first."""
        return make_context(self.ca_file, alpn=("h2", "http/1.1"), client=self._client)

    @property
    def shows_certificate(self) -> bool:
        """True when a server may ask us for a certificate, and gets one."""
        return self._client is not None

    @cached_property
    def mail(self) -> ssl.SSLContext:
        """As ``verified``, without a word of HTTP: some mail servers hang up on it."""
        return make_context(self.ca_file, alpn=())


class TlsStream:
    """A :class:`Stream` behind TLS, with the same three methods."""

    __slots__ = ("_in", "_out", "notified", "ssl", "stream")

    def __init__(self, stream: Stream | TlsStream, context: ssl.SSLContext, server_name: str) -> None:
        self.stream = stream
        self.notified = True
        """False when the peer closed without TLS's own goodbye."""
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.ssl = context.wrap_bio(self._in, self._out, server_hostname=server_name)

    async def handshake(self, slots: Slots, deadline: Deadline, limit_s: float, timing: Timing) -> None:
        """Shake hands; raises ``ssl.SSLError``, ``OSError`` or a ``WireError``.

        The phase runs from our first to the peer's last message; our processor's part after it is overhead. TLS 1.3's
        own last message leaves with the request, in one packet; :meth:`flush` sends it without one.
        """
        deadline.enter(Step.HANDSHAKE_SLOT, limit_s)
        await slots.take(deadline)
        release = _Release(slots)
        timer = deadline.loop.call_later(SLOT_HELD_S, release)
        deadline.enter(Step.TLS, limit_s)
        started_ns = heard_ns = 0
        try:
            while True:
                try:
                    self.ssl.do_handshake()
                    return
                except ssl.SSLWantReadError:
                    sent_ns = await self.flush()
                    started_ns = started_ns or sent_ns
                    heard_ns = await self._feed(heard_ns)
        except WireError:
            heard_ns = clock.monotonic_ns()
            raise
        except ssl.SSLError:
            await self._flush_alert()
            raise
        finally:
            timing.tls_s = longer(timing.tls_s, (heard_ns or started_ns) - started_ns)
            timer.cancel()
            release()

    async def _feed(self, heard_ns: int) -> int:
        piece = await self.stream.read()
        if piece is None:
            self._in.write_eof()
            return heard_ns
        self._in.write(piece.data)
        return piece.at_ns

    async def flush(self) -> int:
        """Send what TLS has ready; return when, in monotonic nanoseconds."""
        return await self.stream.write(self._out.read()) if self._out.pending else 0

    async def _flush_alert(self) -> None:
        """Tell the peer why we leave, if it still listens."""
        try:
            await self.flush()
        except OSError:
            return

    async def read(self) -> Piece | None:
        """As :meth:`Stream.read`, decrypted."""
        at_ns, stamped = 0, False
        while True:
            try:
                data = self.ssl.read(READ_BYTES)
            except ssl.SSLWantReadError:
                if self._out.pending:  # a key update requires an answer
                    await self.flush()
            except ssl.SSLZeroReturnError:
                return None
            except ssl.SSLEOFError:
                self.notified = False
                return None
            else:
                return Piece(data, at_ns or clock.monotonic_ns(), stamped) if data else None
            piece = await self.stream.read()
            if piece is None:
                self._in.write_eof()
            else:
                self._in.write(piece.data)
                at_ns, stamped = piece.at_ns, piece.stamped

    async def write(self, data: bytes) -> int:
        """As :meth:`Stream.write`."""
        self.ssl.write(data)
        return await self.flush()

    def close(self) -> None:
        """Close the socket."""
        self.stream.close()


class _Release:
    """Gives a place back once."""

    def __init__(self, slots: Slots) -> None:
        self._slots: Slots | None = slots

    def __call__(self) -> None:
        if self._slots is not None:
            self._slots.give()
            self._slots = None


def failure(error: ssl.SSLError) -> WireError:
    """Return the error that a failed handshake or record layer means."""
    if isinstance(error, ssl.SSLCertVerificationError):
        words = error.verify_message
        if error.verify_code in WHEN:
            return WireError(WHEN[error.verify_code], words)
        if error.verify_code in (WRONG_NAME, WRONG_ADDRESS):
            return WireError(Reason.CERTIFICATE_NAME, words.partition(", certificate is")[0])
        return WireError(Reason.CERTIFICATE_UNTRUSTED, words)
    name = (error.reason or type(error).__name__).replace("_", " ").lower()
    if "protocol version" in name or "unsupported protocol" in name or "version too low" in name:
        return WireError(Reason.TLS, f"tls version: {name}")
    if isinstance(error, ssl.SSLEOFError):
        return WireError(Reason.TLS, "connection closed in the TLS handshake")
    return WireError(Reason.TLS, name)
