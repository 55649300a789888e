"""Eyes: one file a kind. ``KINDS`` maps the word in ``probes.yaml`` to the kind's options and its ``run``."""

from __future__ import annotations

from monitor.probes import chat, http
from monitor.probes.base import Kind

KINDS: dict[str, Kind] = {
    "http": Kind(http.Options, http.run),
    "chat": Kind(chat.Options, chat.run),
}
