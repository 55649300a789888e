"""The guarded, timed network under probes and channels: the only room that talks to a socket."""

from monitor.wire import lean as lean  # before the first import of httpx
from monitor.wire.dns.resolve import Resolver, checked_host
from monitor.wire.guard import Guard
from monitor.wire.http.client import Wire
from monitor.wire.http.http1 import sendable
from monitor.wire.http.timed import Exchange
from monitor.wire.http.transport import HttpClient, TimedTransport, answered
from monitor.wire.http.ways import Way
from monitor.wire.model import Answer, Chunk, Connection, Limits, MailError, WireError, text_of
from monitor.wire.proxies import DIRECT, Proxies, from_environment, parse_proxy
from monitor.wire.tls import ClientCertificate, check_certificate

__all__ = [
    "DIRECT",
    "Answer",
    "Chunk",
    "ClientCertificate",
    "Connection",
    "Exchange",
    "Guard",
    "HttpClient",
    "Limits",
    "MailError",
    "Proxies",
    "Resolver",
    "TimedTransport",
    "Way",
    "Wire",
    "WireError",
    "answered",
    "check_certificate",
    "checked_host",
    "from_environment",
    "parse_proxy",
    "sendable",
    "text_of",
]
