"""Eyes: one file a kind. ``KINDS`` maps the word in ``probes.yaml`` to the kind's options and its ``run``."""

from __future__ import annotations

from monitor.probes import heartbeat, http, login, net
from monitor.probes.base import Kind
from monitor.probes.chat import options as chat_options
from monitor.probes.chat import probe as chat
from monitor.probes.registration import probe as registration
from monitor.probes.upstream import probe as upstream

KINDS: dict[str, Kind] = {
    "http": Kind(http.Options, http.run),
    "chat": Kind(chat_options.Options, chat.run),
    "registration": Kind(registration.Options, registration.run),
    "login": Kind(login.Options, login.run),
    "upstream": Kind(upstream.Options, upstream.run),
    "tcp": Kind(net.TcpOptions, net.run_tcp),
    "tls": Kind(net.TlsOptions, net.run_tls),
    "dns": Kind(net.DnsOptions, net.run_dns),
    "heartbeat": Kind(heartbeat.Options, heartbeat.run),
}
