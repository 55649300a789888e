"""Failures before there was an answer, in the words of libraries, as the errors that our own wire would have seen.

The reason is the wire's: words become an ``OSError`` or a certificate's fault, and :mod:`monitor.wire` says what that
means. Words: Python (httpx, requests, aiohttp, urllib3, botocore, grpc), curl, Node, Go, Rust, Windows.
"""

from __future__ import annotations

import errno
import os
import re
import ssl
from typing import NamedTuple

from monitor.core.model.reasons import Reason
from monitor.wire.deadline import Step
from monitor.wire.dial import refusal
from monitor.wire.http.timed import broken
from monitor.wire.tls import WRONG_NAME, failure


class Failed(NamedTuple):
    """How it ended. ``cut`` is true where an answer had begun, ``unread`` where one came and was no JSON."""

    reason: Reason | None = None
    cut: bool = False
    unread: bool = False


def _certificate(code: int) -> Failed:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code, error.verify_message = code, ""
    return Failed(failure(error).reason)


def _connect(number: int) -> Failed:
    return Failed(refusal([("", OSError(number, os.strerror(number)))]).reason)


def _late(step: Step) -> Failed:
    return Failed(step.value[0])


_NOT_YET, _EXPIRED, _UNTRUSTED = 9, 10, 20  # X509_V_ERR_*, openssl/x509_vfy.h
_RESET = Failed(broken(ConnectionResetError(), "").reason)
_CUT = Failed(cut=True)
_NO_NAME = Failed(Reason.DNS)


def _row(how: Failed, *words: str) -> tuple[re.Pattern[str], Failed]:
    return re.compile("|".join(words), re.IGNORECASE), how


