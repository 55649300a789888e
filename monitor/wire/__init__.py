"""The guarded, timed network under probes and channels: the only room that talks to a socket."""

from monitor.wire import lean as lean  # before the first import of httpx
from monitor.wire.client import Wire
from monitor.wire.guard import Guard
from monitor.wire.model import Answer, Chunk, Connection, Limits, MailError, WireError, text_of
from monitor.wire.resolve import Resolver
from monitor.wire.timed import Exchange
from monitor.wire.transport import TimedTransport

__all__ = [
    "Answer",
    "Chunk",
    "Connection",
    "Exchange",
    "Guard",
    "Limits",
    "MailError",
    "Resolver",
    "TimedTransport",
    "Wire",
    "WireError",
    "text_of",
]
