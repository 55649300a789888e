"""The guarded, timed network under probes and channels: the only room that talks to a socket."""

from monitor.wire import lean as lean  # before the first import of httpx
from monitor.wire.dns.resolve import Resolver, checked_host
from monitor.wire.guard import Guard
from monitor.wire.http.client import Wire
from monitor.wire.http.http1 import sendable
from monitor.wire.http.timed import Exchange
from monitor.wire.http.transport import HttpClient, TimedTransport, answered
from monitor.wire.model import Answer, Chunk, Connection, Limits, MailError, WireError, text_of

__all__ = [
    "Answer",
    "Chunk",
    "Connection",
    "Exchange",
    "Guard",
    "HttpClient",
    "Limits",
    "MailError",
    "Resolver",
    "TimedTransport",
    "Wire",
    "WireError",
    "answered",
    "checked_host",
    "sendable",
    "text_of",
]