_TABLE: tuple[tuple[re.Pattern[str], Failed], ...] = (
    _row(
        Failed(Reason.PROXY),
        "proxyerror", "cannot connect to proxy", "(?:could not|couldn't) resolve proxy",
        "proxy connect(?:ion)? (?:aborted|failed)", "tunnel(?:ing)? (?:connection )?failed",
        "tunneling socket could not be established", "proxyconnect tcp", "407 proxy authentication",
    ),
    _row(
        Failed(Reason.AUTH),
        "reauthentication is needed", "gcloud auth (?:application-default )?login", "aws sso login", "az login",
        "token for default does not exist", "sso session .{0,40}expired",
    ),
    _row(
        _certificate(_NOT_YET),
        "certificate is not yet valid", "cert_not_yet_valid",
    ),
    _row(
        _certificate(_EXPIRED),
        "certificate has expired", "cert_has_expired", "certificate expired",
    ),
    _row(
        _certificate(WRONG_NAME),
        "hostname mismatch", "ip address mismatch", "err_tls_cert_altname", "certificate is valid for",
        "no alternative certificate", "certificate subject name", "does not match certificate's",
        "doesn't match (?:either of )?'", "cannotmatch",
    ),
    _row(
        _certificate(_UNTRUSTED),
        "self[- _]signed[ _]cert", "depth_zero_self",
        "unable[ _]to[ _](?:get|verify)[ _](?:local[ _]|the[ _])?(?:issuer|first|leaf)",
        "certificate signed by unknown authority", "certificate_verify_failed", "certificate verify failed",
        "unknownissuer", "ssl certificate problem", "failed to verify certificate",
        "trust relationship for the ssl", "pkix path",
    ),
    _row(
        _NO_NAME,
        "name or service not known", "nodename nor servname", "no address associated", "enotfound", "no such host",
        "nxdomain", "(?:could not|couldn't) resolve host", "failed to resolve", "getaddrinfo failed",
        "no such host is known", r"11001\b", "failed to lookup address", "dns error", "name(?:resolution)?error",
        "dns resolution failed", "name does not resolve", "could not resolve hostname", "unknownhostexception",
    ),
    _row(
        _NO_NAME,
        "temporary failure in name resolution", "eai_again", "server misbehaving",
    ),
    _row(
        _connect(errno.ENETUNREACH),
        "network is (?:unreachable|down)", "enetunreach", "winerror 10051", "err_internet_disconnected",
    ),
    _row(
        _connect(errno.EADDRNOTAVAIL),
        "can(?:'t|not) assign requested address", "eaddrnotavail",
    ),
    _row(
        _connect(errno.EPERM),
        r"(?:\[errno 1\]|eperm).{0,60}connect", "connect.{0,60}(?:operation not permitted|winerror 10013)",
    ),
    _row(
        _connect(errno.EMFILE),
        "too many open files", "emfile", "enfile",
    ),
    _row(
        _connect(errno.EHOSTUNREACH),
        "no route to host", "ehostunreach", "host is unreachable", "winerror 10065",
    ),
    _row(
        _connect(errno.ECONNREFUSED),
        "connection (?:was )?refused", "econnrefused", "actively refused", r"10061\b", "connectionrefused",
        "failed to connect to .{0,120}(?:could not|couldn't) connect", "err_connection_refused",
    ),
    _row(
        _late(Step.CONNECT),
        "connect ?timeout", "connection ?timed? ?out", "connection timeout", "und_err_connect_timeout", r"10060\b",
        "dial tcp .{0,120}i/o timeout", "connect: operation timed out", "connect etimedout",
        "failed to connect to .{0,120}timed? ?out", "connection timed out after", "timed out trying to connect",
        "failed to connect to all addresses.{0,80}timeout",
    ),
    _row(
        _late(Step.TLS),
        "handshake operation timed out", "tls handshake timeout", "ssl connection timeout",
        "handshake.{0,30}timed out",
    ),
    _row(
        Failed(Reason.TLS),
        "sslv3_alert", "tlsv1_alert", "wrong_version_number", "wrong version number", "ssleoferror",
        "unexpected_eof_while_reading", "ssl_error_syscall", "ssl[: ]handshake", "handshake_failure",
        "ssl connect error", "unsupported protocol version", "eof occurred in violation of protocol",
        "tls: (?:handshake|protocol|first record)", r"curl: \(35\)",
    ),
    _row(
        _CUT,
        "without sending complete message body", "incomplete chunked read", "incompleteread",
        "chunkedencodingerror", "payload is not completed", "transferencodingerror", "contentlengtherror",
        "ended prematurely", "premature close", "typeerror: terminated", "und_err_socket.{0,80}other side closed",
        "transfer closed with", "unexpected eof", r"curl: \(18\)",
        "stream .{0,40}(?:was not closed cleanly|reset|error)", "stream error: stream id",
        "error decoding response body",
    ),
    _row(
        _RESET,
        "server disconnected", "remote end closed connection", "remotedisconnected", "empty reply from server",
        "socket hang up", "connection (?:was )?(?:forcibly )?(?:reset|aborted|closed)", "econnreset",
        "econnaborted", "broken pipe", "epipe", r"10054\b", "forcibly closed", "remoteprotocolerror",
        "other side closed", "connectionterminated", "readerror", "err_connection_closed",
        "serverdisconnectederror", "http2.{0,40}goaway", r'"?https?://\S{1,200}"?: eof\b', "stream removed",
        "recvmsg",
    ),
    _row(
        _late(Step.HEADERS),
        "read ?timeout", "read timed out", "request timed out", "timed out while waiting", "apitimeouterror",
        "und_err_headers_timeout", "awaiting headers", "apiconnectiontimeouterror", "etimedout",
        "operation timed out", r"timeout (?:of \d+ms )?exceeded", "timeouterror", "deadline exceeded",
        r"litellm\.(?:exceptions\.)?timeout", "timeout on reading", "sockettimeout", "timed? ?out", "aborterror",
        "deadlineexceeded", "headers timeout error",
    ),
    _row(
        _late(Step.BODY),
        "und_err_body_timeout", "body timeout error",
    ),
    _row(
        Failed(Reason.CONFIG),
        "api_key client option must be set", "could not resolve authentication method", "missing credentials",
        "nocredentials", "unable to locate credentials", r"did not find \w+_api_key",
        "api key (?:must be|is required|not found in)", "please (?:set|provide|pass) (?!a valid).{0,60}api[_ ]key",
        "unsupportedprotocol", "invalid ?url", "no scheme supplied", "missing an 'http", "pooltimeout",
        "illegal header value", "could not find credentials", "default credentials", "llm provider not provided",
        r"missing (?:\d )?required (?:positional )?argument", "unexpected keyword argument",
    ),
    _row(
        Failed(Reason.CONFIG),
        "(?:exceeds|exceeded) the (?:model's )?context window", "maximum context length", "prompt is too long",
        "lengthfinishreasonerror", "contextwindowexceeded",
    ),
    _row(
        Failed(Reason.POLICY),
        "contentfilterfinishreasonerror", "rejected by the content filter", "response was blocked by safety",
    ),
    _row(
        Failed(unread=True),
        "jsondecodeerror", "unexpected token .{0,40}json", "is not valid json", "expecting value: line",
        "unexpected end of json", "unable to (?:parse|decode) .{0,30}(?:json|response)",
        "apiresponsevalidationerror",
    ),
    _row(
        _connect(errno.ECONNREFUSED),
        "apiconnectionerror", "connecterror", r"connection error\.?", "fetch failed", "failed to fetch",
        "cannot connect to host", "clientconnectorerror", "max retries exceeded",
        "failed to establish a new connection", "networkerror", "error sending request", "endpointconnectionerror",
        "failed to connect to", r"curl: \(7\)", "unable to connect",
    ),
)  # fmt: skip
"""In the order of telling: the cause of a cause names more than the exception that a library makes of it."""


def failure_told(text: str) -> Failed | None:
    """Return the failure of the network, or of the client, that a text tells; None where it tells none."""
    return next((how for words, how in _TABLE if words.search(text)), None)


def failure_here(text: str) -> Failed | None:
    """Return a failure that only the asker's side can tell, whatever status stands beside it: proxy, own log-in."""
    return next((how for words, how in _TABLE[:2] if words.search(text)), None)
