"""What a recorder works by ↔ the message in which the prober tells it."""

from __future__ import annotations

import json
from typing import Any

from pydantic import SecretStr, ValidationError

from monitor.channels import KINDS
from monitor.config.settled import Channel, Settled
from monitor.runtime.messages import Configured, FrameError, Receiver


def told(settled: Settled) -> Configured:
    """Return the message."""
    channels = {
        channel.id: Receiver(channel.kind, _revealed(channel), channel.disabled)
        for channel in settled.channels.values()
    }
    return Configured(settled.catalogue, settled.settings, channels, settled.secrets, settled.tokens)


def heard(message: Configured) -> Settled:
    """Return what the message says. Raises :class:`FrameError` for a channel that this version does not know."""
    try:
        channels = {
            name: Channel(
                name,
                receiver.kind,
                KINDS[receiver.kind].options.model_validate_json(receiver.options) if receiver.options else None,
                receiver.disabled,
            )
            for name, receiver in message.channels.items()
        }
    except (KeyError, ValidationError):
        raise FrameError("a channel that cannot be read") from None
    return Settled(message.catalogue, message.settings, channels, message.secrets, message.tokens)


def _revealed(channel: Channel) -> str:
    if channel.options is None:
        return ""
    return json.dumps(channel.options.model_dump(), default=_plain)


def _plain(value: Any) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    raise TypeError(f"an option of a channel is a {type(value).__name__}")
