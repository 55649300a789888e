"""Any receiver of JSON, signed after Standard Webhooks 1.0 when a secret is given (standardwebhooks.com)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from typing import Any

from pydantic import Field, SecretStr, field_validator

from monitor.channels.base import Kind, Notice, Options, post, secret
from monitor.channels.words import facts, title
from monitor.clock import now
from monitor.wire import Wire, sendable


class Webhook(Options):
    """``url`` often holds a token and counts as a secret; ``signing_secret`` may begin with ``whsec_``."""

    url: SecretStr
    signing_secret: SecretStr | None = None
    headers: dict[str, SecretStr] = Field(default_factory=dict)

    @field_validator("headers")
    @classmethod
    def _sendable(cls, value: dict[str, SecretStr]) -> dict[str, SecretStr]:
        sendable({name: secret(text) for name, text in value.items()})
        return value

    @field_validator("signing_secret")
    @classmethod
    def _usable(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            signing_key(value.get_secret_value())
        return value


def signing_key(text: str) -> bytes:
    """Return the key's bytes: base64 after ``whsec_``, else the text itself. Raises ``ValueError``."""
    if not text.startswith("whsec_"):
        return text.encode()
    try:
        return base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        raise ValueError("after whsec_ base64 is due") from None


def body(notice: Notice) -> dict[str, Any]:
    """Return what is sent; times are RFC 3339 in UTC."""
    alert = notice.alert
    return {
        "type": f"alert.{alert.state}",
        "timestamp": notice.at.isoformat(),
        "data": {
            "title": title(notice),
            "facts": dict(facts(notice)),
            "why": str(notice.why),
            "test": notice.test,
            "alert": {
                "id": alert.id,
                "key": alert.key,
                "rule": str(alert.rule),
                "severity": str(alert.severity),
                "state": str(alert.state),
                "service": alert.service,
                "component": alert.component,
                "incident": alert.incident,
                "started_at": alert.started_at.isoformat(),
                "resolved_at": alert.resolved_at.isoformat() if alert.resolved_at else None,
            },
        },
    }


def signed(key: bytes, message_id: str, timestamp: int, content: bytes) -> str:
    """Return ``webhook-signature``: HMAC-SHA256 over ``id.timestamp.body`` in base64 after ``v1,``."""
    digest = hmac.new(key, f"{message_id}.{timestamp}.".encode() + content, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


async def send(options: Webhook, notice: Notice, wire: Wire) -> None:
    """Deliver; the notice's key is ``webhook-id`` and ``Idempotency-Key``."""
    content = json.dumps(body(notice), ensure_ascii=True).encode()
    at = now()
    timestamp = int(at.timestamp())
    headers = {
        **{name: value.get_secret_value() for name, value in options.headers.items()},
        "webhook-id": notice.key,
        "webhook-timestamp": str(timestamp),
        "idempotency-key": notice.key,
    }
    if options.signing_secret:
        key = signing_key(options.signing_secret.get_secret_value())
        headers["webhook-signature"] = signed(key, notice.key, timestamp, content)
    await post(wire, secret(options.url), content, headers, at)


KIND = Kind("webhook", Webhook, send)
